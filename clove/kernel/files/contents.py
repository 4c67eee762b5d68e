"""What is read from and written to open files. Blocking: runs in threads."""

from __future__ import annotations

import base64
import binascii
import errno
import itertools
import os
import stat

from clove.errors import InvalidRequest, LimitExceeded
from clove.messages.base import encode
from clove.messages.files import Encoding, ReadReply
from clove.sandbox.os_errors import translate
from clove.threads.pieces import PIECE, in_pieces

__all__ = ["decode_content", "read_slice", "write_content"]

_READ = 1 << 20  # bytes at a time
_FARTHEST = 2**63 - 1 - _READ  # no read may reach past 2**63 - 1 (pread(2): EINVAL)


def _too_big(path: str, size: int, most: int) -> LimitExceeded:
    return LimitExceeded(
        f"{path!r} is too big for one reply: {size} bytes or more, at most {most}",
        hint="read it in pieces with offset and limit",
    )


def _check_regular(descriptor: int, path: str) -> os.stat_result:
    """What is open must be a regular file, whichever side opened it.

    @raise InvalidRequest: it is not.
    """
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise InvalidRequest(f"{path!r} is not a regular file")
    return found


def _read(descriptor: int, offset: int, most: int) -> bytes:
    """Up to `most` bytes; files of /proc say size 0, so reading goes on to the end."""
    pieces: list[bytes] = []
    left = most
    while left > 0 and offset <= _FARTHEST:
        piece = os.pread(descriptor, min(left, _READ), offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        left -= len(piece)
    return b"".join(pieces)


def read_slice(
    descriptor: int,
    path: str,
    *,
    offset: int = 0,
    limit: int | None = None,
    encoding: Encoding = "utf-8",
    most: int,
) -> bytes:
    """Read from a file and close it.

    @param path: as the caller named it, for error texts.
    @param most: bytes that the reply may have.
    @return: a L{ReadReply} as JSON.
    @raise LimitExceeded: the reply would be longer than `most`.
    @raise InvalidRequest: no regular file; not UTF-8 (with a hint).
    """
    try:
        size = _check_regular(descriptor, path).st_size
        if limit is None and size - offset > most:
            raise _too_big(path, size, most)
        wanted = most + 1 if limit is None else min(limit, most + 1)
        data = _read(descriptor, offset, wanted)
    except OSError as error:
        raise translate(error, path) from None
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise _too_big(path, max(size, len(data)), most)
    before, after = encode(ReadReply(size=size)).split(b'""')
    content = _base64(data) if encoding == "base64" else _text(data, path)
    reply = b"".join([before, b'"', *content, b'"', after])
    if len(reply) > most:
        raise _too_big(path, size, most)
    return reply


def _base64(data: bytes) -> list[bytes]:
    """Base64, which JSON need not escape."""

    def encoded(at: int) -> bytes:
        return binascii.b2a_base64(data[at : at + PIECE], newline=False)

    return in_pieces(encoded, range(0, len(data), PIECE))


def _text(data: bytes, path: str) -> list[bytes]:
    """The inside of a JSON string.

    @raise InvalidRequest: not UTF-8.
    """
    cuts = [_character(data, at) for at in range(0, len(data), PIECE)]

    def encoded(piece: tuple[int, int]) -> bytes:
        begin, end = piece
        try:
            return encode(data[begin:end].decode("utf-8"))[1:-1]
        except UnicodeDecodeError as error:
            raise InvalidRequest(
                f"{path!r} is not UTF-8 at byte {begin + error.start} of what was read",
                hint='ask with "encoding": "base64"',
            ) from None

    return in_pieces(encoded, list(itertools.pairwise([*cuts, len(data)])))


def _character(data: bytes, at: int) -> int:
    """The last position up to `at` where a character may begin (RFC 3629, section 3)."""
    for back in range(min(at, 4)):
        if data[at - back] & 0xC0 != 0x80:
            return at - back
    return at


def decode_content(content: str, encoding: Encoding) -> bytes:
    """The bytes that a WRITE's content stands for.

    @raise InvalidRequest: not base64, or no valid Unicode.
    """
    try:
        if encoding == "base64":
            return base64.b64decode(content, validate=True)
        return content.encode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"content is not valid {encoding}: {error}") from None


def write_content(descriptor: int, path: str, data: bytes, *, append: bool) -> int:
    """Write to a file that was opened for it (with O_APPEND to append), and close it.

    @return: bytes written: all of them.
    @raise LimitExceeded: the disk, quota or file size limit is reached; the
        text says how much was written before.
    @raise InvalidRequest: no regular file.
    """
    written = 0
    try:
        try:
            _check_regular(descriptor, path)
            if not append:
                os.ftruncate(descriptor, 0)
            view = memoryview(data)
            while written < len(data):
                written += os.write(descriptor, view[written:])
        finally:
            os.close(descriptor)
    except OSError as error:
        problem = translate(error, path)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) and written:
            text = f"{problem.message} ({written} of {len(data)} bytes were written)"
            problem = type(problem)(text, hint=problem.hint)
        raise problem from None
    return written
