"""Many wrong tokens from one address, or from everywhere, are not looked at for a while."""

from __future__ import annotations

import pytest

from clove.errors import LockedOut
from clove.relay.tokens.lockout import LockOut, LockOutLimits, network_of, source_of


def fails(lockout: LockOut, source: str, *times: float) -> None:
    for now in times:
        lockout.check(source, now)
        lockout.failed(source, now)


def test_one_too_many_waits_until_the_first_is_a_minute_old() -> None:
    lockout = LockOut(LockOutLimits(failures=3))
    fails(lockout, "a", 0.0, 10.0, 20.0)
    with pytest.raises(LockedOut) as caught:
        lockout.check("a", 21.0)
    assert caught.value.retry_after == 39.0
    lockout.check("b", 21.0)
    fails(lockout, "a", 60.0)
    with pytest.raises(LockedOut) as caught:
        lockout.check("a", 60.0)
    assert caught.value.retry_after == 10.0


def test_never_more_than_so_many_fail_in_any_minute() -> None:
    lockout = LockOut(LockOutLimits(failures=3))
    failed: list[float] = []
    for quarter in range(1200):
        now = quarter / 4
        try:
            fails(lockout, "a", now)
        except LockedOut:
            continue
        failed.append(now)
    assert len(failed) == 15
    assert all(later - first >= 60 for first, later in zip(failed, failed[3:], strict=False))


def test_failures_everywhere_lock_strangers_out_but_not_the_known() -> None:
    lockout = LockOut(LockOutLimits(all_failures=5))
    lockout.succeeded("known", 0.0)
    fails(lockout, "known", 1.0)
    fails(lockout, "s1", 1.0, 1.0)
    fails(lockout, "s2", 1.0, 1.0)
    with pytest.raises(LockedOut):
        lockout.check("s3", 2.0)
    lockout.check("known", 2.0)
    lockout.check("s3", 61.0)


def test_the_known_are_forgotten_after_an_hour() -> None:
    lockout = LockOut(LockOutLimits(all_failures=1))
    lockout.succeeded("known", 0.0)
    lockout.failed("other", 3599.0)
    lockout.check("known", 3599.5)
    with pytest.raises(LockedOut):
        lockout.check("known", 3600.0)


def test_a_valid_token_does_not_end_an_addresses_own_lock() -> None:
    lockout = LockOut(LockOutLimits(failures=1))
    fails(lockout, "a", 0.0)
    lockout.succeeded("a", 1.0)
    with pytest.raises(LockedOut):
        lockout.check("a", 1.0)


def test_its_tables_are_bounded() -> None:
    lockout = LockOut(LockOutLimits(addresses=10, all_failures=10_000))
    for number in range(1000):
        lockout.failed(f"a{number}", 0.0, f"m{number}")
        lockout.succeeded(f"a{number}", 0.0, f"m{number}")
    tables = ("addresses", "networks", "machines", "known", "known_machines")
    assert [len(getattr(lockout, f"_{name}")) for name in tables] == [10] * 5


def test_failures_of_a_network_lock_out_its_strangers_but_not_the_known() -> None:
    lockout = LockOut(LockOutLimits(network_failures=3))
    lockout.succeeded("192.0.2.1", 0.0)
    for number in (2, 3, 4):
        fails(lockout, f"192.0.2.{number}", 1.0)
    with pytest.raises(LockedOut):
        lockout.check("192.0.2.5", 2.0)
    lockout.check("192.0.2.1", 2.0)
    lockout.check("192.0.3.5", 2.0)
    lockout.check("192.0.2.5", 61.0)


def test_one_network_does_not_use_up_what_all_may_fail() -> None:
    """A customer with 48 bits of IPv6 has 65,536 addresses that count as such."""
    lockout = LockOut()
    failed = 0
    for number in range(2000):
        try:
            fails(lockout, source_of(f"2001:db8:1:{number:x}::1"), 0.0)
        except LockedOut:
            continue
        failed += 1
    assert failed == LockOutLimits().network_failures
    lockout.check(source_of("2001:db8:2::1"), 0.0)


def test_failures_for_a_machine_lock_out_all_but_where_it_comes_from() -> None:
    lockout = LockOut(LockOutLimits(machine_failures=3))
    lockout.succeeded("home", 0.0, "m1")
    for number in range(3):
        lockout.failed(f"s{number}", 1.0, "m1")
    for source in ("s9", "elsewhere"):
        with pytest.raises(LockedOut):
            lockout.check(source, 2.0, "m1")
    lockout.check("home", 2.0, "m1")
    lockout.check("s9", 2.0, "m2")
    lockout.check("s9", 2.0)
    lockout.check("s9", 61.0, "m1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8::1", "2001:db8:0:ffff::1", True),
        ("2001:db8::1", "2001:db8:1::1", False),
        ("", "", True),
        ("", "x", False),
    ],
)
def test_what_counts_as_one_network(one: str, other: str, same: bool) -> None:
    assert (network_of(source_of(one)) == network_of(source_of(other))) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same
