"""Which commands an agent may run: a guard rail, not a wall.

A rule is a program's name, or a name and words, such as `git`, `git status` or
`rm -rf`. It is held against every simple command of the line: in pipelines and
lists, in substitutions, after assignments and wrappers (`env`, `nohup`,
`xargs`), in `sh -c` and `eval`, by the base name where a path is given (an
allowed rule takes a path only into the system's directories, or its own). Options
of a rule match in any order, apart or together (`rm -r -f`, `rm --force
--recursive`). With an allowed list every simple command must match a rule of it.

This stops mistakes and the plain forms of what a rule names. It cannot stop
an agent that means to get round it: a copy of the program under another name, an
interpreter (`python -c`), a script file or the dynamic loader runs anything.
What an agent truly cannot do is what its sandbox keeps from it: the file,
network and exec rules of the system (`docs/security.md`). The sandbox takes of
these rules what it can enforce: see L{clove.policy.programs}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from clove.errors import LimitExceeded
from clove.policy.command_rules import Words, is_usual_place, rules_by_program
from clove.policy.permissions import Decision, Permissions, check_flag
from clove.policy.shell import Unreadable, simple_commands
from clove.policy.work import Work

__all__ = ["check_command", "check_main_program"]

SHELLS: Final = frozenset(["sh", "bash", "dash", "ash", "zsh", "ksh"])
WRAPPERS: Final = frozenset(
    [
        "env",
        "nohup",
        "nice",
        "timeout",
        "xargs",
        "exec",
        "command",
        "builtin",
        "setsid",
        "stdbuf",
        "ionice",
        "chrt",
        "taskset",
        "busybox",
        "toybox",
        "sudo",
        "doas",
        "watch",
        "strace",
        "unshare",
        "flock",
        "parallel",
    ]
)
"""Programs that run the command that their own words hold."""
MAX_NESTED: Final = 6
"""Shells and wrappers within each other (`sh -c "sh -c ..."`); deeper is denied."""
MAX_JUDGED: Final = 512
"""Simple commands in one line, nested ones too; more are denied."""
MAX_WORDS_TEXT: Final = 1 << 20
"""Characters of a command given as words that rules can judge; a longer one is denied."""
MAX_SHIFT: Final = 32
"""Words of a wrapper that may stand before the command that it runs; more are denied."""
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=.*", re.DOTALL)
_ARGUMENT: Final = re.compile(r"-.*|[0-9.]+[smhd]?|[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_COMPUTED: Final = re.compile(r"[$*?\[{]")


class _Judge:
    """Holds one command line against the rules. The first denial counts.

    @raise LimitExceeded: (from L{line} and L{words}) there is too much to judge.
    """

    def __init__(self, permissions: Permissions) -> None:
        self._blocked = rules_by_program(permissions.blocked_commands)
        self._allowed = rules_by_program(permissions.allowed_commands)
        self._names = permissions.allowed_commands[:8]
        self._left = MAX_JUDGED
        self._rule = "blocked_commands"
        self.work = Work("the command")

    def line(self, text: str) -> Decision:
        """Judge a line for the shell."""
        return self._line(text, 0) or Decision(True, self._rule)

    def words(self, words: tuple[str, ...]) -> Decision:
        """Judge one command that no shell will read."""
        return self._command(words, 0) or Decision(True, self._rule)

    def _line(self, text: str, depth: int) -> Decision | None:
        self.work.spend(len(text) // 2)
        try:
            commands = simple_commands(text)
        except Unreadable as error:
            return _unreadable(str(error))
        for words in commands:
            start = 0
            while start < len(words) and _ASSIGNMENT.fullmatch(words[start]):
                start += 1
            words = words[start:]
            denial = self._command(tuple(words), depth) if words else None
            if denial is not None:
                return denial
        return None

    def _command(self, words: tuple[str, ...], depth: int) -> Decision | None:
        self._left -= 1
        if self._left < 0 or depth > MAX_NESTED:
            return _unreadable("it holds too many commands, or nests them too deep")
        command = self._read(words)
        if _COMPUTED.search(command.program) and command.program not in ("[", "[["):
            return _unreadable(f"the shell computes the program's name from {words[0][:80]!r}")
        return self._blocks(command) or self._misses(command) or self._inner(command, depth)

    def _read(self, words: tuple[str, ...]) -> Words:
        """A simple command. Its rules are counted, and its words, which they may look at."""
        command = Words(words)
        rules = self._blocked.get(command.program, ()) + self._allowed.get(command.program, ())
        self.work.spend(1 + len(words) // 8)
        if rules:
            self.work.spend(len(rules) + len(words) + sum(map(len, words)) // 256)
        return command

    def _blocks(self, command: Words) -> Decision | None:
        for rule in self._blocked.get(command.program, ()):
            if rule.matches(command):
                return Decision(
                    False, f"blocked_commands: {rule.text}", "do it without this command"
                )
        return None

    def _misses(self, command: Words) -> Decision | None:
        """With an allowed list: denied unless a rule of it matches."""
        if not self._allowed:
            return None
        given = command.words[0]
        for rule in self._allowed.get(command.program, ()):
            if rule.matches(command) and (is_usual_place(given) or rule.given == given):
                self._rule = f"allowed_commands: {rule.text}"
                return None
        names = ", ".join(self._names)
        return Decision(
            False, "allowed_commands", f"{given[:80]!r} is not allowed; allowed: {names}"
        )

    def _inner(self, command: Words, depth: int) -> Decision | None:
        """Judge what a program that runs others is given to run."""
        words = command.words
        if command.program in SHELLS:
            return self._shell(words, depth)
        if command.program == "eval":
            return self._line(" ".join(words[1:]), depth + 1)
        if command.program == "find":
            starts = [at for at, word in enumerate(words[:-1]) if word in _FIND_RUNS]
            return self._first(self._command(words[at + 1 :], depth + 1) for at in starts)
        if command.program in WRAPPERS:
            return self._wrapped(words[1:], depth)
        return None

    def _shell(self, words: tuple[str, ...], depth: int) -> Decision | None:
        """`sh -c LINE`; a script file is beyond a command rule."""
        self.work.spend(len(words) // 8)
        for at, word in enumerate(words[1:], 1):
            if word.startswith("-") and not word.startswith("--") and "c" in word:
                lines = [one for one in words[at + 1 :] if not one.startswith(("-", "+"))]
                return self._line(lines[0], depth + 1) if lines else None
        return None

    def _wrapped(self, rest: tuple[str, ...], depth: int) -> Decision | None:
        """Which word begins the inner command is for each wrapper to know: try them."""
        start = 0
        while start < min(len(rest), MAX_SHIFT + 1) and _ARGUMENT.fullmatch(rest[start]):
            start += 1
        if start > MAX_SHIFT:
            return _unreadable(f"more than {MAX_SHIFT} words before the command")
        if self._allowed and start < len(rest):
            denial = self._command(rest[start:], depth + 1)
            if denial is not None:
                return denial
        for at in range(min(len(rest), MAX_SHIFT)):
            command = self._read(rest[at:])
            denial = self._blocks(command)
            if denial is None and command.program in SHELLS and at != start:
                denial = self._shell(command.words, depth + 1)
            if denial is not None:
                return denial
        return None

    @staticmethod
    def _first(denials: Iterable[Decision | None]) -> Decision | None:
        return next((denial for denial in denials if denial is not None), None)


_FIND_RUNS: Final = frozenset(("-exec", "-execdir", "-ok", "-okdir"))


def _unreadable(why: str) -> Decision:
    return Decision(
        False, "command-unreadable", f"{why}; write it plainly, or put it into a script"
    )


def check_main_program(
    permissions: Permissions, command: tuple[str, ...] | list[str], interpreter: str
) -> Decision:
    """May an agent with these permissions be what runs a command?

    It gets nothing by that which its script could not execute. Its interpreter can be executed
    whatever the rules are, by a script as well (docs/agreement.md, `start-programs`).

    @param command: the program and its arguments.
    @param interpreter: the Python that comes along.
    """
    if command[0] == interpreter:
        return Decision(True, "start-programs")
    return check_command(permissions, command)


def check_command(permissions: Permissions, command: str | tuple[str, ...] | list[str]) -> Decision:
    """May this command be run?

    @param command: a line for the shell, or the words of one command.
    """
    decision = check_flag(permissions, "can_exec")
    if not decision.allowed:
        return decision
    if not permissions.blocked_commands and not permissions.allowed_commands:
        return Decision(True, f"level: {permissions.level.value}")
    judge = _Judge(permissions)
    try:
        if isinstance(command, str):
            return judge.line(command)
        if not command or sum(map(len, command)) > MAX_WORDS_TEXT:
            return _unreadable("it is empty or too long")
        return judge.words(tuple(command))
    except LimitExceeded:
        return _unreadable("it is too long, or holds too many commands within commands")
