"""Where an installation lies: the system's for root, else the user's own. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Layout", "system_layout", "user_layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of an installation.

    @ivar prefix: it has a directory for each release, and C{current}, a link to the one in use.
    @ivar programs: where the command C{clove} is linked.
    @ivar units: where systemd reads units.
    @ivar settings: where configurations are.
    @ivar user: of one user, without root.
    """

    prefix: Path
    programs: Path
    units: Path
    settings: Path
    user: bool

    @property
    def current(self) -> Path:
        """The link to the release in use."""
        return self.prefix / "current"

    @property
    def record(self) -> Path:
        """What was placed outside of the prefix."""
        return self.prefix / "placed.json"

    @property
    def systemd(self) -> dict[str, Path]:
        """Where each directory of the bundle's C{systemd/} belongs; without those that are of no use here."""
        if self.user:
            return {"user": self.units}
        return {
            "system": self.units,
            "sysusers.d": self.settings / "sysusers.d",
            "tmpfiles.d": self.settings / "tmpfiles.d",
        }

    def files(self, names: list[str]) -> dict[str, Path]:
        """Where files of the bundle's C{systemd/} belong; those that this installation has no use for are left out.

        @param names: paths relative to C{systemd/}.
        """
        targets = self.systemd
        return {
            name: targets[kind] / rest
            for name in names
            for kind, _, rest in [name.partition("/")]
            if rest and kind in targets
        }


def system_layout(prefix: Path | None = None) -> Layout:
    """That of root."""
    prefix = prefix or Path("/opt/clove")
    return Layout(
        prefix, Path("/usr/local/bin"), Path("/etc/systemd/system"), Path("/etc"), user=False
    )


def user_layout(environment: Mapping[str, str], home: Path, prefix: Path | None = None) -> Layout:
    """That of a user.

    @param environment: C{XDG_DATA_HOME} and C{XDG_CONFIG_HOME}, where they are set, are heeded.
    """
    data = environment.get("XDG_DATA_HOME") or home / ".local/share"
    settings = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    units = settings / "systemd/user"
    return Layout(prefix or Path(data, "clove"), home / ".local/bin", units, settings, user=True)
