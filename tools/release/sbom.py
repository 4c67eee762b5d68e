"""The SBOM: what a bundle installs, as CycloneDX, with licences, dependencies and the wheels' hashes.

clove-fast, which no bundle has, is listed as optional.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from clove.deploy.bundle import Bundle
from tools.release.environment import release_python

__all__ = ["make_sbom"]

CHECK = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(f"the SBOM is not valid: {problem}" if problem else 0)
"""


def make_sbom(bundle: Bundle, fast: Path, directory: Path, time: int) -> Path:
    """Install the bundle in a directory of its own, and list what is there.

    @param fast: the wheel of clove-fast.
    @param time: seconds since 1970 that it bears.
    @raise subprocess.CalledProcessError: it cannot be installed, listed or is not valid; that was said.
    """
    path = directory / bundle.path.name.replace(".tar.gz", ".cdx.json")
    python = release_python()
    with tempfile.TemporaryDirectory(prefix="clove-sbom-") as temporary:
        with tarfile.open(bundle.path) as archive:
            archive.extractall(temporary, filter="data")
        unpacked, home = Path(temporary, bundle.directory), Path(temporary, "home")
        variables = os.environ | {"HOME": str(home), "SOURCE_DATE_EPOCH": str(time)}
        install = [str(unpacked / "install"), "--user", "--no-units", "--json"]
        install += ["--prefix", str(home / "clove")]
        subprocess.run(install, check=True, env=variables, stdout=subprocess.DEVNULL)
        listing = [str(python), "-m", "cyclonedx_py", "environment", "--output-reproducible"]
        listing += ["--of", "JSON", "--sv", "1.6", "-o", str(path), str(home / "clove/current")]
        subprocess.run(listing, check=True, env=variables)
        wheels = {_name(wheel): wheel for wheel in (unpacked / "wheels").iterdir()}
        document = _completed(json.loads(path.read_text()), wheels)
    document["components"].append(_optional(fast))
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    subprocess.run([str(python), "-c", CHECK, str(path)], check=True)
    return path


def _completed(document: dict[str, Any], wheels: dict[str, Path]) -> dict[str, Any]:
    """With Clove as what it is about, and the hash of the wheel that each component comes from."""
    for component in document["components"]:
        wheel = wheels[re.sub(r"[-_.]+", "-", component["name"]).lower()]
        component["hashes"] = _hashes(wheel)
    (ours,) = (each for each in document["components"] if each["name"] == "clove")
    document["components"].remove(ours)
    document["metadata"]["component"] = ours | {"type": "application"}
    return document


def _hashes(wheel: Path) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}]


def _optional(wheel: Path) -> dict[str, Any]:
    """Clove's own part of that wheel's name and version, which may be installed as well."""
    version = wheel.name.split("-")[1]
    facts = {"type": "library", "name": "clove-fast", "version": version, "scope": "optional"}
    licences = [{"license": {"id": "Apache-2.0"}}]
    reference = f"clove-fast=={version}"
    return {**facts, "bom-ref": reference, "licenses": licences, "hashes": _hashes(wheel)}


def _name(wheel: Path) -> str:
    return re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
