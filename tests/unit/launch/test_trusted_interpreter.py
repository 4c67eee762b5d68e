"""Which interpreter's word counts: the kernel's, where nobody in the sandbox can change it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from clove.kernel.launch.profile import Clone
from clove.kernel.launch.trusted_interpreter import (
    OWN,
    SYSTEMS,
    Installation,
    system_python,
    trusted_interpreter,
)
from clove.sandbox.spec import Bind, SandboxSpec

KERNELS = "/opt/clove/venv/bin/python"
HOME = Installation("/home/py/bin/python3.11", "/home/py/lib/py3")
SYSTEM = Installation("/usr/bin/python3.11", "/usr/lib/python3.11")
THERE = Bind("/home/py", "/home/py")


def inside(*binds: Bind, **fields: Any) -> SandboxSpec:
    """A sandbox whose agent has an interpreter of its own."""
    argv = fields.pop("argv", ("/data/venv/bin/python", "/app/agent.py"))
    return SandboxSpec(argv=argv, namespaces=frozenset({"mnt"}), binds=binds, **fields)


def found(spec: SandboxSpec, *installations: Installation) -> str | None:
    return trusted_interpreter(spec, installations, KERNELS)


def test_an_agent_that_has_the_kernels_keeps_it() -> None:
    assert found(inside(argv=(KERNELS,)), HOME, SYSTEM) == KERNELS


def test_on_the_host_it_is_the_kernels() -> None:
    assert found(SandboxSpec(argv=("/data/venv/bin/python",)), HOME) == KERNELS


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
    assert found(inside(*binds), HOME) == HOME.program


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
    assert found(inside(*binds), HOME) is None


def test_that_of_the_system_is_in_every_sandbox_unless_it_is_covered() -> None:
    assert found(inside(), SYSTEM) == SYSTEM.program
    assert found(inside(Bind("/blank", "/usr/bin/curl")), SYSTEM) == SYSTEM.program
    assert found(inside(Bind("/blank", "/usr/bin/python3.11")), SYSTEM) is None


def test_where_programs_are_listed_it_must_be_one_of_them() -> None:
    assert found(inside(executables=("/usr/bin/ls",)), SYSTEM) is None
    assert found(inside(executables=("/usr/bin",)), SYSTEM) == SYSTEM.program


def test_where_the_kernels_is_not_there_it_is_the_systems() -> None:
    assert found(inside(), HOME, SYSTEM) == SYSTEM.program
    assert found(inside(THERE), HOME, SYSTEM) == HOME.program


def test_what_is_said_by_the_agents_own_is_marked() -> None:
    covers = [Bind("/blank", one.program) for one in (OWN, *SYSTEMS)]
    made = Clone(inside(*covers)).with_trusted_interpreter().with_dry_run("/clove", "{}")
    assert made.reported_by == made.spec.argv[0] == "/data/venv/bin/python"
    fallback = SandboxSpec(argv=("/data/venv/bin/python",))
    made = (
        Clone(inside(argv=(sys.executable,)), fallback)
        .with_trusted_interpreter()
        .with_dry_run("/clove", "{}")
    )
    assert (made.reported_by, made.spec.argv[0]) == ("", sys.executable)
    assert made.fallback is not None
    assert made.fallback.argv[0] == sys.executable


def test_a_system_without_all_that_an_attempt_needs_has_none(tmp_path: Path) -> None:
    usr = tmp_path / "usr"
    (usr / "bin").mkdir(parents=True)
    (usr / "bin" / "python3").symlink_to("python3.11")
    (usr / "bin" / "python3.11").touch()
    assert system_python(str(usr)) == ()
    for name in ("json", "ctypes"):
        (usr / "lib" / "python3.11" / name).mkdir(parents=True)
        (usr / "lib" / "python3.11" / name / "__init__.py").touch()
    program, library = str(usr / "bin" / "python3.11"), str(usr / "lib" / "python3.11")
    assert system_python(str(usr)) == (Installation(program, library),)
    (usr / "bin" / "python3").unlink()
    (usr / "bin" / "python3").symlink_to("/bin/true")
    assert system_python(str(usr)) == ()
