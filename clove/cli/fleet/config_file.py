"""~/.clove/config.yaml: where it is, and what it says, checked key by key.

The library for YAML is imported when there is a file to read, so that those who have none do not wait for it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from clove.errors import InvalidRequest, NotFound, PermissionDenied, Unavailable
from clove.spelling import near, shown

__all__ = [
    "CONTEXT_KEYS",
    "MOST",
    "TOKEN_KEYS",
    "Config",
    "checked_value",
    "config_path",
    "parse_config",
    "read_config",
    "read_text",
]

MOST: Final = 64 << 10
"""Bytes of the file."""
MOST_CONTEXTS: Final = 256
TOKEN_KEYS: Final = ("token", "token_file", "token_command", "token_keyring")
"""Where a context's token is; a context has one of them at most."""
CONTEXT_KEYS: Final = ("relay", "hub", *TOKEN_KEYS, "ca_file", "machine")
_SCHEMES: Final = {"relay": ("https://", "http://"), "hub": ("wss://", "ws://")}


class Config(NamedTuple):
    """What the file says.

    @ivar current: the context that is meant if none is named; "": none.
    @ivar contexts: keys and values of each, by its name.
    """

    current: str
    contexts: Mapping[str, Mapping[str, str]]

    def context(self, name: str) -> Mapping[str, str]:
        """The values of one.

        @raise NotFound: there is none of this name.
        """
        if name in self.contexts:
            return self.contexts[name]
        hint = near(name, tuple(self.contexts)) if self.contexts else "make one: clove login URL"
        raise NotFound(f"no context {shown(name)!r} in {config_path()}", hint=hint)


def config_path() -> Path:
    """The file, whether there is one or not."""
    return Path("~/.clove/config.yaml").expanduser()


def read_config() -> Config:
    """What the file says; of one that is missing nothing.

    @raise PermissionDenied: others may read or write it, or it is another user's.
    @raise InvalidRequest: what it says is wrong.
    @raise Unavailable: it cannot be read.
    """
    text = read_text()
    return Config("", {}) if text is None else parse_config(text)


def read_text() -> str | None:
    """The file's text; None: there is none. Raises as L{read_config}."""
    path = config_path()
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            _check_private(os.fstat(file.fileno()))
            raw = file.read(MOST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from None
    if len(raw) > MOST:
        raise InvalidRequest(f"{path} has more than {MOST} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path} is no UTF-8") from None


def _open_at_once(path: str, flags: int) -> int:
    """Without waiting for a writer, if a FIFO is there."""
    return os.open(path, flags | os.O_NONBLOCK)


def _check_private(facts: os.stat_result) -> None:
    """It may have tokens, and says which commands are run for them."""
    path = config_path()
    if not stat.S_ISREG(facts.st_mode):
        raise InvalidRequest(f"{path} is no file")
    if facts.st_uid != os.geteuid():
        raise PermissionDenied(
            f"{path} belongs to another user (uid {facts.st_uid})",
            rule="config-owner",
            hint="it says which commands are run for tokens, so it has to be your own",
        )
    if facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PermissionDenied(
            f"others may use {path}, where tokens are",
            rule="config-mode",
            hint=f"chmod 600 {path}",
        )


def parse_config(text: str) -> Config:
    """What a text of YAML says.

    @raise InvalidRequest: it is wrong: where, and what it may have been meant for.
    """
    found = _mapping(_loaded(text), "the file", ("current", "contexts"))
    contexts: dict[str, Mapping[str, str]] = {}
    for name, values in _mapping(found.get("contexts"), "contexts").items():
        if not name or "/" in name or name != name.strip():
            raise _wrong(f"{shown(name)!r} is no name of a context: it has no '/' and is not empty")
        contexts[name] = _context(name, values)
    if len(contexts) > MOST_CONTEXTS:
        raise _wrong(f"more than {MOST_CONTEXTS} contexts")
    current = found.get("current") or ""
    if not isinstance(current, str) or (current and current not in contexts):
        hint = near(str(current), tuple(contexts)) if contexts else "there is no context"
        raise _wrong(f"current: no context {shown(str(current))!r}", hint)
    return Config(current, contexts)


def _loaded(text: str) -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            _check_once(node)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 one of the two safe loaders
    except (
        yaml.MarkedYAMLError
    ) as error:  # its own text would quote the line, which may have a token
        mark = error.problem_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise _wrong(f"{where}{error.problem or 'it is no YAML'}") from None
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError):
        raise _wrong("it is no YAML") from None  # a value that is not what its tag says, too


def _check_once(node: Any) -> None:
    """@raise InvalidRequest: a key is there twice: of two tokens it would not be seen which one counts."""
    seen = set()
    for key, _ in node.value if isinstance(node.value, list) else ():
        if isinstance(key.value, str) and key.value in seen:
            raise _wrong(
                f"line {key.start_mark.line + 1}: {shown(key.value)!r} is there twice",
                "keep one of them",
            )
        seen.add(key.value if isinstance(key.value, str) else id(key))


def _context(name: str, values: Any) -> Mapping[str, str]:
    where = f"contexts.{shown(name)}"
    found = _mapping(values, where, CONTEXT_KEYS)
    for key, value in found.items():
        if not isinstance(value, str):
            raise _wrong(f"{where}.{key} is a text (put it between quotes)")
        checked_value(key, value, where)
    if "relay" not in found:
        raise _wrong(f"{where} has no relay", f"add `relay: https://HOST:8766` to {name}")
    given = [key for key in TOKEN_KEYS if key in found]
    if len(given) > 1:
        raise _wrong(f"{where} has {' and '.join(given)}", "keep one of them")
    return found


def checked_value(key: str, value: str, where: str) -> None:
    """Look at the value of a context's key. The value is in no error: it may be a token.

    @param where: what stands before the key in an error.
    @raise InvalidRequest: it cannot be that.
    """
    if not value or value != value.strip() or any(not each.isprintable() for each in value):
        raise _wrong(f"{where}.{key} is one line that is not empty, without blanks around it")
    schemes = _SCHEMES.get(key, ())
    if schemes and not value.startswith(schemes):
        raise _wrong(f"{where}.{key} begins with {' or '.join(schemes)}")
    if key == "relay" and "@" in value:
        raise _wrong(f"{where}.{key} has a user or a password in it", "a token has keys of its own")


def _mapping(value: Any, where: str, known: tuple[str, ...] = ()) -> dict[str, Any]:
    """A mapping with texts as keys, of which all are known; nothing at all is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(f"{where} has keys with values, as `key: value`")
    for key in value:
        if not isinstance(key, str):
            raise _wrong(f"{where}: {shown(str(key))!r} is a text (put it between quotes)")
        if known and key not in known:
            raise _wrong(f"{where} has no key {shown(key)!r}", near(key, known))
    return value


def _wrong(what: str, hint: str = "") -> InvalidRequest:
    return InvalidRequest(f"{config_path()}: {what}", hint=hint)
