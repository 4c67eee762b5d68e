"""Which interpreter's word counts: the kernel's, where nobody in the sandbox can change it."""

from __future__ import annotations

from typing import Any

import pytest

from clove.kernel.agents.profile import Throwaway
from clove.kernel.agents.teller import KERNELS_OWN, Installation, teller
from clove.sandbox.spec import Bind, SandboxSpec

HOME = Installation("/opt/clove/venv/bin/python", "/home/py/bin/python3.11", "/home/py/lib/py3")
SYSTEM = Installation("/srv/venv/bin/python", "/usr/bin/python3.11", "/usr/lib/python3.11")
THERE = Bind("/home/py", "/home/py")


def inside(*binds: Bind, **fields: Any) -> SandboxSpec:
    """A sandbox whose agent has an interpreter of its own."""
    argv = fields.pop("argv", ("/data/venv/bin/python", "/app/agent.py"))
    return SandboxSpec(argv=argv, namespaces=frozenset({"mnt"}), binds=binds, **fields)


def test_an_agent_that_has_the_kernels_keeps_it() -> None:
    assert teller(inside(argv=(HOME.name,)), HOME) == HOME.name


def test_on_the_host_it_is_the_kernels() -> None:
    assert teller(SandboxSpec(argv=("/data/venv/bin/python",)), HOME) == HOME.name


@pytest.mark.parametrize(
    "binds",
    [
        (THERE,),
        (Bind("/home", "/home"),),
        (Bind("/home", "/home", writable=True), THERE),
        (THERE, Bind("/data", "/data", writable=True)),
    ],
)
def test_one_that_is_mounted_at_its_place_is_taken(binds: tuple[Bind, ...]) -> None:
    assert teller(inside(*binds), HOME) == HOME.program


@pytest.mark.parametrize(
    "binds",
    [
        (),
        (Bind("/home/py", "/home/py", writable=True),),
        (Bind("/home/py", "/home/py", noexec=True),),
        (Bind("/data/py", "/home/py"),),
        (THERE, Bind("/home/py/bin", "/home/py/bin", writable=True)),
        (THERE, Bind("/home/py/lib", "/home/py/lib", writable=True)),
        (THERE, Bind("/blank", "/home/py/bin/python3.11")),
        (THERE, Bind("/blank", "/home/py/lib/py3")),
        (Bind("/home/python", "/home/python"),),
    ],
)
def test_one_that_is_not_there_or_may_be_another_is_not(binds: tuple[Bind, ...]) -> None:
    assert teller(inside(*binds), HOME) is None


def test_that_of_the_system_is_in_every_sandbox_unless_it_is_covered() -> None:
    assert teller(inside(), SYSTEM) == SYSTEM.program
    assert teller(inside(Bind("/blank", "/usr/bin/curl")), SYSTEM) == SYSTEM.program
    assert teller(inside(Bind("/blank", "/usr/bin/python3.11")), SYSTEM) is None


def test_where_programs_are_listed_it_must_be_one_of_them() -> None:
    assert teller(inside(executables=("/usr/bin/ls",)), SYSTEM) is None
    assert teller(inside(executables=("/usr/bin",)), SYSTEM) == SYSTEM.program


def test_what_is_said_by_the_agents_own_is_marked() -> None:
    made = Throwaway(inside(Bind("/blank", KERNELS_OWN.program))).running("/clove", "{}")
    assert made.word_of == made.spec.argv[0] == "/data/venv/bin/python"
    made = Throwaway(inside(argv=(KERNELS_OWN.name,))).running("/clove", "{}")
    assert (made.word_of, made.spec.argv[0]) == ("", KERNELS_OWN.name)
