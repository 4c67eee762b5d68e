"""`twistd clove-tunnel`: the command line, and nothing else."""

from __future__ import annotations

from twisted.application.service import IService
from twisted.python import usage

from clove.errors import CloveError

__all__ = ["Options", "makeService"]


class Options(usage.Options):
    """Options of the tunnel daemon."""

    synopsis = "--config FILE.toml"
    longdesc = (
        "Connect a Clove kernel to a relay, from a process beside it. The kernel's configuration has "
        "remote.socket, where callers are handed over; both processes belong to the same user."
    )
    optParameters = [
        ["config", "c", "/etc/clove/tunnel.toml", "configuration file (TOML), see docs/fleet.md"]
    ]


def makeService(options: Options) -> IService:
    """Twisted's hook: the service for these options.

    @raise SystemExit: the configuration is wrong; in one line.
    """
    import os

    from twisted.internet import reactor

    from clove.systemd.notify import Notifier
    from clove.tunnel.config import load
    from clove.tunnel.service import TunnelService, refusal

    try:
        notifier = Notifier.from_environment(reactor, os.environ)
        return TunnelService(reactor, load(options["config"]), notifier)
    except CloveError as error:
        raise SystemExit(refusal(error)) from None
