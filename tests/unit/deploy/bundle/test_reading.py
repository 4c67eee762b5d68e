"""A bundle in a file says for what it is; other files are refused with what makes one."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from clove.deploy.bundle.reading import BundleFacts, read_facts
from clove.errors import InvalidRequest

FACTS = {"release": "0.1.0-ab", "version": "0.1.0", "python": "3.11", "machine": "x86_64"}


def archive(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / "b.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        member = tarfile.TarInfo(name)
        member.size = len(text)
        made.addfile(member, io.BytesIO(text.encode()))
    return path


def test_what_a_bundle_says_is_read(tmp_path: Path) -> None:
    path = archive(tmp_path, "clove-0.1.0/bundle.json", json.dumps({**FACTS, "glibc": 28}))
    assert read_facts(path) == BundleFacts("clove-0.1.0", *FACTS.values())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("clove/README", "{}"),
        ("clove/more/bundle.json", json.dumps(FACTS)),
        ("clove/bundle.json", "{"),
        ("clove/bundle.json", "[]"),
        ("clove/bundle.json", json.dumps({"release": "0.1.0-ab"})),
        ("clove/bundle.json", json.dumps({**FACTS, "release": 1})),
        ("clove/bundle.json", json.dumps({**FACTS, "release": "../other"})),
        ("../bundle.json", json.dumps(FACTS)),
    ],
)
def test_an_archive_that_is_none_is_refused(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match="is no bundle of Clove: ") as refused:
        read_facts(archive(tmp_path, name, text))
    assert "clove deploy bundle" in refused.value.hint


def test_a_file_that_is_no_archive_or_is_cut_is_refused(tmp_path: Path) -> None:
    whole = archive(tmp_path, "clove/bundle.json", json.dumps(FACTS)).read_bytes()
    for number, data in enumerate((b"", b"text", whole[: len(whole) // 2])):
        (tmp_path / str(number)).write_bytes(data)
        with pytest.raises(InvalidRequest, match="is no bundle of Clove"):
            read_facts(tmp_path / str(number))
    with pytest.raises(InvalidRequest, match="No such file"):
        read_facts(tmp_path / "missing")


def test_one_that_is_nested_without_end_or_damaged_is_refused(tmp_path: Path) -> None:
    path, text = tmp_path / "deep.tar.gz", b"[" * 60_000
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("clove-0.1.0/bundle.json")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    with pytest.raises(InvalidRequest, match="no bundle of Clove"):
        read_facts(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:20] + b"\xff" * 20 + whole[40:])
    with pytest.raises(InvalidRequest, match="no bundle of Clove"):
        read_facts(path)
