"""The 17-byte header of the wire, and a decoder that takes bytes in any pieces.

Pure and standard library only. The layout is magic u32, agent id u32,
opcode u8, payload size u64, little-endian and packed (`docs/wire.md`).
"""

from __future__ import annotations

import enum
import struct
from typing import Final, NamedTuple

__all__ = [
    "DEFAULT_MAX_PAYLOAD",
    "HEADER_SIZE",
    "MAGIC",
    "MAX_REPLY",
    "MORE",
    "BadFrame",
    "BadMagic",
    "Frame",
    "FrameDecoder",
    "Opcode",
    "TooLarge",
    "encode",
    "join_binary",
    "split_binary",
    "split_tag",
]

MAGIC: Final = 0x41474E54
HEADER: Final = struct.Struct("<IIBQ")
HEADER_SIZE: Final = HEADER.size
TAG: Final = struct.Struct("<Q")
TAGGED: Final = struct.Struct("<IIBQQ")
"""The header and the tag of version 2."""
_BINARY: Final = struct.Struct("<BI")

DEFAULT_MAX_PAYLOAD: Final = 1 << 20
"""Bytes of a request's payload, inclusive, without the tag of version 2."""
MAX_REPLY: Final = 16 << 20
"""Bytes of a reply's payload, inclusive."""
MORE: Final = 1 << 63
"""Bit of a reply's tag: more frames follow for this request."""


class Opcode(enum.IntEnum):
    """Every opcode of the contract."""

    NOOP = 0x00
    THINK = 0x01
    EXEC = 0x02
    READ = 0x03
    WRITE = 0x04
    LISTDIR = 0x05
    STAT = 0x06
    MKDIR = 0x07
    MOVE = 0x08
    REMOVE = 0x09
    WATCH = 0x0A
    SPAWN = 0x10
    KILL = 0x11
    LIST = 0x12
    PAUSE = 0x14
    RESUME = 0x15
    LOGS = 0x16
    WAIT = 0x17
    OUTPUT = 0x18
    INPUT = 0x19
    ATTACH = 0x1A
    CLOSE_STREAM = 0x1B
    RESIZE = 0x1C
    RUN = 0x1D
    DIAL = 0x1E
    SEND = 0x20
    RECV = 0x21
    BROADCAST = 0x22
    REGISTER = 0x23
    ACK = 0x24
    STORE = 0x30
    FETCH = 0x31
    DELETE = 0x32
    KEYS = 0x33
    GET_PERMS = 0x40
    SET_PERMS = 0x41
    WHY = 0x42
    HTTP = 0x50
    SUBSCRIBE = 0x60
    UNSUBSCRIBE = 0x61
    POLL_EVENTS = 0x62
    EMIT = 0x63
    RECORD_START = 0x70
    RECORD_STOP = 0x71
    RECORD_STATUS = 0x72
    REPLAY_START = 0x73
    REPLAY_STATUS = 0x74
    GET_AUDIT_LOG = 0x76
    SET_AUDIT_CONFIG = 0x77
    ASYNC_POLL = 0x80
    INSPECT = 0x90
    RESTART = 0x91
    SIGNAL = 0x92
    RENAME = 0x93
    PRUNE = 0x94
    UPDATE = 0x95
    WORLD_CREATE = 0xA0
    WORLD_DESTROY = 0xA1
    WORLD_LIST = 0xA2
    WORLD_JOIN = 0xA3
    WORLD_LEAVE = 0xA4
    WORLD_EVENT = 0xA5
    WORLD_STATE = 0xA6
    WORLD_SNAPSHOT = 0xA7
    WORLD_RESTORE = 0xA8
    TUNNEL_CONNECT = 0xB0
    TUNNEL_DISCONNECT = 0xB1
    TUNNEL_STATUS = 0xB2
    TUNNEL_LIST_REMOTES = 0xB3
    TUNNEL_CONFIG = 0xB4
    METRICS_SYSTEM = 0xC0
    METRICS_AGENT = 0xC1
    METRICS_ALL_AGENTS = 0xC2
    METRICS_CGROUP = 0xC3
    LLM_REPORT = 0xF0
    CANCEL = 0xFD
    HELLO = 0xFE
    EXIT = 0xFF


class Frame(NamedTuple):
    """One frame. `payload` still bears the tag of version 2, if any."""

    agent_id: int
    opcode: int
    payload: bytes


class BadFrame(Exception):
    """The stream cannot be read further; the connection must be closed.

    @ivar agent_id, opcode: as the header gave them, to address the error reply.
    """

    def __init__(self, message: str, agent_id: int = 0, opcode: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.agent_id = agent_id
        self.opcode = opcode


class BadMagic(BadFrame):
    """The first four bytes of a header are not the magic number."""


class TooLarge(BadFrame):
    """The header announces more bytes than the receiver takes."""


def encode(agent_id: int, opcode: int, payload: bytes) -> bytes:
    """One frame as bytes."""
    return HEADER.pack(MAGIC, agent_id, opcode, len(payload)) + payload


def split_tag(payload: bytes) -> tuple[int, bytes]:
    """The tag and the rest of a version 2 payload.

    @raise BadFrame: the payload is shorter than a tag.
    """
    if len(payload) < TAG.size:
        raise BadFrame("a payload of protocol version 2 begins with a tag of 8 bytes")
    return TAG.unpack_from(payload)[0], payload[TAG.size :]


class FrameDecoder:
    """Bytes in any pieces to whole frames.

    It holds one incomplete frame at most: its buffer is bounded by the header,
    `max_payload` and the piece last fed. A size is checked before anything of
    its payload is kept.

    @ivar max_payload: bytes that a payload may have, inclusive; may be changed
        between feeds.
    """

    __slots__ = ("_buffer", "max_payload")

    def __init__(self, max_payload: int = DEFAULT_MAX_PAYLOAD) -> None:
        self.max_payload = max_payload
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes held of a frame that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; give the frames that they complete.

        @raise BadMagic, TooLarge: the stream is broken. Frames before the
            broken one are lost to this call's caller only if it wants them so:
            they are in the exception's `frames` attribute.
        """
        buffer = self._buffer
        if buffer:
            buffer += data
            source: bytes | bytearray = buffer
        else:
            source = data
        frames: list[Frame] = []
        at, end = 0, len(source)
        unpack = HEADER.unpack_from
        new = tuple.__new__  # a third of the cost of calling Frame
        limit = self.max_payload
        while end - at >= HEADER_SIZE:
            magic, agent_id, opcode, size = unpack(source, at)
            if magic != MAGIC:
                raise self._bad_magic(frames)
            if size > limit:
                text = f"payload of {size} bytes is over the limit of {limit}"
                raise self._broken(TooLarge(text, agent_id, opcode), frames)
            start = at + HEADER_SIZE
            stop = start + size
            if stop > end:
                break
            piece = source[start:stop]
            payload = piece if piece.__class__ is bytes else bytes(piece)
            frames.append(new(Frame, (agent_id, opcode, payload)))
            at = stop
        if source is buffer:
            del buffer[:at]
        elif at < end:
            buffer += source[at:]
        if buffer:
            self._check_short_magic(frames)
        return frames

    def _check_short_magic(self, frames: list[Frame]) -> None:
        """Refuse a wrong magic before the whole header is there."""
        head = bytes(self._buffer[:4])
        if head and not MAGIC.to_bytes(4, "little").startswith(head):
            raise self._bad_magic(frames)

    def _bad_magic(self, frames: list[Frame]) -> BadFrame:
        return self._broken(BadMagic("bad magic number: this is not Clove's protocol"), frames)

    def _broken(self, error: BadFrame, frames: list[Frame]) -> BadFrame:
        self._buffer.clear()
        error.frames = frames  # type: ignore[attr-defined]
        return error


def join_binary(facts: bytes, data: bytes) -> bytes:
    """A binary payload (version 2): a JSON object without its field `data`, and those bytes."""
    return b"%b%b%b" % (_BINARY.pack(0, len(facts)), facts, data)


def split_binary(payload: bytes) -> tuple[bytes, bytes]:
    """The JSON object of a binary payload, and its bytes.

    @raise ValueError: it is none.
    """
    if len(payload) < _BINARY.size:
        raise ValueError("a binary payload is cut off")
    mark, size = _BINARY.unpack_from(payload)
    end = _BINARY.size + size
    if mark or end > len(payload):
        raise ValueError("a binary payload is cut off")
    return payload[_BINARY.size : end], payload[end:]
