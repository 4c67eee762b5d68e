"""Opcode -> permission -> call: the one way from a request to its reply.

`table.py` has a line for each opcode. This module takes every request through
the same stages: accounting, decoding, permission, the call, audit, encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from clove.errors import CloveError, LimitExceeded
from clove.framing import MAX_REPLY
from clove.kernel.context import Context
from clove.kernel.failed_requests import FailedRequests, unknown_opcode
from clove.kernel.principal import Kind
from clove.kernel.remote.granted import require_remote
from clove.kernel.served import Served
from clove.messages import MALFORMED, Reply, Request, encode, encode_error, read
from clove.messages.recording import reply_of
from clove.messages.session import AsyncAccepted, AsyncResult
from clove.policy import check_any_flag

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from clove.kernel.connection.stream import Stream
    from clove.kernel.context import Kernel
    from clove.kernel.principal import Principal
    from clove.kernel.syscall import Syscall
    from clove.messages.mending import Misfit

__all__ = ["Dispatcher"]

_REMOTE = Kind.REMOTE  # to look it up in the enumeration each time takes 50 ns

Push = Callable[[Reply], bool]


class Dispatcher:
    """Serves requests for any number of connections.

    @param warnings: lines in the log, at most, about requests of one agent that were only partly
        understood.
    """

    log = Logger()

    def __init__(self, kernel: Kernel, table: Mapping[int, Syscall], *, warnings: int = 16) -> None:
        self._kernel = kernel
        self._warnings = warnings
        self._table = table
        self._served: dict[int, Served] = {}
        self.failed = FailedRequests(kernel)

    def answer(
        self,
        principal: Principal,
        opcode: int,
        payload: bytes,
        stream: Callable[[], Stream] | None = None,  # makes one; None on version 1
        push: Push | None = None,
    ) -> bytes | Deferred[bytes]:
        """The reply's payload: at once if possible, else by a Deferred that never fails.

        Cancelling the Deferred abandons the request.
        """
        principal.syscalls += 1
        if opcode == 0:
            return payload
        if (served := self._served.get(opcode) or self._look_up(opcode)) is None:
            return encode_error(unknown_opcode(opcode), reply_of(opcode))
        misfits: list[Misfit] | None = None
        try:
            if principal.kind is _REMOTE:
                require_remote(served.name)
            try:
                request = served.decode(payload or b"{}")
            except MALFORMED as error:
                request, misfits = _read(served.syscall, payload, error, version_1=stream is None)
            if served.flag and not getattr(principal.permissions, served.flag):
                _require_flag(served, principal)
            context = Context(self._kernel, principal, None, push)
            if served.has_options:
                reply = self._with_options(served, context, request, len(payload), stream)
            else:
                reply = self._run(served, context, request)
        except CloveError as error:
            reply = self.failed.reply(served.syscall, served.name, principal, error)
        except Exception:
            reply = self.failed.of_bug(served.syscall, served.name)
        return self._warned(principal, served, misfits, reply) if misfits else reply

    def _look_up(self, opcode: int) -> Served | None:
        """Look up what is asked for the first time: for all at the kernel's start it would take 10 ms.

        @return: None: there is no such opcode.
        """
        syscall = self._table.get(opcode)
        if syscall is None:
            return None
        served = self._served[opcode] = Served(opcode, syscall, self._kernel.audit.recorder)
        return served

    def _with_options(
        self,
        served: Served,
        context: Context,
        request: Any,
        size: int,
        stream: Callable[[], Stream] | None,
    ) -> bytes | Deferred[bytes]:
        """Run what may be asynchronous, or have partial replies."""
        if getattr(request, "async_", False):
            return self._accept(served, context, request, size)
        if stream is not None and (served.syscall.streams or _is_streamed(request)):
            context.stream = stream()
        return self._run(served, context, request)

    def _warned(
        self,
        principal: Principal,
        served: Served,
        misfits: list[Misfit],
        reply: bytes | Deferred[bytes],
    ) -> bytes | Deferred[bytes]:
        """A reply with `warnings`, also logged, about what of its request was not understood."""
        if principal.warned < self._warnings:
            principal.warned += 1
            self.log.warn(
                "agent {agent} sent {name}: {misfits}",
                agent=principal.agent_id,
                name=served.name,
                misfits="; ".join(map(str, misfits)),
            )
        words = encode([str(misfit) for misfit in misfits])
        if isinstance(reply, bytes):
            return _with_warnings(reply, words)
        return reply.addCallback(_with_warnings, words)

    def _run(self, served: Served, context: Context, request: Request) -> bytes | Deferred[bytes]:
        result = served.call(context, request)
        if result.__class__ is CoroutineType:
            deferred: Deferred[Any] = Deferred.fromCoroutine(result)
            return self._finish(deferred, served, context.principal, request)
        return _done(served, context.principal, request, result)

    def _finish(
        self, deferred: Deferred[Any], served: Served, principal: Principal, request: Request
    ) -> bytes | Deferred[bytes]:
        """Make the reply of a result or a failure; without a Deferred if there is one already."""

        def failed(failure: Failure) -> bytes:
            return self.failed.of_failure(served.syscall, served.name, principal, failure)

        def done(result: Any) -> bytes:
            return _done(served, principal, request, result)

        deferred.addCallback(done)
        deferred.addErrback(failed)
        if deferred.called and isinstance(deferred.result, bytes):
            return deferred.result
        return _outstanding(deferred, principal, served.name)

    def _accept(
        self, served: Served, context: Context, request: Any, size: int
    ) -> bytes | Deferred[bytes]:
        """Start an asynchronous request; ASYNC_POLL will give its result."""
        results = self._kernel.results
        agent_id = context.principal.agent_id
        request_id = results.open(agent_id, request.request_id, size, context.principal.family)

        def keep(payload: bytes) -> None:
            results.finish(
                agent_id,
                AsyncResult(
                    request_id=request_id,
                    opcode=served.opcode,
                    opcode_name=served.name,
                    payload=payload.decode("utf-8", "replace"),
                ),
                size,
            )

        try:
            outcome = self._run(served, context, request)
        except CloveError as error:
            outcome = self.failed.reply(served.syscall, served.name, context.principal, error)
        except Exception:
            outcome = self.failed.of_bug(served.syscall, served.name)
        if isinstance(outcome, bytes):
            keep(outcome)
        else:
            results.track(agent_id, outcome.addCallback(keep))
        return encode(AsyncAccepted(request_id=request_id))


def _done(served: Served, principal: Principal, request: Request, result: Any) -> bytes:
    """The reply's payload, with its audit entry."""
    payload = result if result.__class__ is bytes else encode(result)
    if len(payload) > MAX_REPLY:
        raise LimitExceeded(
            f"the reply has {len(payload)} bytes, the limit is {MAX_REPLY}",
            hint="ask for less at a time (offset, limit or max)",
        )
    served.record(principal.agent_id, principal.name, request, principal.family)
    return payload


def _outstanding(deferred: Deferred[Any], principal: Principal, name: str) -> Deferred[Any]:
    """Count a request with its principal until it is answered."""
    counts = principal.outstanding
    counts[name] = counts.get(name, 0) + 1

    def answered(payload: Any) -> Any:
        counts[name] -= 1
        if not counts[name]:
            del counts[name]
        return payload

    return deferred.addBoth(answered)


def _with_warnings(reply: bytes, words: bytes) -> bytes:
    """A reply with `warnings` in it; an array (LIST's) and one without room stay as they are."""
    if reply[:1] != b"{" or len(reply) + len(words) > MAX_REPLY - 64:
        return reply
    comma = b"," if len(reply) > 2 else b""
    return b'%b%b"warnings":%b}' % (reply[:-1], comma, words)


def _require_flag(served: Served, principal: Principal) -> None:
    """@raise PermissionDenied: the principal has none of the flags that allow this syscall."""
    needs = served.syscall.needs
    decision = check_any_flag(principal.permissions, needs)
    if decision is not None:
        decision.require(served.name)


def _read(
    syscall: Syscall, payload: bytes, error: Exception, *, version_1: bool
) -> tuple[Any, list[Misfit]]:
    """A request that is not plain JSON as it should be: see L{clove.messages.base.read}; or a binary payload."""
    if syscall.read_binary is not None and payload[:1] == b"\0" and not version_1:
        return syscall.read_binary(payload), []
    return read(syscall.request, payload, error, lenient=version_1)


def _is_streamed(request: Request) -> bool:
    """The client asks for partial replies."""
    return bool(getattr(request, "stream", False) or getattr(request, "follow", False))
