"""Renew or check the hash-locked requirements.

    python tools/lock.py            renew the locks from setup.cfg, newest versions first
    python tools/lock.py --check    do they hold, whole, for every Python and machine that we support?

One lock serves all of them (C{VERSIONS} x C{MACHINES}): uv resolves for all at once and gives a
requirement that only some need a marker (PEP 508). The check resolves for each by itself, with
nothing but what is locked and wheels alone, and compares the names: a missing wheel, a requirement
that the lock leaves out, or one that nothing asks for any more is an error. The interpreters
themselves are not needed. uv is installed into a throw-away environment, so that it is not one of the
project's dependencies.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

__all__ = ["ENVIRONMENT", "MACHINES", "VERSIONS", "needed", "without_ours"]

TREE = Path(__file__).resolve().parent.parent
UV = "uv==0.13.9"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
"""Versions of CPython that the locks are for; the first is the oldest."""
MACHINES = ("x86_64", "aarch64")
"""Processors that the locks are for; all with glibc 2.28 (Debian 10) or newer."""
ENVIRONMENT = (
    "implementation_name == 'cpython'",
    "platform_python_implementation == 'CPython'",
    "sys_platform == 'linux'",
)
"""What holds wherever the locks are used, so that no marker has to say it."""
RELEASE = "requirements-release.lock"
LOCKS: dict[str, tuple[str, ...]] = {
    "requirements.lock": (),
    "requirements-dev.lock": ("dev", "postgresql"),  # tests try what few relays need
    "requirements-bundle.lock": ("postgresql",),  # one bundle serves relays and kernels
    RELEASE: ("release",),
}
"""What the programs need, what the checks need as well, what a bundle has besides Clove, and what makes a
release (in an environment of its own), with the extras that each has; the first three agree."""
BUNDLE = ("pip>=24",)
"""A bundle brings its own pip: Debian's Python has none, and it fetches the wheels of further bundles."""
HEADER = "# Made by `make lock` (tools/lock.py); `make check-locks` checks it.\n"


def needed(lock: str) -> list[str]:
    """The requirements that a lock is made from: those of setup.cfg and of the build backend.

    @param lock: one of C{LOCKS}
    """
    config = configparser.ConfigParser()
    config.read(TREE / "setup.cfg")
    lines = []
    if lock != RELEASE:  # which has programs that know no Clove
        lines += config["options"]["install_requires"].split("\n")
    if lock == "requirements-bundle.lock":  # nothing is built where it is installed
        lines += BUNDLE
    elif lock != RELEASE:
        lines += tomllib.loads((TREE / "pyproject.toml").read_text())["build-system"]["requires"]
    for extra in LOCKS[lock]:
        lines += config["options.extras_require"][extra].split("\n")
    return [line for line in lines if line]


def without_ours(text: str) -> str:
    """A lock without the conditions that always hold (C{ENVIRONMENT})."""

    def shorter(found: re.Match[str]) -> str:
        rest = [part for part in found[1].split(" and ") if part not in ENVIRONMENT]
        return f" ; {' and '.join(rest)} \\\n" if rest else " \\\n"

    return re.sub(r" ; ([^()\n]*) \\\n", shorter, text)


class Resolver:
    """uv, in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        venv.create(directory / "venv", with_pip=True)
        self._pip = [str(directory / "venv/bin/python"), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*self._pip, "install", "-q", UV], check=True)
        conditions = " and ".join(ENVIRONMENT)
        (directory / "pyproject.toml").write_text(f'[tool.uv]\nenvironments = ["{conditions}"]\n')
        self._variables = os.environ | self._index()

    def _index(self) -> dict[str, str]:
        """Where pip gets packages on this machine, for uv, which does not read pip's settings."""
        command = [*self._pip, "config", "list"]
        settings = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = re.findall(r"^(?:global|:env:)\.index-url='(.*)'$", settings, re.MULTILINE)
        return {"UV_DEFAULT_INDEX": found[-1]} if found else {}

    def within(self, lock: str) -> list[str]:
        """Options for `resolve`: nothing but what this lock has."""
        shutil.copy(TREE / lock, self._directory / lock)
        return ["--constraint", lock]

    def resolve(self, lock: str, *options: str) -> str:
        """Resolve a lock's requirements to a list, by wheels alone.

        @raise subprocess.CalledProcessError: when there is no answer; uv has said why
        """
        source = self._directory / lock.replace(".lock", ".in")
        source.write_text("\n".join(needed(lock)) + "\n")
        result = self._directory / f"{lock}.out"
        common = ["--quiet", "--no-header", "--only-binary", ":all:", "--no-emit-index-url"]
        command = [str(self._directory / "venv/bin/uv"), "pip", "compile", *common, *options]
        command += ["--output-file", result.name, source.name]
        result.unlink(missing_ok=True)  # uv would prefer what stands there
        subprocess.run(command, check=True, cwd=self._directory, env=self._variables)
        return result.read_text().replace(f"-r {source.name}", "clove (setup.cfg)")


def renew(resolver: Resolver) -> None:
    """Write the locks; what the programs need is the same in all that have it."""
    same: list[str] = []
    for lock in LOCKS:
        options = ["--universal", "--python-version", VERSIONS[0], "--generate-hashes"]
        if lock != RELEASE:
            options += same
        (TREE / lock).write_text(HEADER + without_ours(resolver.resolve(lock, *options)))
        same = resolver.within(lock)


def pins(text: str) -> set[str]:
    """The C{name==version} of a list of requirements."""
    return set(re.findall(r"^([A-Za-z0-9._-]+==[^ \n]+)", text, re.MULTILINE))


def check(resolver: Resolver) -> list[str]:
    """What is wrong with the locks, a line for each."""
    wrong = []
    for lock in LOCKS:
        text = (TREE / lock).read_text()
        always = pins(re.sub(r"^\S+ ; .*$", "", text, flags=re.MULTILINE))
        for version in VERSIONS:
            for machine in MACHINES:
                platform = f"{machine}-manylinux_2_28"
                options = ["--python-version", version, "--python-platform", platform]
                where = f"{lock}, Python {version}, {machine}"
                try:
                    found = pins(resolver.resolve(lock, *options, *resolver.within(lock)))
                except subprocess.CalledProcessError:
                    wrong.append(f"{where}: see above")
                    continue
                wrong += [f"{where}: not locked: {pin}" for pin in sorted(found - pins(text))]
                wrong += [f"{where}: not needed: {pin}" for pin in sorted(always - found)]
    return wrong


def main() -> int:
    """Do what was asked for; 1 when a check fails."""
    parser = argparse.ArgumentParser(description="Renew or check the locks.")
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        resolver = Resolver(Path(directory))
        if not chosen.check:
            renew(resolver)
            return 0
        wrong = check(resolver)
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"the locks are whole for Python {', '.join(VERSIONS)} on {', '.join(MACHINES)}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
