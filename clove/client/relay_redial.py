"""How a link to a relay whose connection was cut gets another one. Blocking, standard library only."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

from clove.client.relay_connection import RelayAddress, RelayConnection
from clove.client.welcome import Welcome
from clove.errors import CloveError, ConnectionLost, PermissionDenied

__all__ = ["Redial", "Told"]

Told = Callable[[str], object]
"""Is told, by a thread of its own, what happens to the connection: in words, for people."""
TOLD_AFTER = 1.0
"""Seconds without a connection before that is said."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_ATTEMPT_SECONDS = 10.0
_SOON = 5.0
"""Seconds for which a connection has to last; after a shorter one the next is made after a pause."""


class Redial:
    """Dials again, with pauses.

    @param told: see L{Told}.
    @param abandoned: says whether the client has closed its end meanwhile.
    @ivar down: it has been said that there is no connection.
    """

    def __init__(
        self, address: RelayAddress, told: Told | None, abandoned: Callable[[], bool]
    ) -> None:
        self.down = False
        self._address = address
        self._told = told
        self._abandoned = abandoned
        self._begun, self._pause = monotonic(), 0.0

    def dial(self, welcome: Welcome, received: int) -> RelayConnection:
        """Another connection, with the session resumed.

        @param received: as L{RelayConnection.open} has it.
        @raise CloveError: that cannot be, or not in time; the text is for people.
        """
        began = monotonic()
        self._pause_between()
        connection = self._dialled(welcome, received, began)
        if not connection.welcome.resumed:
            connection.close()
            raise ConnectionLost(
                "the connection through the relay has ended: the relay was started anew, or has given it up",
                hint="try again; what was under way may have been executed",
            )
        self._begun = monotonic()
        if self.down:
            self._tell(False, "the relay is there again")
        return connection

    def _dialled(self, welcome: Welcome, received: int, began: float) -> RelayConnection:
        deadline, pause = began + welcome.resume_seconds, _FIRST_PAUSE
        while True:
            attempt = min(deadline, monotonic() + _ATTEMPT_SECONDS)
            try:
                return RelayConnection.open(self._address, welcome.session, received, attempt)
            except PermissionDenied:
                raise
            except CloveError as error:
                if monotonic() + pause > deadline or self._abandoned():
                    raise ConnectionLost(
                        f"the connection through the relay is lost: {error.message}"
                    ) from None
                if not self.down and monotonic() >= began + TOLD_AFTER:
                    left = max(1, round(deadline - monotonic()))
                    self._tell(
                        True, f"{error.message}; trying again for {left} s, Ctrl-C ends this"
                    )
            sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _tell(self, down: bool, text: str) -> None:
        self.down = down
        if self._told is not None:
            self._told(text)

    def _pause_between(self) -> None:
        """A relay that cuts every connection at once is not dialled without a pause."""
        if monotonic() - self._begun > _SOON:
            self._pause = 0.0
        sleep(self._pause)
        self._pause = min(2 * self._pause + _FIRST_PAUSE, _LONGEST_PAUSE)
