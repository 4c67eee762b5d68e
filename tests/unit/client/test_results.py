"""The types of results are those of the kernel's replies."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
import typing
from types import FunctionType
from typing import Any, is_typeddict

import msgspec
import pytest

from clove.client import results
from clove.client.call import Call, StreamCall
from clove.client.methods import agents, managing, sharing, streams, watching, work
from clove.framing import Opcode
from clove.kernel.table import TABLE
from tools.results import PACKAGE, files

WORLD = {**vars(results), "Any": Any}
BUILDERS = [
    getattr(family, name)
    for family in (agents, managing, sharing, streams, watching, work)
    for name in family.__all__
]
RAW = {"noop", "exit"}
"""Their replies are no JSON."""


def test_the_package_is_what_the_messages_make() -> None:
    made = files()
    there = {path.name: path.read_text() for path in PACKAGE.glob("*.py")}
    assert there.keys() == made.keys(), "run `make reference`"
    for name, text in made.items():
        assert there[name] == text, f"{name} is stale: run `make reference`"


@pytest.mark.parametrize("opcode", sorted(TABLE), ids=lambda opcode: Opcode(opcode).name)
def test_a_type_has_the_keys_of_its_reply_and_no_others(opcode: int) -> None:
    kind = TABLE[opcode].reply
    if kind is None:
        assert opcode == Opcode.LIST
        return
    made: Any = getattr(results, kind.__name__)
    assert is_typeddict(made)
    reply = json.loads(msgspec.json.encode(kind()))
    assert made.__required_keys__ == reply.keys()
    can_be_later = "async_" in TABLE[opcode].request.__struct_fields__
    later = {"request_id", "status"} if can_be_later else set()
    assert made.__optional_keys__ == {"warnings"} | later


def opcode_of(build: FunctionType) -> int:
    """The opcode that a function names, or the one of the function that it calls."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(build)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Opcode":
            return Opcode[node.attr]
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    (other,) = (one for one in BUILDERS if one.__name__ in called and one is not build)
    return opcode_of(other)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_a_method_gives_its_syscalls_reply(build: FunctionType) -> None:
    given = typing.get_type_hints(build, {**build.__globals__, **WORLD})["return"]
    assert typing.get_origin(given) in (Call, StreamCall)
    result = typing.get_args(given)[0]
    if build.__name__ in RAW:
        assert result in (bytes, str)
    elif build is agents.list_agents:
        assert result == list[results.AgentEntry]
    else:
        reply = TABLE[opcode_of(build)].reply
        assert reply is not None
        assert result is getattr(results, reply.__name__)
