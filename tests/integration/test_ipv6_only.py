"""A kernel on a host with IPv6 alone, and on one with NAT64: in a network namespace of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from tests.integration.conftest import KernelProcess
from tests.short_directory import short_dir

__all__ = ["short_dir"]

SIX = "2606:4700::1"
FOUR, TRANSLATED = "93.184.216.34", "64:ff9b::5db8:d822"
PRIVATE, TRANSLATED_PRIVATE = "10.0.0.1", "64:ff9b::a00:1"
CONFIG = f"""
[egress.hosts]
"six.test" = "{SIX}"
"four.test" = "{FOUR}"
"dns64.test" = "{TRANSLATED}"
"private.test" = "{TRANSLATED_PRIVATE}"
"""
SETUP = "ip link set lo up; " + "".join(
    f"ip -6 addr add {address}/128 dev lo nodad; "
    for address in (SIX, TRANSLATED, TRANSLATED_PRIVATE)
)
SERVER = """
import socket
server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=False)
print("up", flush=True)
while True:
    with server.accept()[0] as connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
"""
ASK = """
import sys, urllib.request
for name in sys.argv[2:]:
    try:
        print(name, urllib.request.urlopen(f"http://{name}/", timeout=20).read().decode())
    except OSError as error:
        print(name, type(getattr(error, "reason", error)).__name__)
"""


@pytest.fixture
def client(short_dir: str) -> Iterator[CloveClient]:
    prefix = ("unshare", "--net", "sh", "-c", f'{SETUP}exec "$@"', "sh")
    if not shutil.which("ip") or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("no network namespaces with addresses of their own here")
    kernel = KernelProcess(short_dir, CONFIG, prefix=prefix)
    try:
        kernel.start()
        Path(short_dir, "server.py").write_text(SERVER)
        Path(short_dir, "ask.py").write_text(ASK)
        with CloveClient(kernel.socket) as client:
            client.spawn("server", f"{short_dir}/server.py", sandboxed=False)
            for line in client.follow_logs("server"):
                assert line["text"] == "up"
                break
            yield client
    finally:
        kernel.stop()


def test_agents_reach_what_has_ipv6_alone_and_ipv4_by_nat64(
    client: CloveClient, short_dir: str
) -> None:
    names = ["six.test", "four.test", "dns64.test", FOUR, "private.test", PRIVATE]
    agent: Any = client.spawn("asker", f"{short_dir}/ask.py", args=names, network=True)
    assert client.wait("asker", timeout=60)["exit_code"] == 0, client.logs(agent["id"])
    said = [line["text"] for line in client.logs(agent["id"])["lines"]]
    assert [line for line in said if not line.startswith("clove:")] == [
        "six.test hi",
        "four.test hi",
        "dns64.test hi",
        f"{FOUR} hi",
        "private.test ConnectionResetError",
        f"{PRIVATE} ConnectionResetError",
    ]
    refused = [line for line in said if line.startswith("clove:")]
    assert len(refused) == 2
    assert all("10.0.0.1" in line for line in refused), refused


def test_the_http_syscall_does_too(client: CloveClient) -> None:
    for name in ("six.test", "four.test", "dns64.test"):
        assert client.http(f"http://{name}/")["body"] == "hi"
