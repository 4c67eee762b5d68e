"""Many wrong tokens from one address, or from everywhere, are not looked at for a while."""

from __future__ import annotations

import pytest

from clove.errors import LockedOut
from clove.relay.tokens.lockout import LockOut, LockOutLimits, source_of


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
        lockout.failed(f"a{number}", 0.0)
        lockout.succeeded(f"a{number}", 0.0)
    assert (len(lockout._failures), len(lockout._known)) == (10, 10)


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
