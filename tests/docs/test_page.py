"""How pages are read, and compared with what a terminal shows."""

from __future__ import annotations

import pytest

from tests.docs.page import Command, SavedFile, matches, parts_before_keys, steps

PAGE = """\
# A page

Some words, and `$ not this`.

```python
# lib/hello.py
print("hello")
```

```console
$ python lib/hello.py
hello
$ for word in a b; do
>   echo $word
> done
a
b
$ true
```

```python
print("no name, so it is not saved")
```

```sh
make world
```
"""


def test_files_and_commands_come_in_order_with_their_lines() -> None:
    assert steps(PAGE) == [
        SavedFile("lib/hello.py", '# lib/hello.py\nprint("hello")\n', 6),
        Command("python lib/hello.py", "hello", 11),
        Command("for word in a b; do\n  echo $word\ndone", "a\nb", 13),
        Command("true", "", 18),
    ]


def test_output_without_a_command_is_an_error_of_the_page() -> None:
    with pytest.raises(ValueError, match="line 2: output before any command"):
        steps("```console\nhello\n```\n")


@pytest.mark.parametrize("name", ["../up.py", "/etc/x.py", "a b.py", "plain words"])
def test_a_comment_that_is_no_name_below_this_directory_saves_nothing(name: str) -> None:
    saved = [step.name for step in steps(f"```python\n# {name}\n```\n")]  # type: ignore[union-attr]
    assert [each for each in saved if not each.startswith("..")] == []


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        ("", ""),
        ("a\nb", "a\r\nb\r\n"),
        ("pid ..., at 7", "pid 123, at 7\n"),
        ("ID NAME\n3 x", "ID  NAME   \n 3  x  \n"),
        ("first\n...\nlast", "first\nlast\n"),
        ("first\n...\nlast", "first\n1\n2\nlast\n"),
        ("...", "anything\nat all\n"),
        ("red", "\x1b[1;31mred\x1b[0m\n"),
        ("(a+b)* [x]", "(a+b)* [x]\n"),
        ("12 bee exited 3s exit 0 2m 5s ago", "7 bee exited 10s exit 0 1s ago\n"),
        ("pid 12 since 2026-11-30T18:21:18.911Z", "pid 7 since 2027-01-01T00:00:00.000Z\n"),
    ],
)
def test_what_matches(expected: str, shown: str) -> None:
    assert matches(expected, shown)


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        ("", "unexpected\n"),
        ("a", "a\nb\n"),
        ("a ... c", "a\nb\nc\n"),
        ("first\n...\nlast", "first\n1\n"),
        ("exit 1", "exit 10\n"),
        ("3 bees", "4 bees of 5\n"),
        ("offline 12", "offline 13\n"),
    ],
)
def test_what_does_not_match(expected: str, shown: str) -> None:
    assert not matches(expected, shown)


def test_keys_part_what_is_shown_before_them_from_what_comes_after() -> None:
    assert parts_before_keys("a\nb\n^C\nc") == ["a\nb\n", "c\n"]
    assert parts_before_keys("a") == ["a\n"]
