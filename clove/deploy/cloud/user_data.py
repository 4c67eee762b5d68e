"""The cloud-init user data of one machine: no secret, and small enough for every cloud. Pure, but for reading our files."""

from __future__ import annotations

import base64
import gzip
import json
import re
from importlib.resources import files
from typing import Final, Literal, NamedTuple

from clove.errors import InvalidRequest

__all__ = ["MOST", "FirstBoot", "Store", "user_data"]

MOST: Final = 16384
"""Bytes that EC2 takes; other clouds take more."""
AUTHORITY: Final = "/etc/clove/authority.pem"
_CERTIFICATES: Final = re.compile(
    r"\s*(-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+"
)


class Store(NamedTuple):
    """A private store of objects that machines read as themselves.

    @ivar kind: the cloud, which says how a machine proves itself.
    @ivar address: of its objects, without a slash at the end.
    @ivar region: of S3; "": it has none.
    """

    kind: Literal["aws", "gcp"]
    address: str
    region: str = ""

    @classmethod
    def s3(cls, bucket: str, region: str) -> Store:
        """A bucket of S3."""
        return cls("aws", f"https://{bucket}.s3.{region}.amazonaws.com", region)

    @classmethod
    def gcs(cls, bucket: str) -> Store:
        """A bucket of Google Cloud Storage."""
        return cls("gcp", f"https://storage.googleapis.com/{bucket}")


class FirstBoot(NamedTuple):
    """What a machine is told.

    @ivar machine: its id at the relay.
    @ivar relay: the relay's WebSockets, C{wss://HOST:8765}.
    @ivar store: where its bundle and its join token are.
    @ivar bundle: the bundle's name there.
    @ivar sha256: of the bundle, in hexadecimal.
    @ivar authority: certificates in PEM that sign the relay's; "": the host's own do.
    """

    machine: str
    relay: str
    store: Store
    bundle: str
    sha256: str
    authority: str = ""


def user_data(boot: FirstBoot) -> str:
    """The text that cloud-init is given.

    @raise InvalidRequest: the authority is no certificate, or all of it is too large.
    """
    settings = {
        "machine": boot.machine,
        "relay": boot.relay,
        "store": boot.store._asdict(),
        "bundle": boot.bundle,
        "sha256": boot.sha256,
        "token": f"join/{boot.machine}",
        "authority": AUTHORITY if boot.authority else "",
    }
    template = (files("clove.deploy") / "files" / "cloud-init" / "user-data.yaml").read_text()
    program = gzip.compress((files("clove.deploy.cloud") / "first_boot.py").read_bytes(), mtime=0)
    text = (
        template.replace("@SETTINGS@", _indented(json.dumps(settings, indent=1)))
        .replace("@PROGRAM@", base64.b64encode(program).decode())
        .replace("@AUTHORITY@\n", _authority(boot.authority))
    )
    if len(text.encode()) > MOST:
        raise InvalidRequest(
            f"the user data of {boot.machine} would have {len(text.encode())} bytes, and EC2 takes {MOST}",
            hint="--ca-file with the relay's own authority alone",
        )
    return text


def _authority(certificates: str) -> str:
    if not certificates:
        return ""
    if not _CERTIFICATES.fullmatch(certificates):
        raise InvalidRequest(
            "the relay's authority is no list of certificates in PEM",
            hint="--ca-file FILE has nothing but -----BEGIN CERTIFICATE----- ...",
        )
    head = f'  - path: {AUTHORITY}\n    permissions: "0644"\n    content: |\n'
    return f"{head}{_indented(certificates.strip())}\n"


def _indented(text: str) -> str:
    """As the content of a literal block of YAML below C{write_files}."""
    return "\n".join(f"      {line}" if line else "" for line in text.rstrip("\n").split("\n"))
