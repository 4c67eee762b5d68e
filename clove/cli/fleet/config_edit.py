"""Changes of ~/.clove/config.yaml's text that leave a person's comments and order where they are. Pure.

Only the lines that change are written, where the library says that they are; then the whole is read again. If that
is not what was meant (the file is written in braces, say), all of it is written anew, without comments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from clove.cli.fleet.config_file import Config, parse_config

__all__ = ["with_context", "with_current", "without_context"]


def with_context(text: str, name: str, values: Mapping[str, str | None]) -> str:
    """Set keys of a context, which is made if there is none; a value None takes the key away.

    @raise InvalidRequest: the text is wrong, or would be.
    """
    config = parse_config(text)
    old = config.contexts.get(name, {})
    new = {key: value for key, value in {**old, **values}.items() if value is not None}
    wanted = Config(config.current, {**config.contexts, name: new})

    def edit(text: str) -> str:
        if name not in config.contexts:
            return _add_context(text, name, new)
        for key, value in values.items():
            if value is None:
                text = _without(text, ("contexts", name), key)
            else:
                text = _with(text, ("contexts", name), key, value)
        return text

    return _checked(text, wanted, edit)


def with_current(text: str, name: str) -> str:
    """Make a context the current one; C{""}: none."""
    config = parse_config(text)

    def edit(text: str) -> str:
        if not name:
            return _without(text, (), "current")
        root = _node(text, ())
        if root.value and _entry(root, "current") is None:
            at = root.value[0][0].start_mark.index
            return f"{text[:at]}current: {_scalar(name)}\n{text[at:]}"
        return _with(text, (), "current", name)

    return _checked(text, Config(name, config.contexts), edit)


def without_context(text: str, name: str) -> str:
    """Remove a context; if it was the current one, none is."""
    config = parse_config(text)
    rest = {each: values for each, values in config.contexts.items() if each != name}
    if config.current == name:
        text = with_current(text, "")
    current = "" if config.current == name else config.current
    if not rest:
        return _checked(text, Config(current, {}), lambda text: _without(text, (), "contexts"))
    wanted = Config(current, rest)
    return _checked(text, wanted, lambda text: _without(text, ("contexts",), name))


def _checked(text: str, wanted: Config, edit: Callable[[str], str]) -> str:
    """The edited text if it says what is wanted, else one that was written anew."""
    try:
        edited = edit(text)
        if parse_config(edited) == wanted:
            return edited
    except Exception:  # noqa: S110 whatever the edit has made of it is thrown away
        pass
    written = _dumped(wanted)
    parse_config(written)
    return written


def _dumped(config: Config) -> str:
    import yaml

    found: dict[str, Any] = {"current": config.current} if config.current else {}
    if config.contexts:
        found["contexts"] = {name: dict(values) for name, values in config.contexts.items()}
    if not found:
        return ""
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=4096)  # type: ignore[no-any-return]


def _node(text: str, path: tuple[str, ...]) -> Any:
    """The mapping at a path, in block style.

    @raise ValueError: there is none.
    """
    import yaml

    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for key in path:
        entry = _entry(node, key)
        node = entry[1] if entry else None
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        raise ValueError(path)
    return node


def _entry(node: Any, key: str) -> Any:
    """The nodes of a key and its value, or None."""
    return next((each for each in node.value if each[0].value == key), None)


def _with(text: str, path: tuple[str, ...], key: str, value: str) -> str:
    """Set one key of a mapping that has some."""
    node = _node(text, path)
    entry = _entry(node, key)
    if entry is None:
        at = _end_of_line(text, _end(node))
        blanks = " " * node.value[0][0].start_mark.column
        return f"{text[:at]}\n{blanks}{key}: {_scalar(value)}{text[at:]}"
    begin, end = entry[1].start_mark.index, entry[1].end_mark.index
    return f"{text[:begin]}{' ' * (begin == end)}{_scalar(value)}{text[end:]}"


def _without(text: str, path: tuple[str, ...], key: str) -> str:
    """Remove the lines of one key."""
    key_node, value_node = _entry(_node(text, path), key)
    begin = text.rfind("\n", 0, key_node.start_mark.index) + 1
    return text[:begin] + text[_end_of_line(text, _end(value_node)) + 1 :]


def _add_context(text: str, name: str, values: Mapping[str, str]) -> str:
    if not text.strip():
        return _dumped(Config("", {name: values}))
    try:
        node = _node(text, ("contexts",))
    except (ValueError, AttributeError):  # none so far
        lines = "\n".join(f"    {key}: {_scalar(value)}" for key, value in values.items())
        return f"{text.rstrip()}\ncontexts:\n  {_scalar(name)}:\n{lines}\n"
    column = node.value[0][0].start_mark.column
    inner = next((each for _, each in node.value if each.value), None)
    step = inner.value[0][0].start_mark.column - column if inner else 2
    lines = "".join(
        f"\n{' ' * (column + step)}{key}: {_scalar(value)}" for key, value in values.items()
    )
    at = _end_of_line(text, _end(node))
    return f"{text[:at]}\n{' ' * column}{_scalar(name)}:{lines}{text[at:]}"


def _end(node: Any) -> int:
    """Where the text of a node ends, without blanks and comments after it."""
    while isinstance(node.value, list) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.index)


def _end_of_line(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _scalar(text: str) -> str:
    """As YAML has it: plain where that is read as the same text, else between quotes."""
    import yaml

    try:
        plain = yaml.safe_load(f"x: {text}") == {"x": text} and yaml.safe_load(text) == text
    except yaml.YAMLError:
        plain = False
    return text if plain else json.dumps(text, ensure_ascii=False)
