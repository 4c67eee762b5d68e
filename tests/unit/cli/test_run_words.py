"""The parts of a command line of `clove run`."""

from __future__ import annotations

import pytest

from clove.cli.run_words import MODULE, NOTHING, PROGRAM, SCRIPT, RunWords, split_words

VALUED = ("--name", "--dir", "-e")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a.py", RunWords((), SCRIPT, "a.py")),
        ("a.py --name x -- y", RunWords((), SCRIPT, "a.py", ("--name", "x", "--", "y"))),
        ("--name x a.py -v", RunWords(("--name", "x"), SCRIPT, "a.py", ("-v",))),
        ("--name=x a.py", RunWords(("--name=x",), SCRIPT, "a.py")),
        ("-d -e A=b a.py", RunWords(("-d", "-e", "A=b"), SCRIPT, "a.py")),
        ("-de A=b a.py", RunWords(("-de", "A=b"), SCRIPT, "a.py")),
        ("-eA=b a.py", RunWords(("-eA=b",), SCRIPT, "a.py")),
        ("-m pkg.mod -m x", RunWords((), MODULE, "pkg.mod", ("-m", "x"))),
        ("-mpkg --help", RunWords((), MODULE, "pkg", ("--help",))),
        ("-dm pkg", RunWords(("-d",), MODULE, "pkg")),
        ("-em a.py", RunWords(("-em",), SCRIPT, "a.py")),
        ("--dir . -- make -j2 -- x", RunWords(("--dir", "."), PROGRAM, "make", ("-j2", "--", "x"))),
        ("-- -odd", RunWords((), PROGRAM, "-odd")),
        ("--name -- -- true", RunWords(("--name", "--"), PROGRAM, "true")),
        ("--typo a.py", RunWords(("--typo",), SCRIPT, "a.py")),
        ("--help", RunWords(("--help",), NOTHING)),
        ("--name", RunWords(("--name",), NOTHING)),
        ("-m", RunWords((), NOTHING)),
        ("--name x --", RunWords(("--name", "x"), NOTHING)),
        ("", RunWords((), NOTHING)),
        ("- x", RunWords((), SCRIPT, "-", ("x",))),
    ],
)
def test_the_program_begins_where_the_options_end(line: str, expected: RunWords) -> None:
    assert split_words(line.split(), VALUED) == expected
