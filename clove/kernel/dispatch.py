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
from clove.framing import MAX_REPLY, Opcode
from clove.kernel.context import Context
from clove.kernel.failed_requests import FailedRequests, unknown_opcode
from clove.kernel.principal import Kind
from clove.kernel.remote.granted import require_remote
from clove.messages import MALFORMED, Reply, Request, encode, encode_error, read
from clove.messages.recording import reply_of
from clove.messages.session import AsyncAccepted, AsyncResult
from clove.policy import check_flag

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from clove.kernel.connection.stream import Stream
    from clove.kernel.context import Kernel
    from clove.kernel.principal import Principal
    from clove.kernel.syscall import Syscall
    from clove.messages.mending import Misfit

__all__ = ["Dispatcher"]

_NOTHING: Mapping[str, object] = {}
_NUMBERS = frozenset((bool, int, float))
_NAMES = {int(opcode): opcode.name for opcode in Opcode}

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
        self._record = kernel.audit.record
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
        if (syscall := self._table.get(opcode)) is None:
            return encode_error(unknown_opcode(opcode), reply_of(opcode))
        misfits: list[Misfit] | None = None
        try:
            if principal.kind is Kind.REMOTE:
                require_remote(_NAMES[opcode])
            try:
                request = syscall.decode(payload or b"{}")
            except MALFORMED as error:
                request, misfits = _read(syscall, payload, error, version_1=stream is None)
            if syscall.needs:
                _require_flag(syscall, opcode, principal)
            context = Context(self._kernel, principal, None, push)
            if getattr(request, "async_", False):
                reply = self._accept(syscall, opcode, context, request, len(payload))
            else:
                if stream is not None and (syscall.streams or _is_streamed(request)):
                    context.stream = stream()
                reply = self._run(syscall, opcode, context, request)
        except CloveError as error:
            reply = self.failed.reply(syscall, _NAMES[opcode], principal, error)
        except Exception:
            reply = self.failed.of_bug(syscall, _NAMES[opcode])
        return self._warned(principal, opcode, misfits, reply) if misfits else reply

    def _warned(
        self,
        principal: Principal,
        opcode: int,
        misfits: list[Misfit],
        reply: bytes | Deferred[bytes],
    ) -> bytes | Deferred[bytes]:
        """A reply with `warnings`, also logged, about what of its request was not understood."""
        if principal.warned < self._warnings:
            principal.warned += 1
            self.log.warn(
                "agent {agent} sent {name}: {misfits}",
                agent=principal.agent_id,
                name=_NAMES[opcode],
                misfits="; ".join(map(str, misfits)),
            )
        words = encode([str(misfit) for misfit in misfits])
        if isinstance(reply, bytes):
            return _with_warnings(reply, words)
        return reply.addCallback(_with_warnings, words)

    def _run(
        self, syscall: Syscall, opcode: int, context: Context, request: Request
    ) -> bytes | Deferred[bytes]:
        result = syscall.call(context, request)
        if not isinstance(result, CoroutineType):
            return self._done(syscall, opcode, context.principal, request, result)
        deferred: Deferred[Any] = Deferred.fromCoroutine(result)
        return self._finish(deferred, syscall, opcode, context.principal, request)

    def _finish(
        self,
        deferred: Deferred[Any],
        syscall: Syscall,
        opcode: int,
        principal: Principal,
        request: Request,
    ) -> bytes | Deferred[bytes]:
        """Make the reply of a result or a failure; without a Deferred if there is one already."""

        def failed(failure: Failure) -> bytes:
            return self.failed.of_failure(syscall, _NAMES[opcode], principal, failure)

        def done(result: Any) -> bytes:
            return self._done(syscall, opcode, principal, request, result)

        deferred.addCallback(done)
        deferred.addErrback(failed)
        if deferred.called and isinstance(deferred.result, bytes):
            return deferred.result
        return _outstanding(deferred, principal, _NAMES[opcode])

    def _done(
        self, syscall: Syscall, opcode: int, principal: Principal, request: Request, result: Any
    ) -> bytes:
        payload = result if isinstance(result, bytes) else encode(result)
        if len(payload) > MAX_REPLY:
            raise LimitExceeded(
                f"the reply has {len(payload)} bytes, the limit is {MAX_REPLY}",
                hint="ask for less at a time (offset, limit or max)",
            )
        self._record(
            syscall.category,
            _NAMES[opcode],
            principal.agent_id,
            principal.name,
            True,
            {field: _brief(getattr(request, field, None)) for field in syscall.audited}
            if syscall.audited
            else _NOTHING,
            principal.family,
        )
        return payload

    def _accept(
        self, syscall: Syscall, opcode: int, context: Context, request: Any, size: int
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
                    opcode=opcode,
                    opcode_name=_NAMES[opcode],
                    payload=payload.decode("utf-8", "replace"),
                ),
                size,
            )

        try:
            outcome = self._run(syscall, opcode, context, request)
        except CloveError as error:
            outcome = self.failed.reply(syscall, _NAMES[opcode], context.principal, error)
        except Exception:
            outcome = self.failed.of_bug(syscall, _NAMES[opcode])
        if isinstance(outcome, bytes):
            keep(outcome)
        else:
            results.track(agent_id, outcome.addCallback(keep))
        return encode(AsyncAccepted(request_id=request_id))


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


def _require_flag(syscall: Syscall, opcode: int, principal: Principal) -> None:
    """@raise PermissionDenied: the principal has none of the flags that allow this syscall."""
    for flag in syscall.needs:
        if getattr(principal.permissions, flag):
            return
    check_flag(principal.permissions, syscall.needs[0]).require(_NAMES[opcode])


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


def _brief(value: object) -> object:
    """A request's field as an audit entry shows it."""
    if value is None or value.__class__ in _NUMBERS:
        return value
    if isinstance(value, str):
        return value if len(value) <= 200 else value[:199] + "…"
    return str(value)[:200]
