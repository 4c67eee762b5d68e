"""A headless Chromium under the shipped profile, over HTTPS through rules, root and rootless.

It sends decoys of an encrypted ClientHello, which the gateway cannot tell from a real one.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration.cli_shell import Shell
from tests.integration.exposed import ORDINARY, ROOT, ROOTLESS, host
from tests.integration.gateway_upstream import WEB, Upstream, upstream

CONFIG = f"""
[egress.hosts]
"api.test" = "127.0.0.1"
"web.test" = "{WEB}"
"""
PAGE = ">hi</pre>"
PNG = b"\x89PNG\r\n"
CHROMIUM = shutil.which("chromium")
PLAYWRIGHT = shutil.which("playwright")
SCRIPT = """
import sys
from playwright.sync_api import sync_playwright

with sync_playwright() as started:
    browser = started.chromium.launch(executable_path=sys.argv[1])
    page = browser.new_page(ignore_https_errors=True)
    page.goto(sys.argv[2])
    print(page.inner_text("body"))
    page.screenshot(path="page.png")
    print(open("page.png", "rb").read(6))
    browser.close()
"""


@dataclass
class Browsing:
    """A kernel, servers and somebody who calls `clove run --profile browser`."""

    who: str
    shell: Shell
    servers: Upstream

    @property
    def options(self) -> list[str]:
        ports = [f"{name}:{self.servers.secure.port}" for name in ("api.test", "127.0.0.1")]
        ports += ["web.test:443", f"{WEB}:443"]
        return ["--profile", "browser", *(f"--allow-domain={rule}" for rule in ports)]

    def chromium(self, *words: str) -> tuple[str, str]:
        """What it prints, and what is said on stderr."""
        certificate = x509.load_pem_x509_certificate(self.servers.certificate.encode())
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        trusted = base64.b64encode(hashlib.sha256(key).digest()).decode()
        result = self.shell(
            *["run", *self.options, "--", "chromium", "--headless", "--no-sandbox"],
            *["--disable-background-networking", "--disable-component-update"],
            *[f"--ignore-certificate-errors-spki-list={trusted}", *words],
        )
        return result.stdout, result.stderr


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def browsing(request: pytest.FixtureRequest) -> Iterator[Browsing]:
    if CHROMIUM is None:
        pytest.skip("no chromium (Debian's package chromium)")
    with host(request.param, CONFIG) as here, upstream(here.kernel.directory) as servers:
        place = here.files / "project"
        place.mkdir()
        if request.param == ROOTLESS and os.getuid() == 0:
            os.chown(place, ORDINARY, ORDINARY)
        yield Browsing(here.who, Shell(place, here.kernel.socket), servers)


def test_a_page_is_read_though_decoys_of_encrypted_names_are_sent(browsing: Browsing) -> None:
    """Its server asks for a second ClientHello, which has a decoy as well."""
    port = browsing.servers.secure.port
    browsing.servers.secure.hellos.clear()
    page, said = browsing.chromium("--dump-dom", f"https://api.test:{port}/")
    assert PAGE in page, said
    hellos = browsing.servers.secure.hellos
    assert any(b"\xfe\x0d" in hello for hello in hellos), "it sends no decoys any more"


@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user cannot listen on port 443")
def test_a_screenshot_is_taken_from_port_443(browsing: Browsing) -> None:
    line = 'chromium --headless --no-sandbox "$@" >&2 && cat page.png | head -c 6 | base64'
    words = ["--ignore-certificate-errors", "--screenshot=page.png", "https://web.test/"]
    result = browsing.shell("run", *browsing.options, "--", "sh", "-c", line, "sh", *words)
    assert base64.b64decode(result.stdout) == PNG, result.stderr


def test_another_name_at_the_same_address_is_refused(browsing: Browsing) -> None:
    port = browsing.servers.secure.port
    page, said = browsing.chromium(
        "--host-resolver-rules=MAP evil.test api.test", "--dump-dom", f"https://evil.test:{port}/"
    )
    assert PAGE not in page
    assert "refused (sni): it names 'evil.test'" in said


def test_a_playwright_script_drives_it(browsing: Browsing) -> None:
    if PLAYWRIGHT is None:
        pytest.skip("no playwright in PATH (pip install playwright)")
    python = Path(PLAYWRIGHT).with_name("python")
    if browsing.who == ROOTLESS and not str(python.resolve()).startswith("/usr/"):
        pytest.skip("its Python is not one that an ordinary user can run")
    browsing.shell.file("drive.py", SCRIPT)
    url = f"https://api.test:{browsing.servers.secure.port}/"
    words = ["--python", str(python), "drive.py", "/usr/bin/chromium", url]
    result = browsing.shell("run", *browsing.options, *words)
    assert result.stdout == f"hi\n{PNG!r}\n", result.stderr
