"""Requests and replies, one module a family of syscalls. Pure."""

from clove.messages.base import (
    MALFORMED,
    Reply,
    Request,
    decode,
    decoder,
    encode,
    encode_error,
    read,
)

__all__ = [
    "MALFORMED",
    "Reply",
    "Request",
    "decode",
    "decoder",
    "encode",
    "encode_error",
    "read",
]
