"""The relay's page: a program in the browser that asks the REST API, as any other does.

Its files are read once, at the relay's start: an upgrade under a running relay mixes no versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from clove.errors import NotFound
from clove.relay.rest.context import Context
from clove.relay.rest.problems import Answer
from clove.relay.rest.route import Call

__all__ = ["POLICY", "page", "page_file"]

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""The page's Content-Security-Policy: its own files, no inline code, no text that becomes code."""
_INDEX: Final = "index.html"
_KINDS: Final = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "mjs": "text/javascript",
    "svg": "image/svg+xml",
}


async def page(context: Context, call: Call) -> Answer:
    """The page itself."""
    return _answer(_INDEX)


async def page_file(context: Context, call: Call) -> Answer:
    """What it loads.

    @raise NotFound: there is no such file.
    """
    return _answer(call.path["name"])


def _answer(name: str) -> Answer:
    body = _FILES.get(name)
    if body is None:
        raise NotFound("the page has no such file", hint="the page is at /")
    kind = _KINDS[name.rpartition(".")[2]]
    headers = {
        "Content-Type": f"{kind}; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return Answer(200, headers, body)


def _read(directory: Traversable) -> Iterator[tuple[str, bytes]]:
    for each in directory.iterdir():
        if each.name.rpartition(".")[2] in _KINDS:
            yield each.name, each.read_bytes()


def _read_all() -> Mapping[str, bytes]:
    inside = files("clove.relay.rest.dashboard")
    return dict([*_read(inside), *_read(inside / "vendor")])


_FILES: Final = _read_all()
