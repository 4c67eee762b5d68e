"""A kernel on a host with IPv6 alone, DNS64 and NAT64, whose names its own resolver finds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.cli.doctor import NETWORK_CHECK
from clove.kernel.network.nat64 import WELL_KNOWN
from clove.llm.options import DEFAULT_HOST
from tests.integration import dns64
from tests.integration.conftest import KernelProcess
from tests.integration.test_ipv6_only import ASK, SERVER
from tests.short_directory import short_dir

__all__ = ["short_dir"]

OTHER = "2001:db8:64::/96"
NAMES = {
    "six.test": "2606:4700::1",
    "four.test": "93.184.216.34",
    "private.test": "10.0.0.1",
    "ipv4only.arpa": "192.0.0.170",
    DEFAULT_HOST: "93.184.216.34",
}


@dataclass
class Network:
    """A kernel in a network of its own, and what it is like there."""

    kernel: KernelProcess
    client: CloveClient
    directory: str
    prefix: str

    def doctor(self, *words: str) -> dict[str, Any]:
        """The ways out as `clove doctor` finds them there."""
        inside = ["nsenter", "--target", str(self.kernel.pid), "--net", "--mount"]
        check = [*inside, sys.executable, "-P", "-m", NETWORK_CHECK, *words]
        ran = subprocess.run(check, capture_output=True, check=True, timeout=60)
        return {one["name"].removeprefix("way_out."): one for one in json.loads(ran.stdout)}

    def serve(self, name: str, script: Path, *args: str) -> None:
        """Start a server of this network, and wait until it listens."""
        self.client.spawn(name, str(script), args=list(args), sandboxed=False)
        for line in self.client.follow_logs(name):
            assert line["text"] == "up"
            break


@pytest.fixture(params=[WELL_KNOWN, OTHER])
def network(short_dir: str, request: pytest.FixtureRequest) -> Iterator[Network]:
    prefix = str(request.param).removesuffix("/96")
    addresses = [
        NAMES["six.test"],
        *(prefix + hexed(NAMES[name]) for name in ("four.test", "private.test")),
    ]
    resolver = Path(short_dir, "resolv.conf")
    resolver.write_text("nameserver ::1\n")
    setup = "ip link set lo up; " + "".join(
        f"ip -6 addr add {address}/128 dev lo nodad; " for address in addresses
    )
    setup += f"ip -6 route add default dev lo; mount --bind {resolver} /etc/resolv.conf; "
    inside = ("unshare", "--net", "--mount", "sh", "-ec", f'{setup}exec "$@"', "sh")
    if not shutil.which("ip") or subprocess.run([*inside, "true"], check=False).returncode:
        pytest.skip("no network namespaces with addresses of their own here")
    kernel = KernelProcess(short_dir, f'[egress]\nnat64 = "{request.param}"\n', prefix=inside)
    try:
        kernel.start()
        server = Path(short_dir, "server.py")
        server.write_text(SERVER)
        Path(short_dir, "ask.py").write_text(ASK)
        with CloveClient(kernel.socket) as client:
            made = Network(kernel, client, short_dir, str(request.param))
            made.serve("server", server)
            known = [f"{name}={address}" for name, address in NAMES.items()]
            made.serve("resolver", Path(dns64.__file__), prefix, *known)
            yield made
    finally:
        kernel.stop()


def hexed(address: str) -> str:
    """The last 32 bits of an IPv6 address that has an IPv4 one in it."""
    one, two, three, four = (int(part) for part in address.split("."))
    return f"{one << 8 | two:x}:{three << 8 | four:x}"


def test_agents_and_the_http_syscall_reach_names_of_both_kinds(network: Network) -> None:
    client, names = network.client, ["six.test", "four.test", "private.test", "none.test"]
    agent = client.spawn("asker", f"{network.directory}/ask.py", args=names, network=True)
    assert client.wait("asker", timeout=60)["exit_code"] == 0
    said = [line["text"] for line in client.logs(agent["id"])["lines"]]
    assert [line for line in said if not line.startswith("clove:")] == [
        "six.test hi",
        "four.test hi",
        "private.test ConnectionResetError",
        "none.test gaierror",
    ]
    assert [line for line in said if "10.0.0.1" in line], said
    for name in ("six.test", "four.test"):
        assert client.http(f"http://{name}/")["body"] == "hi"


def test_the_doctor_names_the_way(network: Network) -> None:
    found = network.doctor(f"{network.kernel.directory}/config.toml")
    assert found["ipv4"]["detail"] == "by NAT64"
    assert found["ipv6"]["available"]
    assert found["names"]["available"]
    assert found["nat64"]["detail"] == f"by {network.prefix}"
    if network.prefix != WELL_KNOWN:
        assert f'nat64 = "{network.prefix}"' in network.doctor()["nat64"]["remedy"]
