from __future__ import annotations

from pathlib import Path

import pytest

from clove.errors import InvalidRequest
from clove.kernel.network.authorities import bundle, read_certificates
from tests.tls_identity import make_identity


def test_every_certificate_of_a_file_is_read_and_nothing_else(tmp_path: Path) -> None:
    key, certificate = (Path(name).read_text() for name in make_identity(tmp_path))
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(f"# ours\n{certificate}\n{key}\nand again\n{certificate}")
    found = read_certificates(str(bundle))
    assert [one + "\n" for one in found] == [certificate] * 2


def test_a_bundle_has_the_hosts_certificates_as_well(tmp_path: Path) -> None:
    theirs = Path(make_identity(tmp_path)[1]).read_text().strip()
    ours = theirs.replace("A", "B")
    host = tmp_path / "host.pem"
    host.write_text(f"# theirs\n{theirs}\n")
    text = bundle((ours,), (str(tmp_path / "none"), str(host)))
    assert text == f"{theirs}\n{ours}\n"
    assert bundle((ours,), ()) == f"{ours}\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nA===A\n-----END CERTIFICATE-----\n",
    ],
)
def test_a_file_without_certificates_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.pem"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=f"egress.ca_file: cannot use {path}"):
        read_certificates(str(path))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        read_certificates(str(tmp_path / "none"))
    with pytest.raises(InvalidRequest, match="a directory"):
        read_certificates(str(tmp_path))
