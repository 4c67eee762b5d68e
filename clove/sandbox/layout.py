"""What every private root has of the host's system, read-only, and what is made up.

Reads the host's file system, so the launcher calls it in a thread.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from clove.sandbox.inside.egress_sockets import RESOLVER
from clove.sandbox.inside.namespaces import INSIDE_ID
from clove.sandbox.inside.root import SHM_BYTES, TMP_BYTES
from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["System", "with_system"]

TOP = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Beside /usr; links into it on most systems, directories on others."""

SHARED_ETC = (
    "/etc/ImageMagick-6",
    "/etc/ImageMagick-7",
    "/etc/R",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/chromium",
    "/etc/chromium.d",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/ghostscript",
    "/etc/groff",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/magic",
    "/etc/matplotlibrc",
    "/etc/mime.types",
    "/etc/lsb-release",
    "/etc/os-release",
    "/etc/papersize",
    "/etc/perl",
    "/etc/pki",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/texmf",
    "/etc/timezone",
    "/etc/vim",
    "/etc/xml",
)
"""Public facts about the system that programs look up. Never /etc/ssl/private."""

NETWORK_ETC = ("/etc/hosts", "/etc/resolv.conf", "/etc/gai.conf", "/etc/host.conf")
"""For sandboxes with the host's network alone."""

USERS = """\
root:x:0:0:root:/root:/usr/sbin/nologin
agent:x:{id}:{id}:Clove agent:/workspace:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = """\
root:x:0:
agent:x:{id}:
nogroup:x:65534:
"""
HOSTS = """\
127.0.0.1\tlocalhost {hostname}
::1\tlocalhost ip6-localhost
"""
RESOLV = f"nameserver {RESOLVER}\noptions timeout:10 attempts:1\n"
NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files{dns}
networks: files
protocols: files
services: files
"""


class System(msgspec.Struct, frozen=True):
    """What of the host's system a private root has, as it was when it was looked at.

    @ivar binds: files and directories that all roots have.
    @ivar network: those of roots with the host's network alone.
    @ivar links: paths that are links into /usr here.
    """

    binds: tuple[Bind, ...]
    network: tuple[Bind, ...]
    links: Mapping[str, str]

    @classmethod
    def of_host(cls) -> System:
        """Look. Blocking."""
        binds = [Bind("/usr", "/usr")]
        network: list[Bind] = []
        links: dict[str, str] = {}
        parents: dict[str, str] = {}
        for path in (*TOP, *SHARED_ETC, *_virtual_machines()):
            _add(path, parents, binds, links)
        for path in NETWORK_ETC:
            _add(path, parents, network, links)
        return cls(tuple(binds), tuple(network), links)

    def apply(self, spec: SandboxSpec) -> SandboxSpec:
        """The spec with the system's parts before its own; unchanged without a private root."""
        if "mnt" not in spec.namespaces:
            return spec
        network = "net" not in spec.namespaces  # the host's
        egress = spec.egress is not None
        files = {
            "/etc/passwd": USERS.format(id=INSIDE_ID),
            "/etc/group": GROUP.format(id=INSIDE_ID),
            "/etc/nsswitch.conf": NSSWITCH.format(dns=" dns" if network or egress else ""),
            "/etc/hostname": f"{spec.hostname}\n",
        }
        if not network:
            files["/etc/hosts"] = HOSTS.format(hostname=spec.hostname)
            files["/etc/resolv.conf"] = RESOLV if egress else ""
        return replace(
            spec,
            binds=(*self.binds, *(self.network if network else ()), *spec.binds),
            links={"/var/tmp": "/tmp", **self.links, **spec.links},  # noqa: S108 both private
            files={**files, **spec.files},
            tmpfs={"/tmp": TMP_BYTES, "/dev/shm": SHM_BYTES, **spec.tmpfs},  # noqa: S108 private ones
        )


def _virtual_machines() -> list[str]:
    """Directories of Java's settings, which have the version in their name on Debian."""
    return sorted(glob.glob("/etc/java-*-openjdk"))


def with_system(spec: SandboxSpec) -> SandboxSpec:
    """The spec with the system's parts as they are now. Blocking."""
    return System.of_host().apply(spec) if "mnt" in spec.namespaces else spec


def _add(path: str, parents: dict[str, str], binds: list[Bind], links: dict[str, str]) -> None:
    """A link into /usr is made again; anything else is bound from where it really is.

    @param parents: real paths of directories, as far as they are known; more are added.
    """
    directory, name = os.path.split(path)
    try:
        is_link = stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return
    if not is_link:
        if directory not in parents:
            parents[directory] = os.path.realpath(directory)
        binds.append(Bind(os.path.join(parents[directory], name), path, optional=True))
        return
    text = os.readlink(path)
    if os.path.normpath(os.path.join(directory, text)).startswith("/usr/"):
        links[path] = text
    elif os.path.exists(path):
        binds.append(Bind(os.path.realpath(path), path, optional=True))
