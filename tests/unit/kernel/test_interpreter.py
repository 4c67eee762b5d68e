"""The interpreter of a kernel is set for a loop that waits little, and imports what it trusts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, succeed

from clove.kernel.interpreter import import_later, package_directories

START = """
import gc, sys
from clove.kernel.tap import Options, makeService
options = Options()
options.parseOptions(["--socket", "/nowhere/s", "--state-dir", "/nowhere/d"])
makeService(options)
"""
SETTINGS = """
print(sys.getswitchinterval(), gc.get_freeze_count() > 30_000, len(gc.get_objects()) < 5_000, gc.get_threshold()[2] > 10)
"""
MODULES = "print(*sys.modules)"
PLANTED = """
import os
from clove.kernel.interpreter import settle_interpreter
settle_interpreter()
for name in ("planted", "treq"):
    try:
        __import__(name)
    except ImportError:
        print("no", name)
    else:
        print(name)
"""


def run(program: str, cwd: Path | None = None) -> list[str]:
    """What a program prints, in words."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd)
    return done.stdout.split()


def test_a_full_collection_leaves_out_what_was_imported_and_threads_soon_give_way() -> None:
    assert run(START + SETTINGS) == ["0.0005", "True", "True", "True"]


def test_a_kernel_that_waits_has_imported_no_tls_and_no_http_client() -> None:
    found = set(run(START + MODULES))
    assert "twisted.internet.reactor" in found
    packages = ("OpenSSL", "cryptography", "service_identity", "treq", "psutil", "google", "klein")
    assert found.isdisjoint(packages)
    assert not any(name.startswith("twisted.web.client") for name in found)


def test_nothing_is_imported_from_what_an_agent_could_write(tmp_path: Path) -> None:
    (tmp_path / "planted.py").touch()
    assert run("import planted; print('found')", tmp_path) == ["found"]
    assert run(PLANTED, tmp_path) == ["no", "planted", "treq"]


def test_packages_of_a_user_are_protected_too(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = "/home/u/.local/lib/python3.11/site-packages"
    inside = f"{sys.prefix}/lib/python3.11/site-packages"
    monkeypatch.setattr(sys, "path", ["", "/home/u/checkout", theirs, inside])
    assert package_directories() == [theirs]


def test_late_imports_run_where_they_are_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr("clove.kernel.interpreter.gc.freeze", lambda: called.append("frozen"))

    def in_thread(function: object, name: str) -> Deferred[None]:
        called.append(name)
        return succeed(None)

    done = Deferred.fromCoroutine(import_later(in_thread, "some.module"))
    assert done.called
    assert called == ["some.module", "frozen"]
