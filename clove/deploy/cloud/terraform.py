"""The user's terraform, with its state in a directory of ours. Blocking.

It writes to a file and not to a pipe of ours: so it comes to a good end, and its state is whole, also when we are
killed; the next run waits for its lock. No secret is in its arguments, variables or state.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from clove.deploy.programs import last_lines
from clove.errors import Internal, NotFound, Unavailable

__all__ = ["LOG", "Plan", "Terraform"]

LOG: Final = "terraform.log"
"""What terraform said last, in its directory."""
PLAN: Final = "plan"
STATE: Final = "terraform.tfstate"
MOST: Final = 1 << 24
"""Bytes of an answer."""
REASON: Final = 400
"""Characters of an error that are shown; all of it is in the log."""
EVERY: Final = 0.05
"""Seconds between two looks at whether it has ended."""
LOCK: Final = "-lock-timeout=600s"
"""A terraform that goes on after its `clove` was killed has the state until it has ended."""
ENVIRONMENT: Final = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}


class Plan(NamedTuple):
    """What an apply would do.

    @ivar actions: for each address of a resource, what is done to it: C{create}, C{update}, C{delete}; without
        those that stay as they are.
    """

    actions: Mapping[str, tuple[str, ...]]

    @property
    def text(self) -> str:
        """How many are made, changed and removed."""
        count = dict.fromkeys(("create", "update", "delete"), 0)
        for actions in self.actions.values():
            for action in actions:
                count[action] = count.get(action, 0) + 1
        return (
            f"{count['create']} to make, {count['update']} to change, {count['delete']} to remove"
        )

    def makes(self, address: str) -> bool:
        """Whether a resource is made, also in place of one."""
        return "create" in self.actions.get(address, ())


class Terraform:
    """terraform, for the module in one directory.

    @param program: its name or path.
    @ivar directory: has the module, its variables and its state; of mode 0700.
    """

    def __init__(self, directory: Path, program: str = "terraform") -> None:
        self.directory = directory
        self._program = program

    @property
    def is_prepared(self) -> bool:
        """Whether C{init} has been here."""
        return (self.directory / ".terraform.lock.hcl").exists()

    @property
    def state(self) -> Path:
        """What it knows of what it has made."""
        return self.directory / STATE

    def begin_state(self) -> None:
        """Have an empty state, if there is none: from now on one that is gone was removed by somebody.

        @raise OSError: it cannot be made.
        """
        os.close(os.open(self.state, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def init(self) -> None:
        """Fetch the provider.

        @raise CloveError: it cannot be had, or there is no terraform.
        """
        self._run("init", "-input=false", "-no-color")

    def plan(self) -> Plan:
        """Ask the cloud what there is, and find what an apply would do about it.

        @raise CloveError: it cannot tell.
        """
        self._run("plan", "-input=false", "-no-color", LOCK, f"-out={PLAN}")
        found = self._asked("show", "-json", PLAN)
        return Plan(
            {
                each["address"]: tuple(each["change"]["actions"])
                for each in found.get("resource_changes", [])
                if each["mode"] == "managed" and each["change"]["actions"] != ["no-op"]
            }
        )

    def apply(self, on_line: Callable[[str], None]) -> None:
        """Do what was planned last.

        @param on_line: is called with each line that terraform says.
        @raise CloveError: it could not be done, or not all of it.
        """
        self._run("apply", "-input=false", "-no-color", LOCK, PLAN, on_line=on_line)

    def destroy(self, on_line: Callable[[str], None]) -> None:
        """Remove all that it has made.

        @raise CloveError: something could not be removed.
        """
        words = ("destroy", "-auto-approve", "-input=false", "-no-color", LOCK)
        self._run(*words, on_line=on_line)

    def outputs(self) -> dict[str, Any]:
        """The module's outputs; empty before the first apply."""
        return {name: each["value"] for name, each in self._asked("output", "-json").items()}

    def resources(self) -> list[str]:
        """The addresses of what it has made, as its state has them."""
        root = self._asked("show", "-json").get("values", {}).get("root_module", {})
        return [each["address"] for each in root.get("resources", []) if each["mode"] == "managed"]

    def _asked(self, *words: str) -> Any:
        """What it answers in JSON. Changes nothing, so it may go with us."""
        process = self._started(words, subprocess.PIPE, subprocess.PIPE)
        out, err = process.communicate()
        if process.returncode:
            raise Unavailable(f"terraform {words[0]}: {last_lines(err) or 'failed'}")
        try:
            if len(out) > MOST:
                raise ValueError
            return json.loads(out)
        except ValueError:
            raise Internal(
                f"terraform {words[0]} does not answer in JSON",
                hint="terraform 1.5 or newer is needed",
            ) from None

    def _run(self, *words: str, on_line: Callable[[str], None] = lambda line: None) -> None:
        """Run it to its end.

        @raise Unavailable: its status is not 0.
        """
        log = self.directory / LOG
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            process = self._started(words, descriptor, subprocess.STDOUT)
        finally:
            os.close(descriptor)
        with log.open("rb") as said:
            status = _followed(process, said, on_line)
        if status:
            raise Unavailable(
                f"terraform {words[0]}: {_reason(log.read_bytes())}",
                hint=f"all that it said is in {log}",
            )

    def _started(self, words: tuple[str, ...], stdout: int, stderr: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [self._program, f"-chdir={self.directory}", *words],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, **ENVIRONMENT},
                umask=0o077,
            )
        except FileNotFoundError:
            raise NotFound(
                f"there is no program {self._program}",
                hint="install terraform 1.5 or newer, or name another: --terraform tofu",
            ) from None
        except OSError as error:
            raise Unavailable(f"{self._program} cannot be started: {error.strerror}") from None


def _followed(process: subprocess.Popen[bytes], said: Any, on_line: Callable[[str], None]) -> int:
    """Its status, at its end. Ctrl-C reaches it as it does us: it stops in good order, which is waited for."""
    begun, interrupted = b"", False
    while True:
        try:
            status = process.poll()
            *lines, begun = (begun + said.read(1 << 16)).split(b"\n")
            for line in lines:
                if text := last_lines(line):
                    on_line(text)
            if status is not None and not lines:
                break
            time.sleep(0 if lines else EVERY)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            on_line("waiting until terraform has stopped; Ctrl-C again does not wait")
    if interrupted:
        raise KeyboardInterrupt
    return status


def _reason(said: bytes) -> str:
    """The first error that it names, in one line."""
    lines = [line.strip("│ ╷╵\t") for line in said.decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    start = next((at for at, line in enumerate(lines) if line.startswith("Error:")), -3)
    text = " / ".join(lines[start:][:3])[:REASON]
    return "".join(char for char in text if char.isprintable()) or "it failed and said nothing"
