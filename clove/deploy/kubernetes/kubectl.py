"""The user's kubectl. Blocking."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from clove.deploy.programs import Ran, run_program
from clove.errors import Internal, Unavailable

__all__ = ["Kubectl"]

_SECONDS: Final = 60.0
_MISSING: Final = "install kubectl, and check that it reaches the cluster: kubectl get nodes"


class Kubectl:
    """It, with the user's own access.

    @param context: of its configuration; "": the current one.
    """

    def __init__(self, context: str, run: Callable[..., Ran] = run_program) -> None:
        self._words = ["kubectl", *(["--context", context] if context else [])]
        self._run = run

    @property
    def command(self) -> str:
        """How a person calls it."""
        return " ".join(self._words)

    def ask(self, *words: str, stdin: bytes = b"", seconds: float = _SECONDS) -> str:
        """What it prints.

        @raise CloveError: there is none, or it fails; with the end of what it said.
        """
        ran = self._run([*self._words, *words], missing=_MISSING, stdin=stdin, timeout=seconds)
        if ran.status:
            raise Unavailable(f"kubectl {words[0]} failed: {ran.complaint}", hint=_MISSING)
        return ran.text

    def find(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        """An object, if it is there."""
        within = ["--namespace", namespace] if namespace else []
        text = self.ask("get", kind, name, *within, "--ignore-not-found", "--output", "json")
        if not text.strip():
            return None
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise Internal(f"kubectl get {kind} is not understood: {error}") from None
        return found

    def apply(self, objects: Sequence[dict[str, Any]]) -> None:
        """Make objects as they are said, by standard input.

        On the server's side: the client's way would keep a copy of each, secrets too, as an annotation.
        """
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        words = ["apply", "--server-side", "--force-conflicts", "--field-manager", "clove"]
        self.ask(*words, "--filename", "-", stdin=json.dumps(listed).encode())

    def rolled_out(self, name: str, namespace: str, seconds: int) -> None:
        """Wait until the pods of a StatefulSet are those that it says."""
        words = ["rollout", "status", f"statefulset/{name}", "--namespace", namespace]
        self.ask(*words, f"--timeout={seconds}s", seconds=seconds + _SECONDS)

    def delete_namespace(self, name: str, seconds: int) -> None:
        """Delete it, and wait until all in it is gone."""
        words = ["delete", "namespace", name, "--ignore-not-found", "--wait"]
        self.ask(*words, f"--timeout={seconds}s", seconds=seconds + _SECONDS)
