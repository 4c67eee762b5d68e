"""What a command says where a kernel or a relay is too far from it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from clove._version import __version__
from clove.cli.console import Console
from clove.client.fleet import FleetClient
from clove.relay.rest.front import _HEADERS

FAR = "99.0.1"


def test_a_version_too_far_away_is_remarked_once(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(None, False)
    for _ in range(2):
        console.remark_version("kernel", FAR)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f"clove: this command is {__version__}, the kernel {FAR}: more than one minor version apart\n"
    )


@pytest.mark.parametrize("version", [__version__, "", "unknown"])
def test_a_near_version_or_none_is_not(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    Console(None, False).remark_version("relay", version)
    assert capsys.readouterr().err == ""


def test_programs_get_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Console(None, True).remark_version("relay", FAR)
    assert capsys.readouterr() == ("", "")


class Relay(http.server.BaseHTTPRequestHandler):
    """Answers as a relay of another version does."""

    server_version = f"clove-relay/{FAR}"
    sys_version = ""

    def do_GET(self) -> None:
        body = b'{"success": true}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return self.server_version

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_relays_version_is_told_with_each_reply(address: str) -> None:
    told: list[str] = []
    fleet = FleetClient(address, "token")
    fleet.on_version = told.append
    fleet.status()
    assert told == [FAR]


def test_a_relay_says_its_version_in_the_form_that_is_read() -> None:
    assert _HEADERS["Server"] == f"clove-relay/{__version__}"
