"""`twistd clove-kernel`: the command line, and nothing else."""

from __future__ import annotations

from twisted.application.service import IService
from twisted.python import usage

from clove.errors import CloveError
from clove.kernel.pid1 import hold_signals, is_pid1
from clove.kernel.plain_reactor import import_reactor
from clove.loop.collector import without_collections

__all__ = ["Options", "makeService"]


class Options(usage.Options):
    """Options of the kernel daemon."""

    synopsis = "[--socket PATH] [--state-dir DIR] [--config FILE.toml]"
    longdesc = (
        "Run a Clove kernel. Agents and the clove command connect to its Unix socket. "
        "Options given here win over the configuration file."
    )
    optParameters = [
        [
            "socket",
            "s",
            None,
            "the only Unix socket to listen on [default: /run/clove/clove.sock for root, else "
            "$XDG_RUNTIME_DIR/clove/clove.sock; and /tmp/clove.sock]",
        ],
        [
            "state-dir",
            "d",
            None,
            "directory for logs and workspaces [default: /var/lib/clove for root, "
            "else ~/.local/state/clove]",
        ],
        ["config", "c", None, "configuration file (TOML), see docs/configuration.md"],
        [
            "optional-config",
            None,
            None,
            "a configuration file that need not be there, as in a unit of systemd; --config wins",
        ],
    ]


def makeService(options: Options) -> IService:
    """Twisted's hook: the service for these options.

    @raise SystemExit: the configuration is wrong; in one line.
    """
    if is_pid1():  # a signal from now on waits until the service has started
        hold_signals()
    with without_collections():
        import_reactor()
        from clove.kernel.config import load
        from clove.kernel.interpreter import settle_interpreter
        from clove.kernel.service import make_service, refusal
        from clove.regular import existing

    config_file = options["config"] or existing(options["optional-config"])
    try:
        service = make_service(
            load(config_file),
            socket=options["socket"],
            state_dir=options["state-dir"],
            config_file=config_file,
        )
    except CloveError as error:
        raise SystemExit(refusal(error)) from None
    settle_interpreter()
    return service
