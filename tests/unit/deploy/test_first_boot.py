"""The program of a machine's first boot, against a metadata service and an S3 that check what they are asked."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.deploy.cloud import first_boot
from clove.deploy.cloud.first_boot import Failed
from tests.cloud.fake_aws import FakeAWS
from tests.cloud.fake_gcp import FakeGCP

REGION = "eu-central-1"
INSTANCE = {"id": "i-0123", "user_data": "#cloud-config\n"}
BUNDLE = b"bundle" * 100_000
NEVER = 0.0
"""A time that has gone by: there is one try."""


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAWS]:
    bucket = tmp_path / "clove-lab"
    (bucket / "join").mkdir(parents=True)
    (bucket / "bundle-1").write_bytes(BUNDLE)
    (bucket / "join" / "lab-1").write_text("clove_join_mine")
    (bucket / "join" / "lab-2").write_text("clove_join_other")
    aws = FakeAWS("lab-1", INSTANCE, bucket, REGION)
    monkeypatch.setattr(first_boot, "METADATA", f"127.0.0.1:{aws.metadata.port}")
    monkeypatch.setattr(first_boot, "WORK", str(tmp_path / "work"))
    monkeypatch.setattr(first_boot, "JOIN", str(tmp_path / "join"))
    (tmp_path / "work").mkdir()
    try:
        yield aws
    finally:
        aws.stop()


def store(aws: FakeAWS) -> dict[str, str]:
    return {"kind": "aws", "address": f"http://127.0.0.1:{aws.storage.port}", "region": REGION}


def settings(aws: FakeAWS, **changed: Any) -> dict[str, Any]:
    return {
        "machine": "lab-1",
        "relay": "wss://relay.example.org:8765",
        "store": store(aws),
        "bundle": "bundle-1",
        "sha256": hashlib.sha256(BUNDLE).hexdigest(),
        "token": "join/lab-1",
        **changed,
    }


def test_a_request_is_signed_as_amazon_shows_it() -> None:
    """The example "GET Bucket Lifecycle" of the documentation of Signature Version 4."""
    access = {
        "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    }
    address = "https://examplebucket.s3.amazonaws.com/?lifecycle="
    headers = first_boot.signed(address, "us-east-1", access, "20130524T000000Z")
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 "
        "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    )


def test_an_object_is_fetched_as_the_machine_into_a_file_of_roots_alone(
    aws: FakeAWS, tmp_path: Path
) -> None:
    path = tmp_path / "bundle"
    found = first_boot.fetch(store(aws), "bundle-1", str(path), 1 << 20)
    assert found == hashlib.sha256(BUNDLE).hexdigest()
    assert path.read_bytes() == BUNDLE
    assert path.stat().st_mode & 0o777 == 0o600
    assert aws.metadata_asked == [
        "/latest/api/token",
        "/latest/meta-data/iam/security-credentials/",
        "/latest/meta-data/iam/security-credentials/clove-machine",
    ]


def test_another_machines_token_is_not_to_be_had(aws: FakeAWS, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="403"):
        first_boot.fetch(store(aws), "join/lab-2", str(tmp_path / "token"), 100)


def test_google_gives_a_machine_its_two_objects_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = tmp_path / "clove-lab"
    (bucket / "join").mkdir(parents=True)
    (bucket / "join" / "lab-1").write_text("clove_join_mine")
    google = FakeGCP("lab-1", bucket)
    monkeypatch.setattr(first_boot, "METADATA", f"127.0.0.1:{google.metadata.port}")
    there = {"kind": "gcp", "address": f"http://127.0.0.1:{google.storage.port}/clove-lab"}
    try:
        first_boot.fetch(there, "join/lab-1", str(tmp_path / "token"), 100)
        assert (tmp_path / "token").read_text() == "clove_join_mine"
        with pytest.raises(OSError, match="403"):
            first_boot.fetch(there, "join/lab-2", str(tmp_path / "token"), 100)
    finally:
        google.stop()


def test_what_is_larger_than_it_may_be_is_not_fetched(aws: FakeAWS, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="more than 1000 bytes"):
        first_boot.fetch(store(aws), "bundle-1", str(tmp_path / "bundle"), 1000)


def test_a_bundle_with_another_hash_is_not_installed(aws: FakeAWS, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="has the SHA-256"):
        first_boot.install(settings(aws, sha256="0" * 64), NEVER)
    assert ("join/lab-1", 200) not in aws.objects_asked


def test_what_cannot_be_had_in_time_is_said(
    aws: FakeAWS, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Failed, match="the bundle: HTTPError: HTTP Error 403"):
        first_boot.install(settings(aws, bundle="bundle-2"), NEVER)


def test_a_newer_token_is_taken_and_the_kernel_started_again(
    aws: FakeAWS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a deployment that was killed and resumed: the first token was revoked."""
    (tmp_path / "join").write_text("clove_join_revoked\n")
    ran: list[tuple[str, ...]] = []
    looks = iter([False, False, True])
    monkeypatch.setattr(first_boot, "run", lambda *words: ran.append(words))
    monkeypatch.setattr(first_boot, "has_joined", lambda: next(looks))
    monkeypatch.setattr(first_boot, "TOKEN_EVERY", 0.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    first_boot.join(settings(aws), time.monotonic() + 60)
    assert (tmp_path / "join").read_text() == "clove_join_mine"
    assert ran == [("systemctl", "restart", "clove-kernel.service")]
    first_boot.forget()
    assert not (tmp_path / "join").exists()
    assert not (tmp_path / "work").exists()


def test_a_failure_is_the_exit_status_and_a_line_of_its_own(
    aws: FakeAWS,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings(aws, sha256="0" * 64)))
    monkeypatch.setattr(first_boot, "SETTINGS", str(path))
    assert first_boot.main([]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("clove: failed: the bundle has")


def test_a_metadata_service_is_closed_when_sending_there_is_not_permitted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing keeps this process from loopback. The guest of C{make test-cloud} has a unit that is kept."""
    monkeypatch.setattr(first_boot, "METADATA", "127.0.0.1")
    assert first_boot.main(["--metadata-is-closed"]) == 1
    assert "clove: failed: nothing keeps this unit from 127.0.0.1" in capsys.readouterr().out
    monkeypatch.setattr(first_boot, "METADATA", "255.255.255.255")  # EACCES, without SO_BROADCAST
    assert first_boot.main(["--metadata-is-closed"]) == 0
    monkeypatch.setattr(first_boot, "METADATA", "no address")
    assert first_boot.main(["--metadata-is-closed"]) == 1
