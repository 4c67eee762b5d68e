"""The HTTP syscall: which redirects are followed, and with what."""

from __future__ import annotations

import pytest

from clove.errors import InvalidRequest, LimitExceeded, PermissionDenied
from clove.kernel.network.egress.fetch import Egress
from clove.policy import Permissions
from tests.integration.egress.pages import (
    REACTOR,
    Server,
    allowing,
    fetch,
)
from tests.scripted_names import ScriptedNames


async def test_redirects_are_followed(server: Server, local: Permissions) -> None:
    server.pages.locations = {"/a": (302, "/b"), "/b": (307, server.url("hello"))}
    reply = await fetch(local, server.url("a"), method="POST", body="x")
    assert reply.body == "grüezi"
    assert reply.url == server.url("hello")
    assert [(one[0], one[1]) for one in server.pages.seen] == [
        ("POST", "/a"),
        ("GET", "/b"),
        ("GET", "/hello"),
    ]


async def test_redirects_end_at_the_limit(server: Server, local: Permissions) -> None:
    server.pages.locations = {"/a": (302, "/a")}
    with pytest.raises(LimitExceeded, match="10 redirects"):
        await fetch(local, server.url("a"))
    assert len(server.pages.seen) == 11


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:7f00:1]/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://127.0.0.1:1/",
        "http://127.0.0.2/",
        "//169.254.169.254/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ],
)
async def test_redirects_to_what_is_not_allowed_are_refused(server: Server, location: str) -> None:
    permissions = allowing(f"127.0.0.1:{server.number}", "0.0.0.0/0", "::/0", "*")
    server.pages.locations = {"/a": (302, location)}
    with pytest.raises(PermissionDenied):
        await fetch(permissions, server.url("a"))


@pytest.mark.parametrize(
    "location",
    ["http://0x7f000001/", "http://2130706433/", "http://127.1/", "http://u:p@a.com/", "http://[x"],
)
async def test_redirects_to_odd_spellings_are_errors(
    server: Server, local: Permissions, location: str
) -> None:
    server.pages.locations = {"/a": (302, location)}
    with pytest.raises(InvalidRequest):
        await fetch(local, server.url("a"))


async def test_secrets_do_not_follow_a_redirect_to_another_host(server: Server) -> None:
    permissions = allowing(f"127.0.0.1:{server.number}", f"localhost:{server.number}")
    egress = Egress(REACTOR, resolver=ScriptedNames(["127.0.0.1"]))
    server.pages.locations = {
        "/same": (302, "/away"),
        "/away": (302, server.url("hello", "localhost")),
    }
    await fetch(
        permissions, server.url("same"), egress, headers={"Authorization": "s", "X-Plain": "p"}
    )
    first, second, third = (one[2] for one in server.pages.seen)
    assert first["authorization"] == second["authorization"] == "s"
    assert "authorization" not in third
    assert third["x-plain"] == "p"
