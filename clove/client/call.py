"""A call as a value: what to send, and how to read what comes back. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from clove.errors import Internal, InvalidRequest, LimitExceeded, error_from_reply
from clove.framing import join_binary, split_binary

__all__ = ["Call", "Reply", "StreamCall", "optional", "same"]

T = TypeVar("T")
S = TypeVar("S")

Reply = dict[str, Any]
"""A reply's JSON object, with the fields that `docs/wire.md` gives it."""

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def optional(**fields: Any) -> dict[str, Any]:
    """The fields that are not None: a request leaves out what was not asked for."""
    return {name: value for name, value in fields.items() if value is not None}


def same(reply: Any) -> Any:
    """The reply as it came."""
    return reply


class Call(Generic[T]):
    """One request, of those in L{clove.client.methods}.

    @ivar opcode: as in `clove.framing.Opcode`.
    @ivar payload: a JSON object, or the bytes themselves.
    @ivar pick: the result from the decoded reply (from its bytes if `raw`).
    @ivar patience: seconds that the kernel may take by the request's own terms;
        the client's time-out is added. None: as long as it takes.
    @ivar idempotent: doing it twice is the same as once, so it may be repeated
        when the connection was lost before the reply.
    @ivar raw: the reply is not JSON.
    @ivar data: bytes that go as they are beside the JSON object (version 2); None: there are none.
    @ivar local: keys of the payload that name files of the caller; the client makes relative
        paths absolute.
    @ivar subscribes: what it asks for is pushed on the connection on which it is answered.
    """

    __slots__ = (
        "data",
        "idempotent",
        "local",
        "opcode",
        "patience",
        "payload",
        "pick",
        "raw",
        "subscribes",
    )

    def __init__(
        self,
        opcode: int,
        payload: dict[str, Any] | bytes = b"",
        *,
        pick: Callable[[Any], T] = same,
        patience: float | None = 0.0,
        idempotent: bool = False,
        raw: bool = False,
        local: tuple[str, ...] = (),
        data: bytes | None = None,
        subscribes: bool = False,
    ) -> None:
        self.opcode = int(opcode)
        self.payload = payload
        self.pick = pick
        self.patience = patience
        self.idempotent = idempotent
        self.raw = raw
        self.local = local
        self.data = data
        self.subscribes = subscribes

    def body(self, max_payload: int, absolute: Callable[[str], str] = str) -> bytes:
        """The request's payload.

        @param absolute: makes a path of the caller's absolute.
        @raise InvalidRequest: a value that JSON cannot express.
        @raise LimitExceeded: more than `max_payload` bytes.
        """
        payload = self.payload
        if self.data is not None and isinstance(payload, dict):
            payload = join_binary(_encode(payload).encode(), self.data)
        if isinstance(payload, dict):
            if self.local:
                paths = {key: absolute(str(payload[key])) for key in self.local if key in payload}
                payload = {**payload, **paths}
            try:
                payload = _encode(payload).encode()
            except (TypeError, ValueError, RecursionError) as error:
                raise InvalidRequest(
                    f"this request cannot be sent as JSON: {error}",
                    hint="bytes go as base64 text, NaN and infinity do not go at all",
                ) from None
        if len(payload) > max_payload:
            raise LimitExceeded(
                f"a request of {len(payload)} bytes is over the limit of {max_payload}",
                hint="send it in pieces, or through a file",
            )
        return payload

    def decoded(self, payload: bytes) -> Any:
        """A reply's JSON value (its bytes if `raw`).

        @raise CloveError: the typed error, if the reply says no success and has
            a code. A command that failed or a page not found has none: these
            are results.
        """
        if self.raw:
            return payload
        try:
            if payload[:1] == b"\0":
                facts, data = split_binary(payload)
                return {**json.loads(facts), "data": data}
            reply = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise Internal(f"the kernel's reply is not JSON: {error}") from None
        if reply.__class__ is dict and reply.get("success") is False and reply.get("code"):
            raise error_from_reply(reply)
        return reply

    def result(self, payload: bytes) -> T:
        """The call's result from the payload of its last reply. Errors: L{decoded}."""
        return self.pick(self.decoded(payload))


class StreamCall(Call[T], Generic[T, S]):
    """A call with a reply that comes in pieces before the last one.

    @ivar pieces: what a partial reply holds, in order.
    @ivar rest: what the last reply holds besides, if the kernel has version 1 and sent no
        partial replies.
    """

    __slots__ = ("pieces", "rest")

    def __init__(
        self,
        call: Call[T],
        pieces: Callable[[Reply], Iterable[S]],
        rest: Callable[[Reply], Iterable[S]] | None = None,
    ) -> None:
        super().__init__(
            call.opcode,
            call.payload,
            pick=call.pick,
            patience=call.patience,
            idempotent=False,
            raw=call.raw,
            local=call.local,
        )
        self.pieces = pieces
        self.rest = rest or pieces
