"""A machine to deploy to: Debian in a network of its own, with a real sshd."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.servers import started
from tests.integration.fleet.fleet_processes import Fleet, Ran
from tests.waiting import until

__all__ = ["ADDRESS", "FarMachine", "far_machine"]

ADDRESS = "10.203.0.2"
PORTS = {"booted": 22, "plain": 2222}
"""They share a network."""
BOOT = 180.0
"""Seconds for it, beside a guest and other lanes."""
BOOTED = ("--boot",)
SSHD = ("--as-pid2", "sh", "-c", "mkdir -p /run/sshd; exec /usr/sbin/sshd -D -p 2222")
CLAIMS = """
find /opt /etc/clove /etc/systemd/system /etc/tmpfiles.d /etc/sysusers.d /var/lib/clove /usr/local/bin /root /home -xdev """
CLAIMS += """"(" -path "*/.clove" -o -path "*/clove/0.1.0-*" -o -path "*/.ssh*" ")" -prune -o -type f -print -o -type l -print 2> /dev/null
systemctl is-active clove-kernel 2> /dev/null
grep -o "^clove-[a-z]*" /etc/passwd
pgrep -f "^[^ ]*python.*clove-kernel" > /dev/null && echo a kernel runs"""
_KEEP = """
set -e
mkdir /srv/seed
{bundle}/install --no-units --json > /dev/null
mv "/opt/clove/$(readlink /opt/clove/current)" /srv/seed/
{bundle}/install --uninstall > /dev/null
rm -rf {bundle}
"""
# Ctrl-C ends it also where these tests run in a shell's background, which ignores that signal.
_MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from clove.cli.main import main
main()
"""


class FarMachine:
    """One that runs.

    @ivar release: the one that was put aside; "": none.
    @ivar directory: here, with C{bin/ssh} (the real one with this machine's configuration), key and known hosts.
    """

    def __init__(self, directory: Path, root: Path) -> None:
        self.directory = directory
        self.root = root
        self.release = ""
        self._before = ""

    @property
    def environ(self) -> dict[str, str]:
        """What finds our ssh, and keeps deployments."""
        return {
            "PATH": f"{self.directory}/bin:{os.environ['PATH']}",
            "XDG_STATE_HOME": str(self.directory / "state"),
        }

    def of_fleet(self, fleet: Fleet) -> dict[str, str]:
        """The same, with a relay."""
        relay = {
            "CLOVE_RELAY": f"https://127.0.0.1:{fleet.rest_port}",
            "CLOVE_RELAY_TOKEN": fleet.admin,
            "CLOVE_RELAY_CA_FILE": fleet.ca_file,
        }
        return {**self.environ, **relay}

    def keep_release(self, bundle: str) -> None:
        """Install a bundle and put its release aside, for L{seed}."""
        name = Path(bundle).name.removesuffix(".tar.gz")
        with tarfile.open(bundle) as archive:
            archive.extractall(self.root / "srv", filter="tar")
        self.run(_KEEP.format(bundle=f"/srv/{name}"), timeout=300)
        [kept] = (self.root / "srv" / "seed").iterdir()
        self.release = kept.name

    def seed(self) -> None:
        """Have the release that was put aside be there already: making it anew takes most of a deployment's time."""
        there = f"/opt/clove/{self.release}"
        self.run(f"mkdir -p /opt/clove; [ -e {there} ] || cp -al /srv/seed/{self.release} {there}")

    def run(self, script: str, user: str = "root", timeout: float = 180) -> str:
        """The output of a script there."""
        words = [f"{self.directory}/bin/ssh", f"{user}@far", script]
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode in (0, 1, 3), done.stderr
        return done.stdout

    def start_clove(
        self, fleet: Fleet, *words: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """C{clove WORDS} with this machine and a relay."""
        return subprocess.Popen(
            [sys.executable, "-c", _MAIN, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.of_fleet(fleet), **(environ or {})},
        )

    def clove(self, fleet: Fleet, *words: str, environ: Mapping[str, str] | None = None) -> Ran:
        """What it says, when it has ended."""
        with self.start_clove(fleet, *words, environ=environ) as process:
            out, err = process.communicate(timeout=400)
        return Ran(process.returncode, out, err)

    def deploy(self, fleet: Fleet, user: str, *words: str) -> Ran:
        """C{clove deploy ssh USER@far}."""
        return self.clove(fleet, "deploy", "ssh", f"{user}@far", *hub_words(fleet), *words)

    def world(self) -> list[str]:
        """What there is of Clove, besides what a machine without it has."""
        found = self.run(CLAIMS).splitlines()
        before = self._before.splitlines()
        return sorted(line for line in found if line not in before)

    def note_before(self) -> None:
        """What is there now is the machine's."""
        self._before = self.run(CLAIMS)


def hub_words(fleet: Fleet) -> tuple[str, str]:
    """What the machine's kernel dials."""
    return "--hub", f"wss://10.203.0.1:{fleet.hub_port}"


@contextlib.contextmanager
def far_machine(kind: str) -> Iterator[FarMachine]:
    """One of its own.

    @param kind: C{booted}, by systemd; or C{plain}: sshd alone.
    """
    work = Path(tempfile.mkdtemp(dir=os.environ["CLOVE_FAR_WORK"], prefix="far"))
    root = work / "root"
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", os.environ["CLOVE_FAR_ROOT"]], check=True)
    machine = FarMachine(work, root)
    _let_in(machine, PORTS[kind])
    words = ["systemd-nspawn", "--quiet", f"--directory={root}", "--register=no", "--keep-unit"]
    words += ["--network-namespace-path=/run/netns/far", f"--machine=far-{kind}"]
    words += BOOTED if kind == "booted" else SSHD
    try:
        with started(words, work / "console"):
            until(lambda: _answers(machine), "sshd answers", BOOT)
            if kind == "booted":
                until(
                    lambda: "running" in machine.run("systemctl is-system-running; true"),
                    "it has booted",
                    BOOT,
                )
            machine.note_before()
            yield machine
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _let_in(machine: FarMachine, port: int) -> None:
    """Our key is let in, and our ssh knows its host key."""
    key = machine.directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text()
    for home in (machine.root / "root", *(machine.root / "home").iterdir()):
        owner = home.stat()
        place = home / ".ssh"
        place.mkdir(0o700, exist_ok=True)
        (place / "authorized_keys").write_text(public)
        if home.name == "nopython":
            (place / "environment").write_text("PATH=/usr/local/nopython\n")
        for path in (place, *place.iterdir()):
            os.chown(path, owner.st_uid, owner.st_gid)
    [host_key] = (machine.root / "etc" / "ssh").glob("ssh_host_ed25519_key.pub")
    named = ADDRESS if port == 22 else f"[{ADDRESS}]:{port}"
    (machine.directory / "known").write_text(f"{named} {host_key.read_text()}")
    config = machine.directory / "config"
    config.write_text(
        f"Host far\n HostName {ADDRESS}\n Port {port}\n IdentityFile {key}\n IdentitiesOnly yes\n"
        f" UserKnownHostsFile {machine.directory}/known\n StrictHostKeyChecking yes\n"
    )
    wrapper = machine.directory / "bin" / "ssh"
    wrapper.parent.mkdir()
    real = shutil.which("ssh")
    wrapper.write_text(f'#!/bin/sh\nexec {real} -F {shlex.quote(str(config))} "$@"\n')
    wrapper.chmod(0o755)


def _answers(machine: FarMachine) -> bool:
    words = [f"{machine.directory}/bin/ssh", "root@far", "true"]
    return subprocess.run(words, capture_output=True, timeout=30, check=False).returncode == 0
