"""Rules of commands: a program, and words that its arguments begin with. Pure.

What they mean for a command line is in L{clove.policy.commands}.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

from clove.errors import InvalidRequest
from clove.policy.shell import Unreadable, simple_commands
from clove.policy.work import Work

__all__ = [
    "SYSTEM_DIRECTORIES",
    "CommandRule",
    "Words",
    "command_rule",
    "commands_within",
    "is_usual_place",
    "rules_by_program",
    "rules_of",
]

SYSTEM_DIRECTORIES: Final = frozenset(
    ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"]
)
"""Where a program given by its path still counts as the one that an allowed rule names."""

_LONG_OPTIONS: Final = {"rm": {"--recursive": "r", "--force": "f", "-R": "r"}}


class _Options(NamedTuple):
    """The words after a program: single-letter options, long ones, and the rest."""

    letters: frozenset[str]
    long: frozenset[str]
    rest: tuple[str, ...]


def _options(program: str, words: tuple[str, ...]) -> _Options:
    letters: set[str] = set()
    long: set[str] = set()
    rest: list[str] = []
    same = _LONG_OPTIONS.get(program, {})
    for at, word in enumerate(words):
        if word == "--":
            rest += words[at + 1 :]
            break
        if word in same:
            letters.add(same[word])
        elif word.startswith("--"):
            # getopt_long takes any unambiguous beginning of a long option
            short = [same[name] for name in same if len(word) > 3 and name.startswith(word)]
            letters.update(short)
            long.add(word.partition("=")[0])
        elif word.startswith("-") and len(word) > 1:
            letters.update(same.get("-" + letter, letter) for letter in set(word[1:]))
        else:
            rest.append(word)
    return _Options(frozenset(letters), frozenset(long), tuple(rest))


def is_usual_place(given: str) -> bool:
    """Is a program given by its name, or in one of the system's directories?"""
    directory, slash, _ = given.rpartition("/")
    return not slash or directory in SYSTEM_DIRECTORIES


class CommandRule(NamedTuple):
    """One rule, parsed.

    @ivar given: the program as the rule has it, perhaps with its directory.
    @ivar program: its base name.
    """

    text: str
    given: str
    program: str
    options: _Options

    @property
    def is_usual(self) -> bool:
        """The program is given by its name, or in one of the system's directories."""
        return is_usual_place(self.given)

    @property
    def is_whole(self) -> bool:
        """The program alone, whatever its arguments."""
        return self.options == _NO_OPTIONS

    def matches(self, command: Words) -> bool:
        """Does a simple command fall under the rule?"""
        if command.program != self.program:
            return False
        if self.is_whole:
            return True
        mine, theirs = self.options, command.options
        return (
            mine.letters <= theirs.letters
            and mine.long <= theirs.long
            and theirs.rest[: len(mine.rest)] == mine.rest
        )


class Words:
    """A simple command: its words, and what rules look at, worked out once."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self.program = words[0].rpartition("/")[2]

    @functools.cached_property
    def options(self) -> _Options:
        """What stands behind the program."""
        return _options(self.program, self.words[1:])


_NO_OPTIONS: Final = _Options(frozenset(), frozenset(), ())


@functools.lru_cache(maxsize=1024)
def command_rule(text: str) -> CommandRule:
    """Parse a rule.

    @raise InvalidRequest: it is empty, or more than one simple command.
    """
    try:
        commands = simple_commands(text)
    except Unreadable as error:
        raise InvalidRequest(f"the command rule {text!r} cannot be read: {error}") from None
    if len(commands) != 1:
        raise InvalidRequest(
            f"a command rule is one command, not {text!r}", hint="such as git, or rm -rf"
        )
    given, *words = commands[0]
    program = given.rpartition("/")[2]
    return CommandRule(text, given, program, _options(program, tuple(words)))


@functools.lru_cache(maxsize=256)
def rules_of(texts: tuple[str, ...]) -> tuple[CommandRule, ...]:
    """A list, parsed: one look-up, however many rules agents have thought up meanwhile.

    @raise InvalidRequest: a rule cannot be read.
    """
    return tuple(map(command_rule, texts))


@functools.lru_cache(maxsize=256)
def rules_by_program(texts: tuple[str, ...]) -> dict[str, tuple[CommandRule, ...]]:
    """A parsed list: its rules by the program that they name. Not to be changed.

    @raise InvalidRequest: a rule cannot be read.
    """
    found: dict[str, list[CommandRule]] = {}
    for rule in rules_of(texts):
        found.setdefault(rule.program, []).append(rule)
    return {program: tuple(rules) for program, rules in found.items()}


def commands_within(texts: tuple[str, ...], others: tuple[str, ...], work: Work) -> tuple[str, ...]:
    """The rules that surely grant no more than a list of rules does (an empty one: everything).

    @raise LimitExceeded: there is too much to compare.
    """
    if not others:
        return texts
    wide = rules_by_program(others)
    granted = frozenset(others)
    kept = set()
    for program, rules in rules_by_program(texts).items():
        same = wide.get(program, ())
        for rule in rules:
            if rule.text not in granted:
                work.spend(1 + len(same) * (1 + len(rule.text) // 32) // 4)
            if rule.text in granted or any(_is_within(rule, other) for other in same):
                kept.add(rule.text)
    return tuple(text for text in texts if text in kept)


def _is_within(rule: CommandRule, other: CommandRule) -> bool:
    return (
        (rule.given == other.given or rule.is_usual)
        and other.options.letters <= rule.options.letters
        and other.options.long <= rule.options.long
        and rule.options.rest[: len(other.options.rest)] == other.options.rest
    )
