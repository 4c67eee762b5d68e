"""The relay's page as it is served: its own files alone, and no code but theirs."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

import clove.relay.rest.dashboard
from clove.relay.rest.calls.dashboard import POLICY
from tests.integration.relay.relays import Relay

DIRECTORY = Path(str(clove.relay.rest.dashboard.__file__)).parent
VENDOR = DIRECTORY / "vendor"
SCRIPTS = sorted([*DIRECTORY.glob("*.js"), *VENDOR.glob("*.mjs")])


async def test_the_page_is_served_without_a_token_under_a_strict_policy(relay: Relay) -> None:
    reply = await relay.ask("GET", "/", token="")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["content-security-policy"] == POLICY
    assert POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in POLICY
    assert "form-action 'none'" in POLICY  # a token is never sent by a form, into a URL
    for name in ("x-content-type-options", "referrer-policy", "cross-origin-opener-policy"):
        assert name in reply.headers
    text = reply.body.decode()
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", text)
    assert not re.search(r"(src|href)=\"(https?:)?//", text)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
async def test_what_a_script_imports_is_served(script: Path, relay: Relay) -> None:
    text = script.read_text()
    for name in [script.name, *re.findall(r"from '\./([^']+)'", text)]:
        reply = await relay.ask("GET", f"/page/{name}", token="")
        assert reply.status == 200, name
        assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|new Function", text) or (
        script.parent == VENDOR
    )


@pytest.mark.parametrize(
    "name",
    ["versions.json", "preact.LICENSE", "__init__.py", "..%2Fapp.py", "%2e%2e", "vendor%2Fhtm.mjs"],
)
async def test_nothing_but_its_files_is_served(name: str, relay: Relay) -> None:
    reply = await relay.ask("GET", f"/page/{name}", token="")
    assert (reply.status, reply.json["code"]) == (404, "not_found")


def test_vendored_files_are_what_npm_has() -> None:
    """`integrity` is what npm says of the package, `sha256` of a file in it."""
    packages = json.loads((VENDOR / "versions.json").read_text())
    listed = {"versions.json"}
    for package in packages:
        assert package["license"] in ("MIT", "Apache-2.0")
        assert package["integrity"].startswith("sha512-")
        for name, file in package["files"].items():
            listed.add(name)
            assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == file["sha256"]
    assert {path.name for path in VENDOR.iterdir()} == listed
