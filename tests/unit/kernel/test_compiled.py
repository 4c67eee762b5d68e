"""Whether the compiled part is used, and what is said where it is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from twisted.logger import LogEvent, capturedLogs

from clove._version import __version__
from clove.errors import Unavailable
from clove.kernel.compiled import find_compiled


@pytest.fixture
def warnings() -> Iterator[Sequence[LogEvent]]:
    with capturedLogs() as events:
        yield events


def problems(events: Sequence[LogEvent]) -> list[str]:
    return [event["problem"] for event in events if "problem" in event]


def installed(patch: pytest.MonkeyPatch, version: str | None) -> object:
    parts = dict.fromkeys(("Reader", "send_gathered", "serve_ready"))
    module: Any = None if version is None else SimpleNamespace(__version__=version, **parts)
    patch.setitem(sys.modules, "clove_fast", module)
    return module


def test_it_is_used_where_it_is_of_the_kernels_version(monkeypatch: pytest.MonkeyPatch) -> None:
    module = installed(monkeypatch, __version__)
    assert find_compiled("auto") is module
    assert find_compiled("required") is module
    assert find_compiled("off") is None


def test_one_of_another_version_is_refused_with_both_named(
    monkeypatch: pytest.MonkeyPatch, warnings: Sequence[LogEvent]
) -> None:
    installed(monkeypatch, "0.0.7")
    assert find_compiled("auto") is None
    assert problems(warnings) == [f"clove-fast is 0.0.7, this kernel is {__version__}"]
    with pytest.raises(Unavailable, match=r"0\.0\.7") as refused:
        find_compiled("required")
    assert f"install clove-fast {__version__}" in refused.value.hint


def test_an_older_build_of_the_same_version_is_refused(
    monkeypatch: pytest.MonkeyPatch, warnings: Sequence[LogEvent]
) -> None:
    module = installed(monkeypatch, __version__)
    del module.serve_ready  # type: ignore[attr-defined]
    assert find_compiled("auto") is None
    assert problems(warnings) == ["clove-fast is an older build without serve_ready"]


def test_one_without_a_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clove_fast", ModuleType("clove_fast"))
    with pytest.raises(Unavailable, match="of unknown version"):
        find_compiled("required")


def test_where_it_is_not_installed_nothing_is_said_unless_it_is_required(
    monkeypatch: pytest.MonkeyPatch, warnings: Sequence[LogEvent]
) -> None:
    installed(monkeypatch, None)  # importing it raises ModuleNotFoundError
    assert find_compiled("auto") is None
    assert not problems(warnings)
    with pytest.raises(Unavailable, match="not installed"):
        find_compiled("required")


def test_one_that_cannot_be_loaded_is_named(
    monkeypatch: pytest.MonkeyPatch, warnings: Sequence[LogEvent], tmp_path: Any
) -> None:
    monkeypatch.delitem(sys.modules, "clove_fast", raising=False)
    (tmp_path / "clove_fast.py").write_text("raise ImportError('made for another Linux')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_compiled("auto") is None
    assert problems(warnings) == ["clove-fast cannot be loaded: made for another Linux"]
    with pytest.raises(Unavailable, match="another Linux"):
        find_compiled("required")
