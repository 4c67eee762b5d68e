"""The user data of a machine: what cloud-init reads out of it, and what it may not have."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from clove.deploy.cloud import first_boot
from clove.deploy.cloud.user_data import AUTHORITY, MOST, FirstBoot, Store, user_data
from clove.errors import InvalidRequest
from tests.tls_identity import make_identity

BOOT = FirstBoot(
    machine="lab-1",
    relay="wss://relay.example.org:8765",
    store=Store.s3("clove-lab-0123", "eu-central-1"),
    bundle="bundle-0123.tar.gz",
    sha256="01" * 32,
)


def written(text: str) -> dict[str, str]:
    """The files that cloud-init would write."""
    assert text.startswith("#cloud-config\n")
    found = {}
    for each in yaml.safe_load(text)["write_files"]:
        content = each["content"]
        if each.get("encoding") == "gz+b64":
            content = gzip.decompress(base64.b64decode(content)).decode()
        found[each["path"]] = content
    return found


def test_cloud_init_writes_the_program_as_it_is_and_runs_it() -> None:
    text = user_data(BOOT)
    files = written(text)
    program = Path(first_boot.__file__).read_text()
    assert files["/usr/local/lib/clove/first_boot.py"] == program
    assert yaml.safe_load(text)["runcmd"] == [
        ["/usr/bin/python3", "-I", "/usr/local/lib/clove/first_boot.py"]
    ]
    settings = json.loads(files[first_boot.SETTINGS])
    assert settings == {
        "machine": "lab-1",
        "relay": "wss://relay.example.org:8765",
        "store": {
            "kind": "aws",
            "address": "https://clove-lab-0123.s3.eu-central-1.amazonaws.com",
            "region": "eu-central-1",
        },
        "bundle": "bundle-0123.tar.gz",
        "sha256": "01" * 32,
        "token": "join/lab-1",
        "authority": "",
    }


def test_the_units_of_kernel_and_agents_are_kept_from_the_metadata_service() -> None:
    unit = written(user_data(BOOT))["/etc/systemd/system/clove-kernel.service.d/metadata.conf"]
    assert f"IPAddressDeny={first_boot.METADATA} " in unit
    assert "first_boot.py --metadata-is-closed" in unit


def test_a_private_authority_is_written_for_the_kernel(tmp_path: Path) -> None:
    authority = Path(make_identity(tmp_path, "relay.example.org")[1]).read_text()
    files = written(user_data(BOOT._replace(authority=authority)))
    assert files[AUTHORITY] == authority
    assert json.loads(files[first_boot.SETTINGS])["authority"] == AUTHORITY


@pytest.mark.parametrize(
    "authority",
    [
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\nruncmd: [evil]\n",
        "-----BEGIN CERTIFICATE-----\nMIIB\n  - path: /etc/shadow\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_certificate_is_not_written(authority: str) -> None:
    with pytest.raises(InvalidRequest):
        user_data(BOOT._replace(authority=authority))


def test_what_no_cloud_would_take_is_refused_with_its_size() -> None:
    many = "-----BEGIN CERTIFICATE-----\n" + "A" * MOST + "\n-----END CERTIFICATE-----\n"
    with pytest.raises(InvalidRequest, match=f"EC2 takes {MOST}"):
        user_data(BOOT._replace(authority=many))


def test_there_is_room_for_five_certificates(tmp_path: Path) -> None:
    usual = "-----BEGIN CERTIFICATE-----\n" + "A" * 1100 + "\n-----END CERTIFICATE-----\n"
    assert len(user_data(BOOT._replace(authority=5 * usual)).encode()) <= MOST


@pytest.mark.skipif(shutil.which("cloud-init") is None, reason="there is no cloud-init here")
def test_cloud_inits_own_schema_has_nothing_against_it(tmp_path: Path) -> None:
    path = tmp_path / "user-data"
    path.write_text(user_data(BOOT))
    done = _schema(path)
    assert done.returncode == 0, done.stdout + done.stderr
    path.write_text(path.read_text().replace("runcmd:", "runcmd: 7\nno_such:"))
    assert _schema(path).returncode != 0


def _schema(path: Path) -> subprocess.CompletedProcess[Any]:
    words = ["cloud-init", "schema", "--config-file", str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=False)
