"""Asking a machine's kernel on behalf of a token's bearer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Final

from twisted.logger import Logger

from clove.errors import CloveError, Unavailable
from clove.messages.relay import Caller
from clove.relay.absent import no_machine
from clove.relay.kernel_client import NO_SENSE, KernelClient
from clove.relay.records import ADMINISTRATORS, Identity, TokenKind
from clove.relay.rest.context import Context

__all__ = ["kernel_of", "unintelligible"]

_log = Logger(namespace=__name__)
_OF_RELAY: Final = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.INTERNAL_SERVER_ERROR))
"""Statuses by which a relay speaks of itself."""


@contextlib.asynccontextmanager
async def kernel_of(
    context: Context, identity: Identity, machine_id: str, purpose: str = ""
) -> AsyncIterator[KernelClient]:
    """A client of a machine's kernel; its channel ends with the block, and with the token's validity
    and reach.

    What may be done there the kernel decides: the relay says who asks, by which token, and what the
    token's calls are to be narrowed to.

    @param purpose: makes the caller another one for the kernel, which sends events to each once.
    @raise NotFound: there is no such machine, or the bearer may not reach it.
    @raise NotAuthenticated: the token is not valid any more.
    @raise Unavailable: it is not connected, or its kernel speaks as none does.
    """
    await _check_reach(context, identity, machine_id)
    hub = context.machines.hub
    here = hub.is_here(machine_id)
    machine = await hub.find(machine_id, identity.token_id)
    if not here:  # others may have changed it meanwhile
        await _check_reach(context, identity, machine_id)
    context.tokens.check_valid(identity)  # no wait lies between this and its being watched
    is_admin = identity.kind is TokenKind.ADMIN
    caller = Caller(
        id=hub.next_agent_id(),
        name=f"{(identity.name or identity.token_id)[:100]} {purpose}".rstrip(),
        token_id=ADMINISTRATORS if is_admin else identity.token_id,
        permissions=identity.permissions,
    )
    client = KernelClient(context.clock, lambda: machine.open(caller))
    stop_watching = context.machines.watch(identity, machine_id, lambda reason: client.abort())
    try:
        with _kernels_word(machine_id):
            await client.connect()
            yield client
    finally:
        stop_watching()
        client.close().addErrback(lambda _: None)


@contextlib.contextmanager
def _kernels_word(machine_id: str) -> Iterator[None]:
    """What a kernel says is neither the relay's own word nor its fault.

    @raise Unavailable: it says what none does.
    """
    try:
        yield
    except NO_SENSE as error:
        _log.warn(
            "the kernel of {machine} answers what makes no sense: {error!r}",
            machine=machine_id,
            error=error,
        )
        raise unintelligible(machine_id) from None
    except CloveError as error:
        if type(error) is CloveError or error.http_status in _OF_RELAY:
            raise unintelligible(machine_id) from None
        raise


def unintelligible(machine_id: str) -> Unavailable:
    """The error for what a kernel has said that makes no sense."""
    return Unavailable(
        f"the kernel of machine {machine_id} gives no answer that can be understood",
        hint="look at its log, and at the version of Clove there",
    )


async def _check_reach(context: Context, identity: Identity, machine_id: str) -> None:
    """@raise NotFound: there is no such machine for this bearer."""
    if not await context.machines.may_reach(identity, machine_id):
        raise no_machine()
