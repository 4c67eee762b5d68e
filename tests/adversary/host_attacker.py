"""An agent on the host without a sandbox that is held to path rules alone."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clove.errors import PermissionDenied
from clove.kernel.calls.files import read, write
from clove.kernel.context import Context
from clove.kernel.files import FileLimits
from clove.kernel.principal import Kind, Principal
from clove.messages.files import ReadRequest, WriteRequest
from clove.policy import for_level
from clove.sandbox.host import HostView
from clove.sandbox.launcher import Launcher
from clove.threads.threads import Threads

SECRET = "the secret"


class Parts:
    """What READ and WRITE use of a kernel."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.file_limits = FileLimits()


class Attacker:
    """An agent on the host that may use `ours` and `ours` alone; `theirs` holds the secret."""

    def __init__(self, threads: Threads, launcher: Launcher, root: Path) -> None:
        self.ours = root / "app"
        self.theirs = root / "appdata"
        self.ours.mkdir()
        self.theirs.mkdir()
        (self.theirs / "secret").write_text(SECRET)
        (self.ours / "plain").write_text("ours")
        view = HostView(threads, launcher, str(self.ours))
        self.principal = Principal(7, Kind.AGENT, for_level("standard"), view=view)
        self.allow(str(self.ours), f"{self.ours}/**")
        kernel: Any = Parts(threads)
        self.context = Context(kernel, self.principal)

    def allow(self, *paths: str, blocked: tuple[str, ...] = ()) -> None:
        self.principal.permissions = msgspec.structs.replace(
            for_level("standard"),
            allowed_read_paths=paths,
            allowed_write_paths=paths,
            blocked_paths=blocked,
        )

    async def read(self, path: str | Path) -> str:
        reply = json.loads(await read(self.context, ReadRequest(path=str(path))))
        content: str = reply["content"]
        return content

    async def write(self, path: str | Path, content: str = "owned", mode: str = "write") -> None:
        fields = {"path": str(path), "content": content, "mode": mode}
        await write(self.context, msgspec.convert(fields, WriteRequest))

    async def denied(self, path: str | Path) -> str:
        """Neither to be read nor written; gives the rule."""
        with pytest.raises(PermissionDenied) as reading:
            await self.read(path)
        for mode in ("write", "append"):
            with pytest.raises(PermissionDenied) as writing:
                await self.write(path, mode=mode)
            assert (
                writing.value.rule.split(":")[0].replace("write", "read")
                == (reading.value.rule.split(":")[0])
            )
        assert (self.theirs / "secret").read_text() == SECRET
        return reading.value.rule
