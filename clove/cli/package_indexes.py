"""The package indexes that this user's pip and npm are configured with, as grants of `clove run --index`.

Configuration is that of the user and of the host alone. What a checkout or a virtual environment brings
(`.npmrc` of a project, `pip.conf` of an environment) may be an agent's work, and grants nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from clove.cli.index_addresses import HOSTS, IndexServer, known_hosts, special_addresses
from clove.cli.index_settings import npm_settings, pip_settings
from clove.errors import InvalidRequest

__all__ = ["KINDS", "Grants", "Index", "find_index", "grants_of", "without_passwords"]

KINDS: Final = ("pip", "npm")
PYPI: Final = "https://pypi.org/simple"
PYPI_FILES: Final = "https://files.pythonhosted.org"
NPM: Final = "https://registry.npmjs.org/"
NAME_IT: Final = "name the index with --secret PIP_INDEX_URL"
RENAME: Final = "give the index another name in /etc/hosts, and in its URL"
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_PORTS: Final = {"http": 80, "https": 443}
_COMES_ALONG: Final = ("/usr/", "/etc/ssl/certs/", "/etc/ca-certificates/", "/etc/pki/")
"""What every sandbox has of the host's certificates."""
_SHARED: Final = frozenset(("/", "/home", "/opt", "/root", "/srv", "/tmp", "/usr", "/var"))  # noqa: S108


class Index(NamedTuple):
    """Where one program gets its packages.

    @ivar urls: of its registries, with the passwords in them.
    @ivar configured: those of them that the configuration names; others are usual ones.
    @ivar files: what the program reads besides: constraints.
    @ivar authorities: files of certificates that it trusts.
    @ivar env: what tells the program the same inside; may hold passwords.
    """

    urls: tuple[str, ...]
    configured: frozenset[str]
    files: tuple[str, ...]
    authorities: tuple[str, ...]
    env: Mapping[str, str]


class Grants(NamedTuple):
    """What a sandbox gets for it.

    @ivar domains: rules of `allowed_domains`.
    @ivar paths: files and directories of the host, to be read; the second one leads to the first.
    @ivar env: variables.
    @ivar remarks: what the sandbox does not get of it.
    """

    domains: tuple[str, ...] = ()
    paths: tuple[tuple[str, str], ...] = ()
    env: Mapping[str, str] = {}
    remarks: tuple[str, ...] = ()


def find_index(kind: str, environ: Mapping[str, str]) -> Index:
    """Where `pip` or `npm` get their packages, by the configuration of this user."""
    return _pip(environ) if kind == "pip" else _npm(environ)


def _pip(environ: Mapping[str, str]) -> Index:
    settings = pip_settings(environ)
    main = (
        settings.get("index-url") or environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    )
    named = [main] if main else []
    named += settings.get("extra-index-url", "").split()
    usual = [] if main else [PYPI, PYPI_FILES]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        named, usual = [], []
    named += settings.get("find-links", "").split()
    if main and (urlsplit(main).hostname or "").rstrip(".") == "pypi.org":
        usual = [PYPI_FILES]
    kept = ("extra-index-url", "find-links", "no-index", "trusted-host", "cert", "constraint")
    env = {
        f"PIP_{name.upper().replace('-', '_')}": settings[name] for name in kept if name in settings
    }
    if main:
        env |= {"PIP_INDEX_URL": main, "UV_DEFAULT_INDEX": main}
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    files = tuple(one for one in settings.get("constraint", "").split() if "://" not in one)
    authorities = tuple(filter(None, [settings.get("cert", "")]))
    return Index((*usual, *named), frozenset(named), files, authorities, env)


def _npm(environ: Mapping[str, str]) -> Index:
    settings = npm_settings(environ)
    main = settings.get("registry", "")
    named = [value for name, value in settings.items() if name.endswith(":registry")]
    named += [main] if main else []
    env = {}
    if main:
        env["NPM_CONFIG_REGISTRY"] = main
    authorities = []
    for name, variable in (("cafile", "NPM_CONFIG_CAFILE"), ("extra-ca", "NODE_EXTRA_CA_CERTS")):
        if settings.get(name):
            env[variable] = settings[name]
            authorities.append(settings[name])
    urls = tuple(named) if main else (NPM, *named)
    return Index(urls, frozenset(named), (), tuple(authorities), env)


# grants


def grants_of(index: Index, *, passwords: bool = False, hosts: str = HOSTS) -> Grants:
    """What a sandbox needs to use an index; looks names up.

    @param passwords: it gets those that are in URLs.
    @param hosts: the file of names that this host knows by itself.
    @raise InvalidRequest: a URL has a port that is none.
    """
    known = known_hosts(hosts)
    domains: list[str] = []
    paths = [
        path for path in (*index.files, *index.authorities) if not path.startswith(_COMES_ALONG)
    ]
    remarks = []
    for url in index.urls:
        parts = urlsplit(url)
        if parts.scheme in _PORTS and parts.hostname:
            port = _port_of(parts, url)
            domains.append(_rule(parts.hostname, port))
            server = IndexServer(
                parts.hostname, port, parts.scheme == "https", url in index.configured
            )
            addresses = special_addresses(server, known, index.authorities)
            domains += [_rule(each, port) for each in addresses]
            if parts.password and not passwords:
                remarks.append(f"it does not get your password for {parts.hostname}: {NAME_IT}")
            if parts.hostname in LOOPBACK:
                remarks.append(f"{parts.hostname} is its own there: {RENAME}")
        elif parts.scheme in ("file", ""):
            paths.append(_directory(unquote(parts.path)))
    env = dict(index.env)
    if not passwords:
        env = {name: without_passwords(value) for name, value in env.items()}
    found = {path: os.path.realpath(path) for path in paths if os.path.exists(path)}
    return Grants(
        tuple(dict.fromkeys(domains)),
        tuple((real, path) for path, real in found.items()),
        env,
        tuple(dict.fromkeys(remarks)),
    )


def _port_of(parts: SplitResult, url: str) -> int:
    """The one that a URL names, or its scheme's.

    @raise InvalidRequest: it is no port.
    """
    try:
        return parts.port or _PORTS[parts.scheme]
    except ValueError:
        raise InvalidRequest(
            f"the index {without_passwords(url)} has a port that is no number up to 65535",
            hint="correct it in the configuration of pip or npm",
        ) from None


def _rule(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def without_passwords(value: str) -> str:
    """Words, of which those that are URLs have no user and password."""
    return " ".join(
        urlunsplit(urlsplit(word)._replace(netloc=urlsplit(word).netloc.rpartition("@")[2]))
        if "@" in word and "://" in word
        else word
        for word in value.split()
    )


def _directory(path: str) -> str:
    """What lies in files: an index named `simple` has its packages beside it (PEP 503)."""
    whole = os.path.abspath(os.path.expanduser(path))
    if os.path.isfile(whole):
        whole = os.path.dirname(whole)
    above = os.path.dirname(whole)
    homes = {os.path.expanduser("~"), os.path.dirname(os.path.expanduser("~"))}
    if os.path.basename(whole) == "simple" and above not in _SHARED | homes:
        return above
    return whole
