"""The first boot of a machine in a cloud: fetch a bundle and a join token, install, and wait until the kernel has joined.

cloud-init runs this there as root, as part of the user data (L{clove.deploy.cloud.user_data}); the standard library
of Python 3.11 is all that it needs. What it prints is on the machine's console, and it ends with `clove: joined` or
`clove: failed: WHY`. User data has no secret: the machine reads its two objects in a private store as itself, with
the short-lived access that the metadata service gives it. That service is closed to kernel and agents; run with
--metadata-is-closed, by the kernel's unit, this says whether it is.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final

SETTINGS: Final = "/usr/local/lib/clove/first-boot.json"
METADATA: Final = "169.254.169.254"
WORK: Final = "/var/lib/clove-first-boot"
JOIN: Final = "/etc/clove/join"
"""Where the installer puts the join token for the kernel; this removes it."""
MOST_BUNDLE: Final = 1 << 29
MOST_SMALL: Final = 1 << 16
WHOLE: Final = 3600.0
"""Seconds until this gives up: as long as a join token is good."""
EVERY: Final = 5.0
TOKEN_EVERY: Final = 60.0
"""Seconds until the token is looked at again: a deployment that was resumed has made another one."""
EMPTY: Final = hashlib.sha256(b"").hexdigest()

Headers = Mapping[str, str]


class Failed(Exception):
    """This machine cannot be made ready; says why."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """What proves who this machine is goes to the host that was named and to no other."""

    def redirect_request(self, *args: Any) -> None:
        """Never."""


OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)


def say(text: str) -> None:
    """Tell it on the console."""
    print(f"clove: {text}", flush=True)


def ask(address: str, headers: Headers, method: str = "GET") -> bytes:
    """A small answer.

    @raise OSError: there is none.
    """
    request = urllib.request.Request(address, headers=dict(headers), method=method)  # noqa: S310 http: of the metadata service
    with OPENER.open(request, timeout=20) as response:
        return bytes(response.read(MOST_SMALL))


def aws_access(store: Mapping[str, str], key: str) -> tuple[str, dict[str, str]]:
    """Address and headers of an object in S3, signed with the access of this machine's role (IMDSv2)."""
    service = f"http://{METADATA}/latest"
    session = ask(
        f"{service}/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, "PUT"
    ).decode()
    roles = f"{service}/meta-data/iam/security-credentials/"
    proof = {"X-aws-ec2-metadata-token": session}
    role = ask(roles, proof).decode().split()[0]
    access = json.loads(ask(roles + role, proof))
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    address = f"{store['address']}/{key}"
    return address, signed(address, store["region"], access, now)


def signed(address: str, region: str, access: Mapping[str, str], now: str) -> dict[str, str]:
    """The headers of a GET from S3 (AWS Signature Version 4).

    @param access: AccessKeyId, SecretAccessKey and perhaps Token.
    @param now: like C{20130524T000000Z}.
    """
    parts = urllib.parse.urlsplit(address)
    headers = {"host": parts.netloc, "x-amz-content-sha256": EMPTY, "x-amz-date": now}
    if access.get("Token"):
        headers["x-amz-security-token"] = access["Token"]
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"GET\n{parts.path}\n{parts.query}\n{lines}\n{names}\n{EMPTY}"
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    secret = f"AWS4{access['SecretAccessKey']}".encode()
    for part in [*scope.split("/"), f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}"]:
        secret = hmac.digest(secret, part.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access['AccessKeyId']}/{scope},"
        f"SignedHeaders={names},Signature={secret.hex()}"
    )
    return headers


def gcp_access(store: Mapping[str, str], key: str) -> tuple[str, dict[str, str]]:
    """Address and headers of an object in Cloud Storage, with the access of this machine's service account."""
    account = f"http://{METADATA}/computeMetadata/v1/instance/service-accounts/default/token"
    access = json.loads(ask(account, {"Metadata-Flavor": "Google"}))
    return f"{store['address']}/{key}", {"authorization": f"Bearer {access['access_token']}"}


ACCESS: Final = {"aws": aws_access, "gcp": gcp_access}


def fetch(store: Mapping[str, str], key: str, path: str, most: int) -> str:
    """Put an object of the store into a file that root alone reads; gives its SHA-256.

    @raise OSError: it cannot be had, or is larger than it may be.
    """
    address, headers = ACCESS[store["kind"]](store, key)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        whole, size = hashlib.sha256(), 0
        request = urllib.request.Request(address, headers=headers)  # noqa: S310 our settings' address
        with OPENER.open(request, timeout=60) as response:
            while data := response.read(1 << 18):
                size += len(data)
                if size > most:
                    raise OSError(f"{key} has more than {most} bytes")
                whole.update(data)
                file.write(data)
            if response.length:
                raise OSError(f"{key} was cut after {size} bytes")
    return whole.hexdigest()


def insist(what: str, attempt: Callable[[], str], until: float) -> str:
    """Try something that a network may refuse for a while.

    @raise Failed: it did not succeed in time.
    """
    before = ""
    while True:
        try:
            return attempt()
        except (OSError, ValueError, KeyError, IndexError, http.client.HTTPException) as error:
            why = f"{what}: {type(error).__name__}: {error}"
            if time.monotonic() >= until:
                raise Failed(why) from None
            if why != before:
                say(f"{why}; trying again")
            before = why
        time.sleep(EVERY)


def run(*words: str) -> None:
    """Run a program; its output is ours.

    @raise Failed: its status is not 0.
    """
    status = subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode
    if status:
        raise Failed(f"{' '.join(words[:2])} ended with {status}")


def has_joined() -> bool:
    """Whether the kernel's tunnel is connected, as the kernel says."""
    words = ["/opt/clove/current/bin/clove", "tunnel", "status", "--json"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        return json.loads(done.stdout)["connected"] is True
    except (ValueError, KeyError, TypeError):
        return False


def install(settings: Mapping[str, Any], until: float) -> None:
    """Fetch the bundle, compare its hash, and run its installer.

    @raise Failed: it cannot be had, is another one, or does not install.
    """
    path, token = f"{WORK}/bundle.tar.gz", f"{WORK}/join"
    say(f"fetching {settings['bundle']}")
    found = insist(
        "the bundle", lambda: fetch(settings["store"], settings["bundle"], path, MOST_BUNDLE), until
    )
    if found != settings["sha256"]:
        raise Failed(f"the bundle has the SHA-256 {found}, and should have {settings['sha256']}")
    run("tar", "-xzf", path, "-C", WORK, "--no-same-owner", "--strip-components=1")
    insist(
        "the join token",
        lambda: fetch(settings["store"], settings["token"], token, MOST_SMALL),
        until,
    )
    say("installing")
    words = [f"{WORK}/install", "--relay", settings["relay"], "--machine", settings["machine"]]
    words += ["--join-token-file", token]
    if settings.get("authority"):
        words += ["--ca-file", settings["authority"]]
    run(*words)


def join(settings: Mapping[str, Any], until: float) -> None:
    """Wait until the kernel has joined, with a newer token if there is one.

    @raise Failed: it has not in time.
    """
    say(f"joining {settings['relay']} as {settings['machine']}")
    last, fresh = time.monotonic(), f"{WORK}/join"
    while not has_joined():
        if time.monotonic() >= until:
            raise Failed(f"{settings['machine']} has not joined: journalctl -u clove-kernel")
        if time.monotonic() - last >= TOKEN_EVERY:
            last = time.monotonic()
            insist(
                "the join token",
                lambda: fetch(settings["store"], settings["token"], fresh, MOST_SMALL),
                until,
            )
            if not same(fresh, JOIN):
                say("there is another join token")
                os.replace(fresh, JOIN)
                run("systemctl", "restart", "clove-kernel.service")
        time.sleep(EVERY / 5)


def same(one: str, other: str) -> bool:
    """Whether two files have the same token."""
    try:
        with open(one, "rb") as left, open(other, "rb") as right:
            return left.read(MOST_SMALL).strip() == right.read(MOST_SMALL).strip()
    except FileNotFoundError:
        return False


def forget() -> None:
    """Remove the join token, which is used up, and what was installed from."""
    for path in (JOIN, f"{WORK}/join"):
        if os.path.exists(path):
            os.unlink(path)
    subprocess.run(["/bin/rm", "-rf", "--one-file-system", WORK], check=False)


def show_journal() -> None:
    """What the kernel said last, on the console: no login is possible here."""
    words = ["journalctl", "--unit=clove-kernel", "--lines=20", "--no-pager", "--output=cat"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    except OSError:
        return
    for line in done.stdout.splitlines():
        say(f"| {line[:300]}")


def metadata_is_closed() -> bool:
    """Whether this process, and so all of its unit, is kept from the metadata service by its cgroup.

    An empty datagram tells at once; a connection would merely be silent, as one is that leads nowhere.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as prober:
            prober.sendto(b"", (METADATA, 80))
        why = "IPAddressDeny= needs BPF for cgroups: systemd with it, and Linux 4.11"
    except PermissionError:
        return True
    except OSError as error:
        why = str(error)
    say(f"failed: nothing keeps this unit from {METADATA} ({why})")
    return False


def main(words: list[str]) -> int:
    """Make the machine ready; the exit status, which cloud-init reports."""
    if words == ["--metadata-is-closed"]:
        return 0 if metadata_is_closed() else 1
    until = time.monotonic() + WHOLE
    try:
        with open(SETTINGS) as file:
            settings = json.load(file)
        os.makedirs(WORK, mode=0o700, exist_ok=True)
        install(settings, until)
        join(settings, until)
        forget()
    except (Failed, OSError) as error:
        show_journal()
        say(f"failed: {error}")
        return 1
    say("joined")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
