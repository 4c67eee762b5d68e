"""The real shell as judge: whatever it runs of a random line, the reading of it has seen."""
# ruff: noqa: RUF005

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from clove.policy import Level, check_command, for_level

PIECES = (
    ["sudo", "sudo", "x", ";", "&&", "||", "|", "&", "\n", " ", " ", "'", '"', "\\", "`", "$(", ")"]
    + [
        "(",
        "{ ",
        " ;}",
        "$",
        "#",
        ">",
        "<",
        "2>&1",
        "<<",
        "EOF",
        "A=1 ",
        "! ",
        "if ",
        "then ",
        "fi",
    ]
    + ["sh -c ", "eval ", "env ", "nice ", "case a in a)", "esac", "${", "}", "f()", "$((", "))"]
)


@pytest.fixture
def place() -> Iterator[str]:
    directory = tempfile.mkdtemp(dir="/tmp")
    programs = os.path.join(directory, "bin")
    os.mkdir(programs)
    os.mkdir(os.path.join(directory, "work"))
    for name, body in (("sudo", f": > {directory}/ran"), ("x", "exit 0")):
        path = os.path.join(programs, name)
        with open(path, "w") as script:
            script.write(f"#!/bin/sh\n{body}\n")
        os.chmod(path, 0o755)
    for name in ("sh", "env", "nice"):
        found = shutil.which(name)
        assert found is not None
        os.symlink(found, os.path.join(programs, name))
    yield directory
    shutil.rmtree(directory)


def test_no_line_runs_a_blocked_command_unseen(place: str) -> None:
    permissions = for_level(Level.SANDBOXED)
    choose = random.Random(20240607)
    mark = os.path.join(place, "ran")
    ran = 0
    for _ in range(400):
        line = "".join(choose.choice(PIECES) for _ in range(choose.randint(1, 7)))
        line += choose.choice(["", " sudo", ";sudo", "\nsudo"])
        subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=os.path.join(place, "work"),
            env={"PATH": os.path.join(place, "bin")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if os.path.exists(mark):
            os.unlink(mark)
            ran += 1
            assert not check_command(permissions, line).allowed, line
    assert ran > 20  # the lines are not all nonsense


@pytest.mark.parametrize(
    ("command", "stopped"),
    [
        ("/proc/self/root/usr/bin/sudo id", True),
        ("env sudo id", True),
        ("busybox sudo id", True),
        ("sh -c 'sudo id'", True),
        ("/lib64/ld-linux-x86-64.so.2 /usr/bin/sudo id", False),
        ("cp /usr/bin/sudo ./s; ./s id", False),
        ("ln -s /usr/bin/sudo s && ./s id", False),
        ("python3 -c 'import os; os.system(\"sudo id\")'", False),
        ("sh ./script-that-runs-sudo", False),
        ("perl -e 'exec \"sudo\"'", False),
        ("awk 'BEGIN { system(\"sudo id\") }'", False),
    ],
)
def test_what_a_command_rule_stops_and_what_only_the_sandbox_stops(
    command: str, stopped: bool
) -> None:
    """The rule is a guard rail. What it does not stop here, the sandbox has to."""
    assert check_command(for_level(Level.SANDBOXED), command).allowed is not stopped
