"""What the calls of `clove.messages.http` give. Made by tools/results.py: do not edit."""

from typing import NotRequired

from clove.client.results.base import Reply

__all__ = ["HttpReply"]


class HttpReply(Reply):
    """The last response. `success` means a status from 200 to 399.

    @ivar headers: names in lower case; values of one name joined by a comma.
    @ivar encoding: of `body`: `utf-8`, or `base64` where it is not text.
    @ivar truncated: the body was longer than the kernel takes; this is its beginning.
    @ivar url: where it came from in the end.
    """

    status_code: int
    headers: dict[str, str]
    body: str
    encoding: str
    truncated: bool
    url: str
    request_id: NotRequired[str | int]
    status: NotRequired[str]
