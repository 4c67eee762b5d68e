"""A machine that there is not is refused with the near one, of those that the token may see."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from clove.errors import CloveError, NotFound
from clove.spelling import guess, shown

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["near_machine"]

MOST: Final = 1000
"""Machines that are looked at."""


@contextlib.contextmanager
def near_machine(fleet: FleetClient, machine: str) -> Iterator[None]:
    """Requests about a machine: if there is none of this name, that is said with the near one.

    @raise NotFound: what was asked for is not there.
    """
    try:
        yield
    except NotFound as error:
        if "no such machine" not in error.message:
            raise
        try:
            known = tuple(each["machine_id"] for each in islice(fleet.machines(), MOST))
        except CloveError:
            raise error from None
        if machine in known:
            raise
        close = guess(machine, known)
        hint = f"did you mean {close}?" if close else error.hint
        raise NotFound(f"there is no such machine: {shown(machine)}", hint=hint) from None
