"""What was refused gets into the store, if the store fails later, and is read with what is still waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from clove.errors import Unavailable
from clove.relay.denial_writer import TOGETHER, DenialWriter
from clove.relay.denials import Denials
from tests.unit.relay.instant_store import instant_store

MOST = 4 * TOGETHER


async def test_a_write_is_bounded_and_a_reader_gets_all_that_waits(tmp_path: Path) -> None:
    store = instant_store(str(tmp_path / "relay.sqlite"))
    denials = Denials(MOST, lambda: 1000.0)
    writer = DenialWriter(denials, store, "a")
    for number in range(MOST):
        denials.add("token", f"address {number}", token_id=f"{number}")
    assert await writer.write_some() == TOGETHER
    assert len(await store.denials(0, 9999)) == TOGETHER
    found = await writer.read(0, 9999, kind="", machine_id="")
    assert [each.refusal.source for each in found[::-1]] == [f"address {n}" for n in range(MOST)]
    assert await writer.write_some() == 0
    await store.close()


async def test_what_the_store_does_not_take_waits_for_the_next_time(tmp_path: Path) -> None:
    denials = Denials(MOST, lambda: 1000.0)
    denials.add("token", "a")
    closed = instant_store(str(tmp_path / "closed.sqlite"))
    await closed.close()
    with pytest.raises(Unavailable):
        await DenialWriter(denials, closed, "a").write_some()
    store = instant_store(str(tmp_path / "relay.sqlite"))
    assert await DenialWriter(denials, store, "a").write_some() == 1
    await store.close()
