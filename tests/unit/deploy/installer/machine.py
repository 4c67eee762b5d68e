"""A user's home, and bundles to install there."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

from clove.deploy.installer.main import main

__all__ = ["Machine"]

UNIT = "[Service]\nExecStart=%h/.local/share/clove/current/bin/twistd -n clove-kernel\n"


class Machine:
    """A user's home, and bundles to install there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.prefix = home / ".local/share/clove"
        self.unit = home / ".config/systemd/user/clove-kernel.service"
        self.command = home / ".local/bin/clove"

    def bundle(self, release: str, **facts: object) -> Path:
        path = self.home.parent / f"bundle-{release}"
        (path / "systemd/user").mkdir(parents=True, exist_ok=True)
        (path / "systemd/system").mkdir(exist_ok=True)
        (path / "wheels").mkdir(exist_ok=True)
        (path / "systemd/user/clove-kernel.service").write_text(f"# {release}\n{UNIT}")
        (path / "systemd/system/clove-kernel.service").write_text("")
        python = f"{sys.version_info[0]}.{sys.version_info[1]}"
        usual: dict[str, object] = {"release": release, "python": python, "glibc": 2}
        usual["machine"] = platform.machine()
        (path / "bundle.json").write_text(json.dumps(usual | facts))
        return path

    def install(self, release: str, *options: str, more: tuple[str, ...] = ()) -> int:
        """@param more: names of units that it has besides that of the kernel."""
        bundle = self.bundle(release)
        for name in more:
            (bundle / "systemd/user" / name).write_text(UNIT)
        return main(["--user", *options], bundle=str(bundle))

    def entries(self) -> set[str]:
        return {
            str(path.relative_to(self.home)) for path in self.home.rglob("*") if not path.is_dir()
        }
