"""The first process of a container: what configuration it writes, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from clove.kernel.config import load as load_kernel
from clove.relay.config import load as load_relay
from clove.tunnel.config import load as load_tunnel

ENTRYPOINT = Path(__file__).parents[3] / "deploy" / "docker" / "entrypoint"


class Container:
    """The directories of one, with a C{twistd} that says what it got."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in ("secrets", "state", "run", "bin"):
            (place / name).mkdir()
        twistd = place / "bin" / "twistd"
        twistd.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        twistd.chmod(0o755)

    def secret(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self.place / "secrets" / name
        path.write_text(text)
        path.chmod(mode)

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": f"{self.place}/bin:{os.environ['PATH']}",
            "CLOVE_SECRETS_DIR": f"{self.place}/secrets",
            "CLOVE_STATE_DIR": f"{self.place}/state",
            "CLOVE_RUN_DIR": f"{self.place}/run",
            **settings,
        }
        return subprocess.run(
            [str(ENTRYPOINT), *words], env=environ, capture_output=True, text=True, check=False
        )

    def config(self, what: str) -> Path:
        return self.place / "run" / f"{what}.toml"


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def test_a_kernel_gets_its_relay_and_its_secrets_as_files(container: Container) -> None:
    container.secret("join-token", "once", 0o644)
    container.secret("authority.pem", "PEM", 0o444)
    done = container.run("kernel", CLOVE_RELAY_URL="wss://r.example.org:8765", CLOVE_MACHINE="m1")
    assert done.returncode == 0, done.stderr
    config = container.config("kernel")
    assert done.stdout.split() == [
        "--nodaemon",
        "--pidfile=",
        "clove-kernel",
        "--config",
        str(config),
    ]
    tunnel = load_kernel(str(config)).tunnel
    assert (tunnel.relay_url, tunnel.machine_id, tunnel.plain) == (
        "wss://r.example.org:8765",
        "m1",
        False,
    )
    token = Path(tunnel.join_token_file)
    assert (token.read_text(), token.stat().st_mode & 0o777) == ("once", 0o600)
    assert token.parent == container.place / "run" / "secrets"
    assert config.stat().st_mode & 0o777 == 0o600
    assert "once" not in config.read_text() + done.stdout + done.stderr


def test_a_token_that_was_put_into_the_state_directory_is_used(container: Container) -> None:
    secrets = container.place / "state" / "secrets"
    secrets.mkdir()
    (secrets / "join-token").write_text("once")
    container.run("kernel", CLOVE_RELAY_URL="wss://r:8765")
    tunnel = load_kernel(str(container.config("kernel"))).tunnel
    assert tunnel.join_token_file == str(secrets / "join-token")


def test_a_token_that_was_used_up_and_taken_away_is_not_asked_for(container: Container) -> None:
    (container.place / "secrets" / "join-token").mkdir()
    container.run("kernel", CLOVE_RELAY_URL="wss://r:8765")
    assert load_kernel(str(container.config("kernel"))).tunnel.join_token_file == ""


def test_a_relay_of_several_has_certificate_database_and_its_own_address(
    container: Container,
) -> None:
    for name in ("relay.pem", "relay.key", "authority.pem", "pgpass", "database.pem"):
        container.secret(name, name, 0o440)
    done = container.run(
        "relay",
        CLOVE_POSTGRESQL="postgresql://clove@db/clove",
        CLOVE_HOSTS="a.example.org,b.example.org",
        CLOVE_LINK_DOMAIN="clove.pod.cluster.local",
        CLOVE_POD_IP="10.1.2.3",
    )
    assert done.returncode == 0, done.stderr
    config = load_relay(str(container.config("relay")))
    secrets, own = f"{container.place}/secrets", f"{container.place}/run/secrets"
    assert config.tls.certificate == f"{secrets}/relay.pem"
    assert config.store.postgresql == (
        f"postgresql://clove@db/clove?passfile={own}/pgpass&sslrootcert={secrets}/database.pem"
    )
    assert Path(f"{own}/pgpass").stat().st_mode & 0o777 == 0o600
    assert config.link.url == "wss://10-1-2-3.clove.pod.cluster.local:8767"
    assert config.rest.hosts == ["a.example.org", "b.example.org"]
    assert {config.hub.listen, config.rest.listen, config.link.listen} == {"0.0.0.0"}


def test_a_relay_without_certificate_is_plain_only_if_that_is_said(container: Container) -> None:
    container.run("relay")
    with pytest.raises(Exception, match="not loopback"):
        load_relay(str(container.config("relay")))
    container.run("relay", CLOVE_PLAIN="yes")
    assert load_relay(str(container.config("relay"))).rest.plain


def test_a_relay_takes_the_log_of_a_container_for_no_person(container: Container) -> None:
    twistd = container.place / "bin" / "twistd"
    twistd.write_text('#!/bin/sh\necho "$JOURNAL_STREAM"; stat -L -c %d:%i /proc/$$/fd/1\n')
    said, is_there = container.run("relay", CLOVE_PLAIN="yes").stdout.split()
    assert said == is_there


def test_a_tunnel_beside_a_kernel_has_the_kernels_socket(container: Container) -> None:
    container.run(
        "tunnel", CLOVE_RELAY_URL="wss://r:8765", CLOVE_KERNEL_SOCKET="/shared/callers.sock"
    )
    config = load_tunnel(str(container.config("tunnel")))
    assert (config.relay_url, config.kernel_socket) == ("wss://r:8765", "/shared/callers.sock")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GEMINI_API_KEY", "k3y"),
        ("CLOVE_JOIN_TOKEN", "k3y"),
        ("PGPASSWORD", "k3y"),
        ("CLOVE_POSTGRESQL", "postgresql://clove:k3y@db/clove"),
        ("CLOVE_POSTGRESQL", "host=db password=k3y"),
    ],
)
def test_secrets_in_the_environment_are_refused_and_not_shown(
    container: Container, name: str, value: str
) -> None:
    done = container.run("relay", **{name: value})
    assert done.returncode == 2
    assert name in done.stderr
    assert "hint: " in done.stderr
    assert "k3y" not in done.stderr
    assert not container.config("relay").exists()


@pytest.mark.parametrize("value", ['m"\nplain = true', "a b", "$(id)", "`id`", "a\\b", "m]"])
def test_a_value_that_would_end_the_string_is_refused(container: Container, value: str) -> None:
    done = container.run("kernel", CLOVE_RELAY_URL="wss://r:8765", CLOVE_MACHINE=value)
    if value == "m]":
        assert (
            tomllib.loads(container.config("kernel").read_text())["tunnel"]["machine_id"] == value
        )
        return
    assert done.returncode == 2
    assert "machine_id" in done.stderr
    assert not container.config("kernel").exists()


def test_another_command_is_run_as_it_is(container: Container) -> None:
    assert container.run("echo", "as it is").stdout == "as it is\n"


def test_a_directory_that_cannot_be_written_is_named(container: Container) -> None:
    done = container.run("kernel", CLOVE_STATE_DIR="/proc/none")
    assert done.returncode == 2
    assert "/proc/none" in done.stderr
