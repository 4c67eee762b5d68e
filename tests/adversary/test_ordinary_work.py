"""Ordinary work of agents and their commands goes on in the sandbox that holds the attacks.

A sandbox that breaks ordinary work gets switched off; so each row here counts like an attack.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.adversary.arena import Arena
from tests.adversary.isolated import unprivileged_python
from tests.integration.exposed import ROOT
from tests.integration.gateway_upstream import upstream

HERE = Path(__file__).parent
PACKAGES = [
    "msgspec",
    "twisted",
    "cryptography",
    "yaml",
    "jinja2",
    "attr",
    "requests",
    "OpenSSL",
    "numpy",
]
"""Packages that this machine's interpreters may have, compiled ones among them."""
OVER_TLS = """
import asyncio, json, ssl, sys

host, port, certificate = sys.argv[2:]

async def get():
    context = ssl.create_default_context(cadata=certificate)
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    writer.write(f"GET / HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n".encode())
    line = await reader.readline()
    writer.close()
    return [line.decode().strip(), writer.get_extra_info("ssl_object").version()]

print(json.dumps(asyncio.run(get())))
"""
IMPORTS = """
import importlib, json, sys

found = []
for name in sys.argv[-1].split(","):
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    found.append(name)
print(json.dumps(found))
"""

INSTALLS = r"""
import json, subprocess, sys, zipfile

with zipfile.ZipFile("small-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("small.py", "ANSWER = 42")
    wheel.writestr("small-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1")
    wheel.writestr("small-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
    wheel.writestr("small-1.dist-info/RECORD", "")
words = "-m pip install -q --no-index --disable-pip-version-check --target lib".split()
done = subprocess.run([sys.executable, *words, wheel.filename], capture_output=True, text=True)
sys.path.insert(0, "lib")
try:
    from small import ANSWER as found
except ImportError:
    found = done.stderr
print(json.dumps(found))
"""


@pytest.fixture(scope="module", params=["main", "command"])
def how(request: pytest.FixtureRequest) -> str:
    """Which program does the work: the agent's main program, or a command of its."""
    return str(request.param)


def done(arena: Arena, how: str, program: str) -> dict[str, Any]:
    found: dict[str, Any] = arena.attempts(program, as_command=how == "command")
    return found


@pytest.fixture(scope="module")
def work(arena: Arena, how: str) -> dict[str, Any]:
    """What the work of everyday programs came to."""
    return done(arena, how, "isolation_ordinary.py")


@pytest.fixture(scope="module")
def calls(arena: Arena, how: str) -> dict[str, Any]:
    """What work with less common system calls came to."""
    return done(arena, how, "ordinary_calls.py")


EVERYDAY: dict[str, Any] = {
    "pipeline": 19,
    "pool": [0, 1, 4, 9, 16],
    "terminal": "hello\r\n7 11\r\nhello\r\n",
    "threads": 30,
    "database": 7,
    "proc_self": True,
    "time_zone": "+0200",
    "local_time": True,
    "locales": "C.UTF-8",
    "library": ["clove", "CloveClient"],
    "temporary_file": 100_000,
    "home": ["/workspace", "/workspace", "agent", "/workspace"],
    "loopback": "HELLO\n",
    "own_socket": True,
    "certificates": True,
    "processors": True,
    "random_numbers": 16,
    "shared_memory": True,
    "devices": True,
    "signals": -15,
    "background_thread": True,
    "git": 0,
    "scripts": "42\n",
    "standard_error": True,
}


def test_everyday_work_goes_on(work: dict[str, Any]) -> None:
    assert work == EVERYDAY


LESS_COMMON: dict[str, Any] = {
    "pools": [[1, 4]] * 3,
    "semaphores": 200,
    "process_executor": [0, 1, 4],
    "asyncio_subprocess": "hello",
    "asyncio_thread": 9,
    "names": True,
    "numeric_name": 80,
    "tls": True,
    "datagrams": "x",
    "passed_descriptor": 1,
    "abstract_socket": True,
    "moves_between_directories": "xxx",
    "archive": "0o100755",
    "sticky_directory": True,
    "fifo": True,
    "locks": True,
    "own_proc": "worker",
    "shell_redirections": ["two\ntwo\nthree\n", 0],
    "unnamed_file": True,
    "program_in_memory": "ran\n",
    "process_descriptor": 15,
    "timers": True,
    "priorities": True,
    "executable_memory": 25,
    "git_history": "1\n",
    "arrays": 6.0,
}


def test_less_common_calls_work(calls: dict[str, Any]) -> None:
    assert calls == LESS_COMMON


def test_installed_packages_import(arena: Arena) -> None:
    """What the kernel's interpreter has outside, it has inside."""
    python = sys.executable if arena.who == ROOT or os.getuid() else unprivileged_python()
    asked = ",".join(PACKAGES)
    outside = subprocess.run(
        [python, "-c", IMPORTS, asked], capture_output=True, check=True, cwd="/"
    )
    assert arena.run(IMPORTS, asked) == json.loads(outside.stdout)


def test_pip_installs_into_the_workspace(arena: Arena) -> None:
    found = arena.run(INSTALLS)
    if "No module named pip" in str(found):
        pytest.skip("this interpreter has no pip")
    assert found == 42


def test_tls_to_an_allowed_host_by_asyncio(arena: Arena) -> None:
    with (
        tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory,
        upstream(directory) as servers,
    ):
        port = servers.secure.port
        found = arena.run(
            OVER_TLS,
            "api.test",
            str(port),
            servers.certificate,
            network=True,
            permissions={"allowed_domains": [f"api.test:{port}", f"127.0.0.1:{port}"]},
        )
    assert found == ["HTTP/1.1 200 OK", "TLSv1.3"]


def test_a_grandchild_reads_its_own_proc(arena: Arena) -> None:
    code = "import os; print(open('/proc/self/stat').read().split()[0] == str(os.getpid()))"
    source = f"import subprocess, sys, json\nout = subprocess.run([sys.executable, '-c', {code!r}]"
    source += ", capture_output=True, text=True).stdout\nprint(json.dumps(out))"
    assert arena.run(source) == "True\n"
