"""A long LISTDIR gives others their turn, and MKDIR tells nothing of what may not be known."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, succeed
from twisted.internet.task import Clock

from clove.errors import PermissionDenied
from clove.kernel.calls import file_tree
from clove.kernel.files import changes
from clove.kernel.files.changes import make_directories
from clove.kernel.files.listing import Name
from clove.kernel.files.watches import Change
from clove.messages.file_tree import WatchRequest
from clove.policy import Level, check_read, for_level, parse
from clove.sandbox.host import HostView
from tests.unit.launch.searched_view import Threads

AGENT = for_level(Level.STANDARD)


def done(work: Any) -> Any:
    """The result of what waits for nothing."""
    found: list[Any] = []
    ensureDeferred(work).addBoth(found.append)
    [result] = found
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


class Directory:
    """A directory that is held; it counts how often rules were asked between two questions to it."""

    path = "/workspace"

    def __init__(self) -> None:
        self.asked = 0
        self.turns: list[int] = []

    def facts(self, names: Sequence[str]) -> Deferred[list[None]]:
        self.turns.append(self.asked)
        self.asked = 0
        return succeed([None for _ in names])


def test_rules_are_asked_about_some_names_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Directory()

    def checked(*words: Any) -> Any:
        held.asked += 1
        return check_read(*words)

    monkeypatch.setattr(file_tree, "check_read", checked)
    permissions = parse(None, {"blocked_paths": ["/workspace/a*"]}, AGENT)
    ctx = SimpleNamespace(principal=SimpleNamespace(permissions=permissions))
    names = [Name(f"{kind}{n}", f"{kind}{n}", "file") for kind in "ab" for n in range(500)]
    entries, hidden = done(file_tree._entries(ctx, held, names))  # type: ignore[arg-type]
    assert (len(entries), hidden) == (500, 500)
    assert sum(held.turns) == 1000
    assert max(held.turns) <= file_tree.AT_ONCE


@pytest.mark.parametrize("there", [True, False])
def test_mkdir_does_not_tell_what_lies_behind_a_link(tmp_path: Path, there: bool) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    theirs.mkdir()
    (mine / "link").symlink_to(theirs)
    if there:
        (theirs / "secret").mkdir()
    view = HostView(Threads(), None, str(tmp_path))  # type: ignore[arg-type]
    permissions = parse(None, {"allowed_write_paths": [f"{mine}/**"]}, AGENT)
    path = f"{mine}/link/secret"
    with pytest.raises(PermissionDenied):
        done(make_directories(view, permissions, path, None, parents=True, mode=0o755))


class Watched:
    """A watch on a directory in which something happens all the time."""

    def __init__(self) -> None:
        self.looks = 0

    def changes(self) -> Deferred[list[Change]]:
        self.looks += 1
        return succeed([Change("created", "name")])


def test_a_watch_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much happens in the directory."""
    watched, clock, told = Watched(), Clock(), []

    class Told:
        def __call__(self, reply: Any) -> None:
            told.append([one.name for one in reply.events])

        async def clear(self) -> None:
            """The client reads."""

    async def view_of(*_: object) -> tuple[None, None]:
        return None, None

    async def resolved(*_: object) -> Any:
        return SimpleNamespace(
            kind="directory", path="/d", watch=lambda: succeed(5), close=lambda: None
        )

    monkeypatch.setattr(file_tree, "view_of", view_of)
    monkeypatch.setattr(changes, "resolve_judged", resolved)
    watches = SimpleNamespace(check=lambda _: None, held=lambda *_: contextlib.nullcontext(watched))
    ctx: Any = SimpleNamespace(
        stream=Told(),
        principal=SimpleNamespace(permissions=AGENT, family=1),
        kernel=SimpleNamespace(watches=watches, clock=clock),
    )
    waiting = ensureDeferred(file_tree.watch(ctx, WatchRequest(path="/d")))
    assert watched.looks == 1
    clock.advance(file_tree.PAUSE)
    assert watched.looks == 2
    assert told == [[], ["name"], ["name"]]
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    waiting.cancel()
    assert not clock.getDelayedCalls()
