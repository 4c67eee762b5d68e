"""A machine of EC2 in an emulator: Debian boots with the user data that it is given, and asks AWS as L{FakeAWS} is it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.cloud.fake_aws import FakeAWS

__all__ = ["RELAY_HOST", "Guest", "storage_host"]

RELAY_HOST: Final = "relay.clove.test"
RELAY_ADDRESS: Final = "10.84.0.10"
STORAGE_ADDRESS: Final = "10.84.0.11"
FORWARD: Final = Path(__file__).with_name("forward.py")
# no_timer_check: on a busy host the emulated timer can seem dead, and the kernel would panic.
OPTIONS: Final = (
    "root=/dev/vda rw console=ttyS0 systemd.show_status=1 mitigations=off audit=0"
    " no_timer_check panic=-1 ds=ec2"
)


def storage_host(bucket: str, region: str) -> str:
    """The name that S3 has for a bucket."""
    return f"{bucket}.s3.{region}.amazonaws.com"


class Guest:
    """The emulator, with networks from which nothing but the relay, S3 and metadata is reached.

    @param image: the directory of C{tools/cloud-guest/build}.
    @param work: where its disk and its console are.
    @param authority: a file with certificates in PEM that its programs trust.
    """

    def __init__(
        self, image: Path, work: Path, host: str, authority: Path, relay_port: int, aws: FakeAWS
    ) -> None:
        self.console = work / "console"
        disk = work / "root.img"
        subprocess.run(["cp", "--sparse=always", image / "root.img", disk], check=True)
        hosts = work / "hosts"
        hosts.write_text(
            "127.0.0.1 localhost clove-cloud\n"
            f"{RELAY_ADDRESS} {RELAY_HOST}\n{STORAGE_ADDRESS} {host}\n"
        )
        _put(disk, hosts, "/etc/hosts")
        _put(disk, authority, "/usr/lib/ssl/cert.pem")
        world = "user,restrict=on,ipv6=off,net=10.84.0.0/24,host=10.84.0.2,dhcpstart=10.84.0.15"
        world += _forward(RELAY_ADDRESS, 8765, relay_port)
        world += _forward(STORAGE_ADDRESS, 443, aws.storage.port)
        link = (
            "user,restrict=on,ipv6=off,net=169.254.0.0/16,host=169.254.0.2,dhcpstart=169.254.0.15"
        )
        link += _forward("169.254.169.254", 80, aws.metadata.port)
        # An older processor is the quicker one to emulate: no wide vectors, no checks by SMAP.
        words = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512"]
        words += ["-cpu", "Nehalem", "-smp", "2", "-m", "2048", "-no-reboot", "-display", "none"]
        words += ["-monitor", "none", "-serial", f"file:{self.console}"]
        # The first one is where cloud-init asks for metadata, before there is any other network.
        words += ["-nic", f"{link},model=virtio-net-pci", "-nic", f"{world},model=virtio-net-pci"]
        words += ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
        words += ["-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initrd.img")]
        words += ["-append", OPTIONS]
        words += [
            "-smbios",
            "type=1,uuid=ec2e1916-9099-7caf-fd21-012345abcdef,serial=ec2e1916-9099-7caf-fd21-012345abcdef",
        ]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def said(self) -> list[str]:
        """What our program said on its console."""
        try:
            text = self.console.read_text(errors="replace")
        except FileNotFoundError:
            return []
        lines = (line.strip() for line in text.splitlines())
        return [line[line.index("clove: ") :] for line in lines if "clove: " in line]

    def stop(self) -> None:
        """End it, as a cloud ends an instance."""
        self._process.kill()
        self._process.wait()


def _forward(address: str, port: int, here: int) -> str:
    return f",guestfwd=tcp:{address}:{port}-cmd:{sys.executable} -I -S {FORWARD} {here}"


def _put(disk: Path, source: Path, target: str) -> None:
    """Replace a file of the file system, which is not mounted."""
    source.chmod(0o644)
    program = shutil.which("debugfs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert program is not None, "debugfs is part of e2fsprogs"
    for command in (
        f"rm {target}",
        f"write {source} {target}",
        f"sif {target} uid 0",
        f"sif {target} gid 0",
    ):
        subprocess.run([program, "-w", "-R", command, disk], check=False, capture_output=True)
