"""Which relay and which machine a command means, and by which token.

Values come from the command line, else the environment, else a context of ~/.clove/config.yaml; a context that is
named on the command line comes before the environment. A context's token goes to the context's relay alone: where
another relay is named, nothing of the context is used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from clove.errors import InvalidRequest, NotFound
from clove.spelling import near, shown

if TYPE_CHECKING:
    from clove.cli.fleet.config_file import Config
    from clove.client.fleet import FleetClient
    from clove.client.fleet_plan import Asked

__all__ = [
    "SECRET",
    "Context",
    "chosen_context",
    "fleet_client",
    "machine_context",
    "read_contexts",
]

SECRET: Final = "relay-token"  # noqa: S105 its name
"""The user's own secret that is the token where no context has one."""
HUB_PORT: Final = 8765


def read_contexts() -> Config:
    """The contexts of ~/.clove/config.yaml; none if there is no such file.

    @raise CloveError: the file is not private, or wrong.
    """
    from clove.cli.fleet.config_file import read_config

    return read_config()


class Context:
    """A relay, and how it is spoken to.

    @ivar name: in the file; "": none of the file is used.
    @ivar relay: URL of its REST API.
    @ivar hub: URL of its WebSockets.
    @ivar ca_file: certificates in PEM that are trusted instead of the host's, or None.
    @ivar machine: the machine that is meant if a command names none, or None.
    """

    def __init__(
        self,
        name: str,
        values: Mapping[str, str],
        *,
        machine: str | None = None,
        token: str | None = None,
        token_file: str | None = None,
    ) -> None:
        self.name = name
        self.relay = values.get("relay") or _default_relay()
        self.hub = values.get("hub") or _hub_of(self.relay)
        ca_file = values.get("ca_file")
        self.ca_file = os.path.expanduser(ca_file) if ca_file else None
        self.machine = machine
        self._values = values
        self._token = token
        self._token_file = token_file

    def token_source(self) -> str | None:
        """Where the token comes from, in words; None: there is none, as far as can be said without reading it."""
        from clove.cli.fleet.config_file import TOKEN_KEYS

        if self._token_file:
            return f"file {self._token_file}"
        if self._token:
            return "$CLOVE_RELAY_TOKEN"
        if not self.name:
            return f"your secret {SECRET}"
        key = next((each for each in TOKEN_KEYS if each in self._values), None)
        if key is None or key == "token":
            return key and "in ~/.clove/config.yaml"
        return f"{key.removeprefix('token_')} {self._values[key]}"

    def token(self) -> str:
        """The token, read now.

        @raise CloveError: there is none, or it cannot be read.
        """
        if self._token and not self._token_file:
            return self._token.strip()
        from clove.cli.fleet.context_token import token_of

        return token_of(self.name, self._values, self._token_file)

    def fleet(self, timeout: float = 30.0) -> FleetClient:
        """A client of the relay's REST API; its token is read now.

        @param timeout: seconds for an answer.
        @raise CloveError: there is no token, or it cannot be read.
        """
        return fleet_client(self.relay, self.token(), self.ca_file, timeout)


def fleet_client(
    relay: str, token: str, ca_file: str | None = None, timeout: float = 30.0
) -> FleetClient:
    """A client of a relay's REST API whose replies are checked for what commands read.

    @raise InvalidRequest: the address is none.
    """
    from clove.client.fleet import FleetClient

    fleet = FleetClient(relay, token, ca_file=ca_file, timeout=timeout)
    fleet.check_reply = _check_reply
    return fleet


def _check_reply(asked: Asked, reply: dict[str, Any]) -> None:
    from clove.cli.fleet.relay_answers import check_reply  # not before something has answered

    check_reply(asked, reply)


def chosen_context(
    given: str | None = None,
    *,
    relay: str | None = None,
    token_file: str | None = None,
    ca_file: str | None = None,
    machine: str | None = None,
) -> Context:
    """The context that a command means.

    @param given: C{NAME}, C{NAME/MACHINE} or C{/MACHINE}, as C{--context} has it; else $CLOVE_CONTEXT, else the file's
        C{current}.
    @param relay: a URL; else $CLOVE_RELAY, else the context's.
    @param token_file: file that has the token; else $CLOVE_RELAY_TOKEN, else the context's.
    @param ca_file: else $CLOVE_RELAY_CA_FILE, else the context's.
    @param machine: else that of `given` or $CLOVE_CONTEXT, else $CLOVE_MACHINE, else the context's.
    @raise CloveError: there is no such context, or the file is not private, or wrong.
    """
    named, _, of_given = (given or "").partition("/")
    environ: Mapping[str, str] = {} if named else os.environ
    if not given:
        named, _, of_given = environ.get("CLOVE_CONTEXT", "").partition("/")
    config = read_contexts()
    name = named or config.current
    if given == named and named and named not in config.contexts:
        _check_no_machine(named, config)
    values: Mapping[str, str] = config.context(name) if name else {}
    relay = relay or environ.get("CLOVE_RELAY")
    if relay and relay.rstrip("/") != values.get("relay", "").rstrip("/"):
        name, values = "", {"relay": relay}
    ca_file = ca_file or environ.get("CLOVE_RELAY_CA_FILE")
    if ca_file:
        values = {**values, "ca_file": ca_file}
    machine = machine or of_given or environ.get("CLOVE_MACHINE", "") or values.get("machine", "")
    token = environ.get("CLOVE_RELAY_TOKEN")
    return Context(name, values, machine=machine or None, token=token, token_file=token_file)


def machine_context(given: str | None) -> Context | None:
    """The context of commands that ask a kernel; None: that of this host.

    @param given: as `--context` has it: then it must name a machine.
    @raise CloveError: it names none, or there is no such context.
    """
    context = chosen_context(given)
    if context.machine is None:
        if given:
            raise InvalidRequest(
                f"context {shown(given)!r} names no machine, and this command is about one",
                hint=f"--context {context.name or given}/MACHINE; clove machines list shows them",
            )
        return None
    return context


def _check_no_machine(named: str, config: Config) -> None:
    """Say how a machine is named, where its name stands in place of a context's.

    @raise NotFound: it is no context, and none is near.
    """
    known = near(named, tuple(config.contexts))
    if config.current and not known.startswith("did you mean"):
        raise NotFound(
            f"no context {shown(named)!r} in ~/.clove/config.yaml",
            hint=f"{known}; a machine of {config.current} is --context /{shown(named)}",
        )


def _default_relay() -> str:
    from clove.client.fleet import DEFAULT_RELAY  # brings much with it

    return DEFAULT_RELAY


def _hub_of(relay: str) -> str:
    """The usual address of a relay's WebSockets."""
    parts = urlsplit(relay)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{host}:{HUB_PORT}"
