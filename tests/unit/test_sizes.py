"""What `make lint` says of things that have grown too long."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.sizes import REASON, main, too_long


def _found(directory: Path, text: str) -> list[str]:
    path = directory / "module.py"
    path.write_text(text)
    return [str(each).replace(str(path), "module.py") for each in too_long(path)]


def _function(lines: int, begin: str = "def work():") -> str:
    return "\n".join([begin, '    """Work."""', *(["    x = 1"] * (lines - 2))]) + "\n"


def _class(methods: int) -> str:
    return "class Work:\n" + "".join(
        f"    def method_{number}(self): ...\n" for number in range(methods)
    )


def test_a_file_may_have_300_lines(tmp_path: Path) -> None:
    assert _found(tmp_path, "x = 1\n" * 300) == []
    assert _found(tmp_path, "x = 1\n" * 301) == ["module.py:1: file, 301 lines (at most 300)"]


def test_a_function_may_have_40_lines_with_its_docstring(tmp_path: Path) -> None:
    assert _found(tmp_path, _function(40)) == []
    assert _found(tmp_path, _function(41)) == [
        "module.py:1: function work, 41 lines (at most 40)",
    ]


def test_decorators_are_not_counted(tmp_path: Path) -> None:
    assert _found(tmp_path, "@first\n@second\n" + _function(40)) == []


def test_coroutines_methods_and_nested_functions_are_functions(tmp_path: Path) -> None:
    [coroutine] = _found(tmp_path, _function(41, "async def work():"))
    assert coroutine == "module.py:1: function work, 41 lines (at most 40)"
    text = "class Work:\n    def outer(self):\n" + re.sub("^", " " * 8, _function(41), flags=re.M)
    assert _found(tmp_path, text) == [
        "module.py:2: function outer, 42 lines (at most 40)",
        "module.py:3: function work, 41 lines (at most 40)",
    ]


def test_a_class_may_have_20_methods(tmp_path: Path) -> None:
    assert _found(tmp_path, _class(20)) == []
    assert _found(tmp_path, _class(21)) == ["module.py:1: class Work, 21 methods (at most 20)"]


@pytest.mark.parametrize(
    "above",
    [
        f"{REASON} it is one list.\n",
        f"{REASON} it is one list\n# by nature, and no two of them share anything.\n",
        f"# About something else.\n{REASON} it is one list.\n@decorated(\n    1,\n)\n@twice\n",
    ],
    ids=["one line", "two lines", "above decorators"],
)
def test_a_class_may_have_more_with_the_reason_directly_above(tmp_path: Path, above: str) -> None:
    assert _found(tmp_path, "x = 1\n\n" + above + _class(21)) == []


@pytest.mark.parametrize(
    "above",
    [
        f"{REASON}\n",
        f"{REASON} it is one list.\n\n",
        f"{REASON} it is one list.\nx = 1\n",
        f"@decorated\n{REASON} it is one list.\n",
        f'text = "{REASON} it is one list."\n',
    ],
    ids=["no reason", "a line between", "code between", "below a decorator", "no comment"],
)
def test_a_reason_elsewhere_is_none(tmp_path: Path, above: str) -> None:
    [found] = _found(tmp_path, above + _class(21))
    assert found.endswith("class Work, 21 methods (at most 20)")


def test_directories_are_searched_and_the_status_says_whether_any_is_too_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deep" / "down").mkdir(parents=True)
    path = tmp_path / "deep" / "down" / "module.py"
    path.write_text("x = 1\n" * 300)
    (tmp_path / "notes.txt").write_text("line\n" * 301)
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
    path.write_text("x = 1\n" * 301)
    assert main([str(tmp_path)]) == main([str(path)]) == 1
    assert capsys.readouterr().out == f"{path}:1: file, 301 lines (at most 300)\n" * 2


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there is no such file"):
        main([str(tmp_path / "gone")])
