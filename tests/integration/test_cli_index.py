"""`clove run --index`: packages from where the user's pip and npm get them, and from nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.cli.index_addresses import IndexServer, proves_name
from tests.integration.cli_shell import Shell
from tests.integration.conftest import KernelProcess, running_kernel
from tests.integration.gateway_upstream import upstream

FETCH = """
import os, urllib.request
print(urllib.request.urlopen(os.environ["PIP_INDEX_URL"]).read())
print(os.listdir(os.environ["PIP_FIND_LINKS"]))
try:
    urllib.request.urlopen("http://127.1.1.1:1/", timeout=20)
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelProcess]:
    with running_kernel('[egress.hosts]\n"index.test" = "127.0.0.1"\n') as process:
        yield process


@pytest.fixture
def shell(kernel: Any, tmp_path: Path) -> Shell:
    place = tmp_path.resolve() / "project"
    place.mkdir()
    place.chmod(0o755)
    return Shell(place, kernel.socket)


def test_a_server_proves_its_name_with_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    with upstream(str(tmp_path)) as servers:
        certificate = tmp_path / "certificate.pem"
        certificate.write_text(servers.certificate)
        server = IndexServer("api.test", servers.secure.port, tls=True, configured=False)
        trusted = [str(certificate)]
        assert proves_name(server, "127.0.0.1", trusted)
        assert not proves_name(server._replace(host="other.test"), "127.0.0.1", trusted)
        assert not proves_name(server, "127.0.0.1", [])
        assert not proves_name(server, "127.0.0.1", [str(tmp_path / "none")])
        assert not proves_name(server._replace(port=servers.plain.port), "127.0.0.1", trusted)


def test_the_index_of_the_users_pip_is_reached_and_nothing_else(
    shell: Shell, tmp_path: Path
) -> None:
    """It lies on loopback, which here the kernel alone knows: so a rule for that is added."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "one.whl").write_bytes(b"")
    shell.file("fetch.py", FETCH)
    with upstream(str(tmp_path)) as servers:
        port = servers.plain.port
        settings = {
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_INDEX_URL": f"http://user:hush@index.test:{port}/simple",
            "PIP_FIND_LINKS": str(wheels),
        }
        for words in (("--index", "pip"), ("--profile", "data")):
            result = shell(
                "run", *words, "--allow-domain", f"127.0.0.1:{port}", "fetch.py", **settings
            )
            assert result.returncode == 0, result
            assert result.stdout == "b'hi'\n['one.whl']\nURLError\n"
            assert "does not get your password for index.test" in result.stderr
            assert "hush" not in str(result)
        assert not any(b"Authorization" in each for each in servers.plain.seen)


def test_an_index_that_is_misspelt_is_refused_with_the_near_one(shell: Shell) -> None:
    result = shell("run", "--index", "pipp", "--", "true")
    assert (result.returncode, "did you mean pip?" in result.stderr) == (2, True)
