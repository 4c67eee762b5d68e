"""What pip and npm read of their configuration: files of the user and of the host, and variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

__all__ = ["npm_settings", "pip_settings"]

_MOST: Final = 1 << 16


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings of pip by their long names; variables win, then the user's file, then the host's."""
    import configparser  # not for every start

    found: dict[str, str] = {}
    for path in _pip_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(_text(path))
        except configparser.Error:  # pip says so itself
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {_long(name): value for name, value in parser.items(section)}
    for name, value in environ.items():
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE" and value:
            found[_long(name.removeprefix("PIP_"))] = value
    return found


def _long(name: str) -> str:
    return name.lower().replace("_", "-")


def _pip_files(environ: Mapping[str, str]) -> list[str]:
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    home = _home(environ)
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    shared = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    paths = [f"{each}/pip/pip.conf" for each in shared]
    paths += ["/etc/pip.conf", f"{home}/.pip/pip.conf", f"{config}/pip/pip.conf"]
    return [*paths, named] if named else paths


def npm_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings of npm: `registry`, `@SCOPE:registry` and `cafile`; `extra-ca` is what node itself trusts."""
    lowered = {name.lower(): value for name, value in environ.items() if value}
    prefix = "npm_config_"
    shared = lowered.get(f"{prefix}globalconfig", "")
    paths = [shared] if shared else ["/usr/etc/npmrc", "/usr/local/etc/npmrc", "/etc/npmrc"]
    paths.append(lowered.get(f"{prefix}userconfig") or f"{_home(environ)}/.npmrc")
    found: dict[str, str] = {}
    for path in paths:
        for line in _text(path).splitlines():
            name, equals, value = line.partition("=")
            value = value.strip().strip("\"'")
            if equals and not name.lstrip().startswith(("#", ";")) and "${" not in value:
                found[name.strip()] = value
    for name in ("registry", "cafile"):
        if given := lowered.get(prefix + name):
            found[name] = given
    if extra := environ.get("NODE_EXTRA_CA_CERTS"):
        found["extra-ca"] = extra
    wanted = ("registry", "cafile", "extra-ca")
    return {k: v for k, v in found.items() if v and (k in wanted or k.endswith(":registry"))}


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME") or os.path.expanduser("~")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST)
    except OSError:
        return ""
