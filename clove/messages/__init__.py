"""Requests and replies, one module a family of syscalls. Pure."""

from clove.messages.base import Reply, Request, decode, encode, encode_error

__all__ = ["Reply", "Request", "decode", "encode", "encode_error"]
