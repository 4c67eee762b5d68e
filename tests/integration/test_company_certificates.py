"""`[egress] ca_file`: programs in sandboxes trust what the company trusts, root and rootless."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.connect_proxy import connect_proxy
from tests.integration.conftest import KernelProcess
from tests.integration.exposed import ROOT, ROOTLESS, host
from tests.integration.gateway_upstream import upstream
from tests.short_directory import short_dir

__all__ = ["short_dir"]

PROGRAM = """
import json, os, ssl, sys, urllib.request
loaded = ssl.create_default_context().cert_store_stats()["x509_ca"]
with open(os.environ["SSL_CERT_FILE"]) as file:
    told = file.read().count("BEGIN CERTIFICATE")
try:
    body = urllib.request.urlopen(sys.argv[-1], timeout=20).read().decode()
except OSError as error:
    body = str(error)
try:
    open(os.environ["SSL_CERT_FILE"], "a")
    writable = True
except OSError:
    writable = False
print(json.dumps({"told": told, "body": body, "writable": writable, "node": os.environ["NODE_EXTRA_CA_CERTS"]}))
"""


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_a_program_in_a_sandbox_trusts_the_file_and_cannot_change_it(
    who: str, warm: bool, short_dir: str
) -> None:
    os.chmod(short_dir, 0o755)
    with contextlib.ExitStack() as stack:
        servers = stack.enter_context(upstream(short_dir))
        proxy = stack.enter_context(connect_proxy())
        bundle = Path(short_dir, "company.pem")
        bundle.write_text(servers.certificate)
        bundle.chmod(0o644)
        where = f"api.test:{servers.secure.port}"
        proxy.hosts[where] = ("127.0.0.1", servers.secure.port)
        lines = ["[egress]", f'proxy = "{proxy.url}"', "proxy_resolves = true"]
        here = stack.enter_context(host(who, "\n".join([*lines, f'ca_file = "{bundle}"', ""])))
        Path(here.script).write_text(PROGRAM)
        agent = here.client.spawn(
            "trusting",
            here.script,
            args=[f"https://{where}/"],
            network=True,
            permissions={"allowed_domains": [where]},
            warm=warm,
        )
        assert here.client.wait(agent["id"], timeout=60)["exit_code"] == 0
        (line,) = [one["text"] for one in here.client.logs(agent["id"])["lines"]]
        assert '"body": "hi"' in line
        assert '"writable": false' in line
        assert '"node": "/etc/ssl/clove.pem"' in line


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('proxy = "http://127.0.0.1:1"\nca_file = "/none"', "egress.ca_file: cannot use"),
        ('proxy = "http://127.0.0.1:1"\nproxy_credentials_file = "/none"', "cannot read"),
    ],
)
def test_a_kernel_with_what_it_cannot_use_ends_with_one_line(
    lines: str, words: str, short_dir: str
) -> None:
    config = f'[egress]\n{lines}\n\n[llm]\nprovider = "gemini"\nbase_url = "https://model.test"\n'
    kernel = KernelProcess(short_dir, config)
    ran = subprocess.run(
        kernel.command(),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=short_dir,
        check=False,
        env={**os.environ, "GEMINI_API_KEY": "a-key"},
    )
    assert ran.returncode != 0
    said = ran.stdout + ran.stderr
    assert words in said
    assert "Traceback" not in said
