"""Which programs of a real file system are covered, and which stay executable."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from clove.errors import IsolationUnavailable
from clove.kernel.mounts.binaries import needed_by
from clove.kernel.mounts.exec_policy import LANDLOCK_LACKS, ExecPolicy
from clove.kernel.mounts.program_scan import scan_programs
from clove.policy import EVERY_PROGRAM, Programs
from clove.sandbox.spec import NAMESPACES, Bind, SandboxSpec

Found = Callable[..., ExecPolicy]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A system of programs."""
    root = tmp_path.resolve() / "t"
    for name in ("bin/python3.11", "bin/tool", "bin/box", "bin/twin", "more/tool", "lib/real.js"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"plain {name}")
        path.chmod(0o755)
    (root / "bin/python").symlink_to("python3.11")
    (root / "bin/ls").symlink_to("box")
    (root / "bin/app").symlink_to("../lib/real.js")
    (root / "bin/gone").symlink_to("nowhere")
    (root / "bin/directory").mkdir()
    os.link(root / "bin/twin", root / "bin/other")
    return root


@pytest.fixture
def spec(tree: Path, tmp_path: Path) -> SandboxSpec:
    return SandboxSpec(
        argv=(f"{tree}/bin/python", "x"),
        env={"PATH": f"{tree}/bin:{tree}/more:{tmp_path}/outside:relative"},
        cwd="/workspace",
        namespaces=frozenset(NAMESPACES),
        binds=(Bind(str(tree), str(tree)), Bind("/w", "/workspace", writable=True)),
        tmpfs={"/tmp": 1},
    )


@pytest.fixture
def found(spec: SandboxSpec) -> Found:
    def find(mounts: int = 10, **fields: tuple[str, ...]) -> ExecPolicy:
        policy = scan_programs(Programs(**fields), spec, "/blank", mounts=mounts)
        assert policy is not None
        return policy

    return find


def covered(policy: ExecPolicy, tree: Path) -> list[str]:
    assert all(bind.source == "/blank" and not bind.writable for bind in policy.masks)
    return [os.path.relpath(bind.target, tree) for bind in policy.masks]


def test_a_blocked_program_is_covered_wherever_it_is(found: Found, tree: Path) -> None:
    policy = found(blocked=("tool",))
    assert covered(policy, tree) == ["bin/tool", "more/tool"]
    assert policy.unguarded == {}
    assert policy.executables is None


def test_a_link_is_covered_where_it_leads(found: Found, tree: Path) -> None:
    assert covered(found(blocked=("app",)), tree) == ["lib/real.js"]


def test_what_is_not_there_needs_nothing(found: Found) -> None:
    assert found(blocked=("none", "gone", "directory", "../more/tool")).masks == ()


def test_a_program_that_has_another_name_is_left_alone_and_named(found: Found, tree: Path) -> None:
    for name, other in (("ls", "box"), ("box", "ls")):
        policy = found(blocked=(name,))
        assert policy.masks == ()
        assert policy.unguarded == {name: f"{tree}/bin/box is also {other}, which is not blocked"}
    assert covered(found(blocked=("ls", "box")), tree) == ["bin/box"]


def test_a_hard_link_is_covered_by_its_name_alone(found: Found, tree: Path) -> None:
    policy = found(blocked=("twin",))
    assert covered(policy, tree) == ["bin/twin"]
    assert policy.unguarded == {"twin": f"{tree}/bin/twin has other names by hard links"}
    both = found(blocked=("twin", "other"))
    assert covered(both, tree) == ["bin/other", "bin/twin"]
    assert both.unguarded == {}


def test_the_interpreter_is_never_covered(found: Found, tree: Path) -> None:
    policy = found(blocked=("python", "python3.11"))
    assert policy.masks == ()
    assert set(policy.unguarded) == {"python", "python3.11"}


def test_more_covers_than_there_may_be_refuse_the_launch(found: Found) -> None:
    with pytest.raises(IsolationUnavailable):
        found(blocked=("tool",), mounts=1)


def test_rules_about_words_are_named(found: Found) -> None:
    assert set(found(worded=("git push",)).unguarded) == {"git push"}


def test_without_exec_the_interpreter_alone_is_executable(found: Found, tree: Path) -> None:
    policy = found(allowed=())
    assert policy.executables == (f"{tree}/bin/python3.11",)
    assert policy.limit == "can_exec"


def test_allowed_programs_are_executable_with_what_starts_them(found: Found, tree: Path) -> None:
    (tree / "bin/script").write_text(f"#!{tree}/bin/box -x\n")
    (tree / "bin/by-env").write_text("#!/usr/bin/env -S A=1 tool -u\n")
    (tree / "bin/env").write_text("env")
    (tree / "bin/by-own-env").write_text(f"#! {tree}/bin/env twin\n")
    policy = found(allowed=("script", "by-own-env", "by-env", "none"))
    names = [os.path.relpath(path, tree) for path in policy.executables or ()]
    assert [name for name in names if name.startswith("bin/")] == [
        "bin/box",
        "bin/by-env",
        "bin/by-own-env",
        "bin/env",
        "bin/python3.11",
        "bin/script",
        "bin/tool",
        "bin/twin",
    ]


def test_a_blocked_program_is_not_allowed(found: Found, tree: Path) -> None:
    policy = found(allowed=("tool",), blocked=("tool",))
    assert f"{tree}/bin/tool" not in (policy.executables or ())


def test_a_place_with_an_allowed_program_stays_executable(found: Found, spec: SandboxSpec) -> None:
    policy = found(allowed=("./own", "/tmp/own"))
    assert {"/workspace", "/tmp"} < set(policy.executables or ())
    assert set(policy.unguarded) == {"./own", "/tmp/own"}
    assert not any(bind.noexec for bind in policy.apply(spec).binds)


def test_writable_places_are_noexec_where_something_alone_is_executable(
    found: Found, spec: SandboxSpec
) -> None:
    applied = found(allowed=("tool",)).apply(spec)
    assert {bind.target for bind in applied.binds if bind.noexec} == {"/workspace"}
    assert applied.executables is not None
    assert found(blocked=("tool",)).apply(spec).executables is None


def test_nothing_is_looked_for_where_there_is_nothing_to_hold(spec: SandboxSpec) -> None:
    assert scan_programs(EVERY_PROGRAM, spec, "/blank", mounts=0) is None
    assert ExecPolicy().apply(spec) is spec


def test_the_report_says_when_linux_has_no_landlock(found: Found) -> None:
    policy = found(allowed=("tool",))
    assert policy.to_wire(landlock=True)["executable"] == list(policy.executables or ())
    without = policy.to_wire(landlock=False)
    assert without["executable"] is None
    assert without["unguarded"] == {"allowed_commands": LANDLOCK_LACKS}


def test_the_loader_of_a_program_is_found() -> None:
    program = shutil.which("ls")
    assert program is not None
    (loader,) = needed_by(program)
    assert os.path.isfile(loader)
    assert needed_by(os.path.realpath(loader)) == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ()),
        (b"#!", ()),
        (b"#!/bin/sh", ("/bin/sh",)),
        (b"#! \t/bin/a  b c \nrest", ("/bin/a", "b c")),
        (b"#!/bin/a\0b", ("/bin/a",)),
        (b"\x7fELF", ()),
        (b"\x7fELF\x02\x01" + bytes(58), ()),
        (b"\x7fELF\x02\x01" + b"\xff" * 58, ()),
        (b"\x7fELF\x01\x01" + b"\xff" * 58, ()),
    ],
)
def test_files_of_every_kind_are_read(tmp_path: Path, content: bytes, words: object) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert needed_by(str(path)) == words
    assert needed_by(str(tmp_path / "missing")) == ()


def test_no_link_is_followed_to_what_the_sandbox_does_not_have(
    spec: SandboxSpec, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking there could mount something, or ask another machine (autofs(5))."""
    net = tmp_path.resolve() / "net"
    (net / "machine").mkdir(parents=True)
    (net / "machine/tool").touch()
    (tree / "more/tool").unlink()
    (tree / "more/tool").symlink_to(net / "machine/tool")
    (tree / "more/way").symlink_to("../../net/machine")
    (tree / "more/shebang").write_text(f"#!{net}/machine/tool\n")
    asked: list[str] = []
    for place, name in ((os, "stat"), (os, "lstat"), (os, "readlink"), (os, "open")):
        real = getattr(place, name)

        def look(
            path: object, *args: object, real: Callable[..., object] = real, **more: object
        ) -> object:
            asked.append(str(path))
            return real(path, *args, **more)

        monkeypatch.setattr(place, name, look)
    programs = Programs(
        blocked=("tool", "way"),
        allowed=(f"{tree}/more/way/tool", f"{net}/machine/tool", f"{tree}/more/shebang"),
    )
    policy = scan_programs(programs, replace(spec, tmpfs={}), "/blank", mounts=9)
    assert policy is not None
    monkeypatch.undo()
    assert covered(policy, tree) == ["bin/tool"]
    assert f"{tree}/more/shebang" in (policy.executables or ())
    assert asked
    assert [path for path in asked if path.startswith(f"{net}")] == []


def test_a_ring_of_links_ends(found: Found, tree: Path) -> None:
    (tree / "bin/one").symlink_to("two")
    (tree / "bin/two").symlink_to("one")
    assert found(blocked=("one",)).masks == ()


def test_a_directory_that_an_agent_has_filled_is_refused(found: Found, tree: Path) -> None:
    for number in range(4097):
        (tree / f"more/{number}").touch()
    with pytest.raises(IsolationUnavailable, match="more than 4096 names"):
        found(blocked=("tool",))


def test_a_path_of_very_many_directories_is_refused(spec: SandboxSpec, tree: Path) -> None:
    long = replace(spec, env={"PATH": ":".join([f"{tree}/bin"] * 200)})
    with pytest.raises(IsolationUnavailable, match="PATH names more than 128"):
        scan_programs(Programs(blocked=("tool",)), long, "/blank", mounts=9)
