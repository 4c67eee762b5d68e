"""HTTP."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clove.messages.base import Reply, Request

__all__ = ["HttpReply", "HttpRequest"]


class HttpRequest(Request, frozen=True, kw_only=True):
    """Fetch a URL.

    @ivar timeout: seconds for all of it, redirects and body too.
    """

    url: str
    method: str = "GET"
    headers: dict[str, str] | None = None
    body: str | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 30.0
    async_: bool = msgspec.field(name="async", default=False)
    request_id: str | int | None = None


class HttpReply(Reply, frozen=True, kw_only=True):
    """The last response. `success` means a status from 200 to 399.

    @ivar headers: names in lower case; values of one name joined by a comma.
    @ivar encoding: of `body`: `utf-8`, or `base64` where it is not text.
    @ivar truncated: the body was longer than the kernel takes; this is its beginning.
    @ivar url: where it came from in the end.
    """

    status_code: int = 0
    headers: dict[str, str] = {}
    body: str = ""
    encoding: str = "utf-8"
    truncated: bool = False
    url: str = ""
