"""What a machine on EC2 asks of AWS: its metadata service (version 2, as cloud-init and we use it), and objects of S3.

S3 checks who asks by the signature, and gives a machine what its role could read: the bundle, and its own join token.
"""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any, Final

from clove.deploy.cloud.first_boot import signed
from tests.cloud.served import Served

__all__ = ["FakeAWS"]

ROLE: Final = "clove-machine"


class FakeAWS:
    """Metadata of one instance, and its bucket.

    @param machine: its id.
    @param instance: what the cloud has of it: C{id} and C{user_data}.
    @param bucket: a directory, whose name is the bucket's.
    @param tls: files with the key and certificate of S3; None: it is served in clear.
    @ivar metadata_asked: paths that the metadata service was asked for, in order.
    """

    def __init__(
        self,
        machine: str,
        instance: dict[str, Any],
        bucket: Path,
        region: str,
        tls: tuple[str, str] | None = None,
    ) -> None:
        self.metadata_asked: list[str] = []
        self.objects_asked: list[tuple[str, int]] = []
        self._machine = machine
        self._bucket = bucket
        self._region = region
        self._session = secrets.token_hex(16)
        self.access = {
            "Code": "Success",
            "AccessKeyId": "ASIA0123456789ABCDEF",
            "SecretAccessKey": secrets.token_hex(20),
            "Token": secrets.token_hex(100),
        }
        self._tree = _tree(instance, region, self.access)
        self.metadata = Served(self._answer_metadata)
        self.storage = Served(self._answer_object, tls)

    def stop(self) -> None:
        """End both."""
        self.metadata.stop()
        self.storage.stop()

    def _answer_metadata(self, method: str, path: str, headers: Any) -> tuple[int, bytes]:
        self.metadata_asked.append(path)
        _, _version, *names = path.split("/")
        if method == "PUT" and names == ["api", "token"]:
            return 200, self._session.encode()
        if headers.get("X-aws-ec2-metadata-token") != self._session:
            return 401, b""  # as with http_tokens = "required"
        found: Any = self._tree
        for name in names:
            if name and not isinstance(found, dict):
                return 404, b""
            if name and name not in found:
                return 404, b""
            found = found[name] if name else found
        if isinstance(found, dict):
            listed = (name + "/" * isinstance(each, dict) for name, each in found.items())
            return 200, "\n".join(listed).encode()
        return 200, str(found).encode()

    def _answer_object(self, method: str, path: str, headers: Any) -> tuple[int, bytes]:
        status, data = self._object(path.removeprefix("/"), headers)
        self.objects_asked.append((path.removeprefix("/"), status))
        return status, data

    def _object(self, key: str, headers: Any) -> tuple[int, bytes]:
        now = headers.get("x-amz-date", "")
        wanted = signed(f"https://{headers['Host']}/{key}", self._region, self.access, now)
        if not re.fullmatch(r"\d{8}T\d{6}Z", now) or any(
            headers.get(name) != value for name, value in wanted.items()
        ):
            return 403, b"SignatureDoesNotMatch"
        if not key.startswith("bundle-") and key != f"join/{self._machine}":
            return 403, b"AccessDenied"
        try:
            return 200, (self._bucket / key).read_bytes()
        except FileNotFoundError:
            return 403, b"AccessDenied"  # S3's answer to a role that may not list


def _tree(instance: dict[str, Any], region: str, access: dict[str, str]) -> dict[str, Any]:
    document = {"region": region, "instanceId": instance["id"], "availabilityZone": f"{region}a"}
    return {
        "meta-data": {
            "ami-id": "ami-0123456789abcdef0",
            "hostname": "ip-10-84-0-15",
            "iam": {"security-credentials": {ROLE: json.dumps(access)}},
            "instance-id": instance["id"],
            "instance-type": instance.get("type", "t3.medium"),
            "local-hostname": "ip-10-84-0-15",
            "local-ipv4": "10.84.0.15",
            "placement": {"availability-zone": f"{region}a", "region": region},
        },
        "user-data": instance["user_data"],
        "dynamic": {"instance-identity": {"document": json.dumps(document)}},
    }
