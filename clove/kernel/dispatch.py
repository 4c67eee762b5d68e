"""Opcode -> permission -> call: the one way from a request to its reply.

`table.py` has a line for each opcode. This module takes every request through
the same stages: accounting, decoding, permission, the call, audit, encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from clove.errors import (
    Cancelled,
    CloveError,
    Internal,
    InvalidRequest,
    LimitExceeded,
    NotImplementedYet,
    PermissionDenied,
)
from clove.framing import MAX_REPLY, Opcode
from clove.kernel.authority import may
from clove.kernel.context import Context
from clove.messages import MALFORMED, Reply, Request, decoder, encode, encode_error, read
from clove.messages.session import AsyncAccepted, AsyncResult
from clove.policy import check_flag

if TYPE_CHECKING:
    from clove.kernel.context import Kernel
    from clove.kernel.principal import Principal
    from clove.kernel.stream import Stream
    from clove.messages.mending import Misfit

__all__ = ["Dispatcher", "Syscall"]

_NAMES = {int(opcode): opcode.name for opcode in Opcode}

Push = Callable[[Reply], bool]


@dataclass(frozen=True, slots=True)
class Syscall:
    """One line of the table.

    @ivar request: type that the payload is decoded to.
    @ivar reply: type of the reply; its empty values fill an error reply.
    @ivar call: what serves it.
    @ivar category: audit category of its success.
    @ivar audited: fields of the request that its audit entry shows.
    @ivar needs: the permission flags of which it needs one; see L{clove.policy.needs}.
    """

    request: type[Request]
    reply: type[Reply] | None
    call: Callable[[Context, Any], Any]
    category: str = "SYSCALL"
    audited: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


class Dispatcher:
    """Serves requests for any number of connections.

    @param warnings: lines in the log about requests of one agent that were not wholly understood.
    """

    log = Logger()

    def __init__(self, kernel: Kernel, table: Mapping[int, Syscall], *, warnings: int = 16) -> None:
        self._kernel = kernel
        self._warnings = warnings
        self._table = table
        self._record = kernel.audit.record

    def answer(
        self,
        principal: Principal,
        opcode: int,
        payload: bytes,
        stream: Stream | None = None,
        push: Push | None = None,
    ) -> bytes | Deferred[bytes]:
        """The reply's payload: at once if possible, else by a Deferred that never fails.

        Cancelling the Deferred abandons the request.
        """
        principal.syscalls += 1
        if opcode == 0:
            return payload
        syscall = self._table.get(opcode)
        if syscall is None:
            return encode_error(_unknown(opcode))
        misfits: list[Misfit] | None = None
        reply: bytes | Deferred[bytes]
        try:
            try:
                request = decoder(syscall.request)(payload or b"{}")
            except MALFORMED as error:
                lenient = stream is None  # version 1
                request, misfits = read(syscall.request, payload, error, lenient=lenient)
            for flag in syscall.needs:
                if getattr(principal.permissions, flag):
                    break
            else:
                if syscall.needs:
                    name = _NAMES[opcode]
                    check_flag(principal.permissions, syscall.needs[0]).require(name)
            context = Context(self._kernel, principal, None, push)
            if getattr(request, "async_", False):
                reply = self._accept(syscall, opcode, context, request, len(payload))
            else:
                if getattr(request, "stream", False) or getattr(request, "follow", False):
                    context.stream = stream
                reply = self._run(syscall, opcode, context, request)
        except CloveError as error:
            reply = self._failed(syscall, opcode, principal, error)
        except Exception:
            reply = self._bug(syscall, opcode)
        if misfits:
            return self._warned(principal, opcode, misfits, reply)
        return reply

    def _warned(
        self,
        principal: Principal,
        opcode: int,
        misfits: list[Misfit],
        reply: bytes | Deferred[bytes],
    ) -> bytes | Deferred[bytes]:
        """A reply that says, as the log does, what of its request was not understood."""
        if principal.warned < self._warnings:
            principal.warned += 1
            self.log.warn(
                "agent {id} sent {name}: {misfits}",
                id=principal.agent_id,
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
        """Map results and failures; unwrap at once what is there already."""

        def failed(failure: Any) -> bytes:
            error = failure.value
            if isinstance(error, CancelledError):
                error = Cancelled("the request was cancelled")
            if isinstance(error, CloveError):
                return self._failed(syscall, opcode, principal, error)
            self.log.failure("{name} failed", failure=failure, name=_NAMES[opcode])
            return _internal(syscall)

        def done(result: Any) -> bytes:
            return self._done(syscall, opcode, principal, request, result)

        deferred.addCallback(done)
        deferred.addErrback(failed)
        if deferred.called and isinstance(deferred.result, bytes):
            return deferred.result
        return deferred

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
            {field: _brief(getattr(request, field, None)) for field in syscall.audited},
            principal.family,
        )
        return payload

    def _failed(
        self, syscall: Syscall, opcode: int, principal: Principal, error: CloveError
    ) -> bytes:
        name = _NAMES[opcode]
        details = {"error": error.message, "code": error.code}
        if isinstance(error, PermissionDenied):
            details["rule"] = error.rule
            self._record(
                "SECURITY",
                "PERMISSION_DENIED",
                principal.agent_id,
                principal.name,
                False,
                {"syscall": name, **details},
                principal.family,
            )
            self.publish_blocked(principal, name, error.rule)
        else:
            self._record(
                syscall.category,
                name,
                principal.agent_id,
                principal.name,
                False,
                details,
                principal.family,
            )
        return encode_error(error, syscall.reply)

    def publish_blocked(self, principal: Principal, name: str, rule: str) -> None:
        """Tell those who may see it that something was refused."""
        self._kernel.events.publish(
            "SYSCALL_BLOCKED",
            {"syscall": name, "agent_id": principal.agent_id, "rule": rule},
            principal.agent_id,
            lambda seen: self._may_watch(seen, principal),
        )

    def _may_watch(self, seen: int, denied: Principal) -> bool:
        watcher = self._kernel.registry.get(seen)
        return watcher is not None and may(watcher, "SYSCALL_BLOCKED", denied)

    def _bug(self, syscall: Syscall, opcode: int) -> bytes:
        self.log.failure("{name} failed", name=_NAMES[opcode])
        return _internal(syscall)

    def _accept(
        self, syscall: Syscall, opcode: int, context: Context, request: Any, size: int
    ) -> bytes:
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
            outcome = self._failed(syscall, opcode, context.principal, error)
        except Exception:
            outcome = self._bug(syscall, opcode)
        if isinstance(outcome, bytes):
            keep(outcome)
        else:
            results.track(agent_id, outcome.addCallback(keep))
        return encode(AsyncAccepted(request_id=request_id))


def _with_warnings(reply: bytes, words: bytes) -> bytes:
    """A reply with `warnings` in it; an array (LIST's) and one without room stay as they are."""
    if reply[:1] != b"{" or len(reply) + len(words) > MAX_REPLY - 64:
        return reply
    comma = b"," if len(reply) > 2 else b""
    return b'%b%b"warnings":%b}' % (reply[:-1], comma, words)


def _brief(value: object) -> object:
    """A request's field as an audit entry shows it."""
    if isinstance(value, str):
        return value if len(value) <= 200 else value[:199] + "…"
    return value if isinstance(value, (int, float, bool)) or value is None else str(value)[:200]


def _internal(syscall: Syscall) -> bytes:
    error = Internal("a bug in the kernel; its log says more", hint="please report it")
    return encode_error(error, syscall.reply)


def _unknown(opcode: int) -> CloveError:
    try:
        name = Opcode(opcode).name
    except ValueError:
        return InvalidRequest(
            f"unknown opcode 0x{opcode:02x}", hint="docs/wire.md lists the opcodes"
        )
    return NotImplementedYet(f"{name} is not implemented yet", hint="see docs/architecture.md")
