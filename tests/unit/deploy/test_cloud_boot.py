"""Waiting for machines to boot: what they say on their consoles, and an end in any case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clove.deploy.cloud.boot import BOOT_SECONDS, Boot
from clove.deploy.relay import Enrolment, Relay
from clove.deploy.step import Event, Progress
from clove.errors import ConnectionLost, NotFound, TimedOut, Unavailable

FACTS = {"instances": {"lab": "i-0123"}}


class Registry:
    """A relay to which the machine comes at some time.

    @ivar now: seconds.
    @ivar joins_at: when it has joined.
    """

    def __init__(self, joins_at: float) -> None:
        self.now = 0.0
        self.joins_at = joins_at
        self.lost: Callable[[float], bool] = lambda now: False

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def machine(self, machine: str) -> dict[str, Any]:
        if self.lost(self.now):
            raise ConnectionLost("the relay is not there")
        if self.now < 1:
            raise NotFound(machine)
        return {"has_key": self.now >= self.joins_at}


def waiting(registry: Registry, *words: str) -> tuple[Boot, list[Event], Progress]:
    relay = Relay("https://r", "wss://r", lambda: registry)  # type: ignore[arg-type, return-value]
    boot = Boot(
        Enrolment(relay, "lab", ["lab"]),
        lambda facts, machine: [*words, facts["instances"][machine]],
        clock=lambda: registry.now,
        sleep=registry.sleep,
    )
    told: list[Event] = []
    return boot, told, Progress("boot", told.append)


def console(tmp_path: Path, *lines: str) -> str:
    """A program that shows a console with these lines, and checks what it is asked for."""
    program = tmp_path / "console"
    text = "\n".join(f"[   7.0] cloud-init[340]: {line}" for line in lines)
    program.write_text(f"#!/bin/sh\n[ \"$*\" = i-0123 ] || exit 1\ncat <<'END'\n{text}\nEND\n")
    program.chmod(0o755)
    return str(program)


def test_what_a_machine_says_is_told_once_until_it_has_joined(tmp_path: Path) -> None:
    program = console(tmp_path, "other", "clove: fetching", "clove: inst\x1b[31malling")
    boot, told, progress = waiting(Registry(60), program)
    assert boot.look(FACTS) is None
    assert boot.do(FACTS, progress) == {}
    assert [event.text for event in told] == ["lab: fetching", "lab: inst[31malling"]
    assert boot.look(FACTS) == {}


def test_a_machine_that_says_it_has_failed_is_not_waited_for(tmp_path: Path) -> None:
    program = console(tmp_path, "clove: fetching", "clove: failed: the bundle has another hash")
    registry = Registry(1e9)
    boot, _, progress = waiting(registry, program)
    with pytest.raises(Unavailable, match="lab could not be made ready: failed: the bundle") as why:
        boot.do(FACTS, progress)
    assert registry.now < 60
    assert f"{program} i-0123" in why.value.hint


def test_without_the_clouds_program_it_is_waited_for_all_the_same(tmp_path: Path) -> None:
    boot, told, progress = waiting(Registry(100), str(tmp_path / "none"))
    assert boot.do(FACTS, progress) == {}
    assert not told


def test_there_is_an_end_to_waiting(tmp_path: Path) -> None:
    boot, _, progress = waiting(Registry(1e9), str(tmp_path / "none"))
    with pytest.raises(TimedOut, match="lab did not join within 900 s") as late:
        boot.do(FACTS, progress)
    assert "its console" in late.value.hint


def test_a_relay_that_is_away_for_a_moment_is_no_failure(tmp_path: Path) -> None:
    registry = Registry(50)
    registry.lost = lambda now: 10 < now < 40
    boot, _, progress = waiting(registry, str(tmp_path / "none"))
    assert boot.do(FACTS, progress) == {}
    registry.lost = lambda now: now > 10
    registry.now = 0.0
    with pytest.raises(ConnectionLost):
        boot.do(FACTS, progress)
    assert registry.now >= BOOT_SECONDS
