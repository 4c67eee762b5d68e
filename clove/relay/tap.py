"""`twistd clove-relay`: the command line, and nothing else."""

from __future__ import annotations

from twisted.application.service import IService
from twisted.python import usage

from clove.errors import CloveError
from clove.loop.collector import without_collections

__all__ = ["Options", "makeService"]


class Options(usage.Options):
    """Options of the relay daemon."""

    synopsis = "[--state-dir DIR] [--config FILE.toml] [--admin-token]"
    longdesc = (
        "Run a Clove relay: kernels behind NAT connect to it, people and remote agents reach them "
        "there. The first start makes an admin token and shows it once. "
        "Options given here win over the configuration file."
    )
    optParameters = [
        [
            "state-dir",
            "d",
            None,
            "directory for the registry [default: /var/lib/clove-relay for root, "
            "else ~/.local/state/clove-relay]",
        ],
        ["config", "c", None, "configuration file (TOML), see docs/fleet.md"],
        [
            "optional-config",
            None,
            None,
            "a configuration file that need not be there, as in a unit of systemd; --config wins",
        ],
    ]
    optFlags = [
        ["admin-token", None, "make another admin token at this start, and show it once"],
    ]


def makeService(options: Options) -> IService:
    """Twisted's hook: the service for these options.

    @raise SystemExit: the configuration is wrong; in one line.
    """
    with without_collections():
        from clove.regular import existing
        from clove.relay.config import load
        from clove.relay.service import make_service, refusal

    try:
        return make_service(
            load(options["config"] or existing(options["optional-config"])),
            state_dir=options["state-dir"],
            new_admin=bool(options["admin-token"]),
        )
    except CloveError as error:
        raise SystemExit(refusal(error)) from None
