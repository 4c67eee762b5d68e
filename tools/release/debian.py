"""The Debian package: what a bundle installs, unpacked below /opt/clove, with units and a configuration.

dpkg-deb alone makes it. The wheels are unpacked here, for the target's Python, so nothing is installed when the
package is: it depends on Debian's python3 of that version.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clove._version import __version__
from clove.deploy.bundle import Bundle
from clove.errors import Unavailable
from tools.release.tree import TREE

__all__ = ["make_package"]

SOURCE: Final = TREE / "deploy/debian"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
UNITS: Final = {
    "system": "usr/lib/systemd/system",
    "user": "usr/lib/systemd/user",
    "sysusers.d": "usr/lib/sysusers.d",
    "tmpfiles.d": "usr/lib/tmpfiles.d",
}
"""Where the directories of deploy/systemd belong."""
SCRIPT: Final = """#!{python} -I
import sys
from {module} import {function}
sys.argv[0] = {name!r}
sys.exit({function}())
"""
PROGRAMS: Final = {"clove": ("clove.cli.main", "main"), "twistd": ("twisted.scripts.twistd", "run")}


def make_package(bundle: Bundle, directory: Path, time: int) -> Path:
    """Make C{clove_VERSION_ARCHITECTURE.deb} of a bundle.

    @param time: seconds since 1970 that all of it bears.
    @return: its path, in the directory.
    @raise Unavailable: there is no dpkg-deb.
    @raise subprocess.CalledProcessError: pip or dpkg-deb could not; it has said why.
    """
    if shutil.which("dpkg-deb") is None:
        raise Unavailable("there is no dpkg-deb", hint="apt-get install dpkg")
    architecture = ARCHITECTURES[bundle.target.machine]
    python = bundle.target.python.replace(".", "")
    path = directory / f"clove_{__version__}+py{python}_{architecture}.deb"
    with tempfile.TemporaryDirectory(prefix="clove-deb-") as temporary:
        with tarfile.open(bundle.path) as archive:
            archive.extractall(temporary, filter="data")
        unpacked, root = Path(temporary, bundle.directory), Path(temporary, "root")
        _add_release(bundle, unpacked, root)
        _add_files(bundle, unpacked, root, time)
        _add_control(bundle, root)
        _settle(root)
        # Level 1: 7 s of a processor instead of some 40, for 3 MB more.
        words = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--threads-max=1", "--build"]
        variables = os.environ | {"SOURCE_DATE_EPOCH": str(time)}
        build = [*words, str(root), str(path)]
        subprocess.run(build, check=True, env=variables, stdout=subprocess.DEVNULL)
    return path


def _add_release(bundle: Bundle, unpacked: Path, root: Path) -> None:
    """A virtual environment of Debian's Python, put together by hand, since that may not be here."""
    release = root / "opt/clove" / bundle.release
    packages = release / f"lib/python{bundle.target.python}/site-packages"
    packages.mkdir(parents=True)
    (pip,) = (unpacked / "wheels").glob("pip-*.whl")
    words = [
        sys.executable,
        f"{pip}/pip",
        "install",
        "--isolated",
        "-qq",
        "--no-index",
        "--no-deps",
    ]
    words += ["--require-hashes", "--only-binary", ":all:", "--no-compile", "--no-cache-dir"]
    words += [
        "--disable-pip-version-check",
        *bundle.target.pip_options(),
        "--target",
        str(packages),
    ]
    words += ["--find-links", str(unpacked / "wheels"), "-r", str(unpacked / "requirements.txt")]
    subprocess.run(words, check=True, env=os.environ | {"PIP_CONFIG_FILE": os.devnull})
    shutil.rmtree(packages / "bin")
    (release / "bin").mkdir()
    python = f"/opt/clove/{bundle.release}/bin/python"
    (release / "bin/python").symlink_to(f"/usr/bin/python{bundle.target.python}")
    (release / "bin/python3").symlink_to("python")
    home = "home = /usr/bin\ninclude-system-site-packages = false\n"
    (release / "pyvenv.cfg").write_text(f"{home}version = {bundle.target.python}\n")
    for name, (module, function) in PROGRAMS.items():
        script = release / "bin" / name
        script.write_text(SCRIPT.format(python=python, module=module, function=function, name=name))
        script.chmod(0o755)
    (root / "opt/clove/current").symlink_to(bundle.release)


def _add_files(bundle: Bundle, unpacked: Path, root: Path, time: int) -> None:
    """What lies outside of /opt/clove."""
    for name, target in UNITS.items():
        for source in sorted((unpacked / "systemd" / name).glob("*")):
            path = root / target / source.name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text().replace("%h/.local/share/clove/current", "/opt/clove/current")
            path.write_text(text)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/clove").symlink_to("/opt/clove/current/bin/clove")
    (root / "usr/bin/clove-twistd").symlink_to("/opt/clove/current/bin/twistd")
    (root / "etc/clove").mkdir(parents=True)
    shutil.copy(SOURCE / "clove.toml", root / "etc/clove")
    documents = root / "usr/share/doc/clove"
    documents.mkdir(parents=True)
    shutil.copy(SOURCE / "copyright", documents)
    when = datetime.fromtimestamp(time, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
    lines = [f"clove ({_version(bundle)}) stable; urgency=medium", "", f"  * Clove {__version__}."]
    (who,) = re.findall(r"(?m)^Maintainer: (.*)$", (SOURCE / "control").read_text())
    text = "\n".join([*lines, "", f" -- {who}  {when}", ""])
    (documents / "changelog.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    overrides = root / "usr/share/lintian/overrides"
    overrides.mkdir(parents=True)
    shutil.copy(SOURCE / "lintian-overrides", overrides / "clove")


def _version(bundle: Bundle) -> str:
    """One of its own for each Python, since the packages differ; of Debian 12's and 13's, the latter is newer."""
    return f"{__version__}+py{bundle.target.python.replace('.', '')}"


def _add_control(bundle: Bundle, root: Path) -> None:
    major, minor = bundle.target.python.split(".")
    size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir())
    values = {
        "VERSION": _version(bundle),
        "ARCHITECTURE": ARCHITECTURES[bundle.target.machine],
        "SIZE": str(size >> 10),
        "PYTHON": bundle.target.python,
        "NEXT": f"{major}.{int(minor) + 1}",
        "RELEASE": bundle.release,
    }
    control = root / "DEBIAN"
    control.mkdir()
    for name in ("control", "postinst", "prerm", "postrm"):
        text = (SOURCE / name).read_text()
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        (control / name).write_text(text)
    (control / "conffiles").write_text("/etc/clove/clove.toml\n")
    files = sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and control not in path.parents
    )
    sums = (f"{_md5(path)}  {path.relative_to(root)}\n" for path in files)
    (control / "md5sums").write_text("".join(sums))


def _md5(path: Path) -> str:
    """What dpkg wants, for accidents and not for attacks."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _settle(root: Path) -> None:
    """The same modes whatever the umask; dpkg-deb sees to times and owners."""
    for path in [root, *root.rglob("*")]:
        if path.is_symlink():
            continue
        text = path.is_file() and path.read_bytes()[:2] != b"#!"
        library = "site-packages" in path.parts and path.is_file()
        path.chmod(0o644 if text or library else 0o755)
