"""The real service process, spoken to over its pipes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import clove

ROOT = str(Path(clove.__file__).parent.parent)
COMMAND = [sys.executable, "-I", "-m", "clove.llm.service"]


class Peer:
    """One service, asked line by line. Every wait ends with the process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._in, self._out = process.stdin, process.stdout

    def say(self, line: bytes) -> None:
        self._in.write(line + b"\n")
        self._in.flush()

    def ask(self, **fields: object) -> None:
        self.say(json.dumps(fields).encode())

    def hear(self) -> dict[str, Any]:
        line = self._out.readline()
        assert line, "the service ended"
        heard = json.loads(line)
        assert isinstance(heard, dict)
        return heard

    def hear_all(self, number: int) -> list[dict[str, Any]]:
        """Everything about one question, its last message last."""
        heard = [self.hear()]
        while heard[-1].get("id") != number or heard[-1]["type"] == "text":
            heard.append(self.hear())
        return [one for one in heard if one.get("id") == number]

    def end(self) -> int:
        self._in.close()
        return self.process.wait(10)


@contextmanager
def service(*arguments: str, **environ: str) -> Iterator[Peer]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **environ},
    )
    with process:
        peer = Peer(process)
        try:
            yield peer
        finally:
            process.kill()
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # what was not sent cannot be any more
                process.stdin.close()


def test_introduces_itself_and_answers() -> None:
    with service() as peer:
        assert peer.hear() == {"type": "ready", "provider": "offline", "model": "offline-1"}
        peer.ask(id=1, prompt="Research bees")
        (done,) = peer.hear_all(1)
        assert done["type"] == "done"
        assert "bees" in done["content"].lower()
        assert done["provider"] == "offline"
        assert peer.end() == 0


def test_streams_before_it_is_done() -> None:
    with service() as peer:
        peer.hear()
        peer.ask(id=1, prompt="Research bees", stream=True)
        *texts, done = peer.hear_all(1)
        assert "".join(text["text"] for text in texts) == done["content"]


def test_garbage_gets_an_error_line_each_and_the_service_lives_on() -> None:
    garbage = [
        b"garbage",
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"{}",
        b'{"id": "one", "prompt": "x"}',
        b'{"id": 7}',
        b'{"id": 7, "prompt": 3}',
        b'{"id": 7, "prompt": "x", "temperature": "hot"}',
        b'{"cancel": "x"}',
        b'{"cancel": 1, "more": 2}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ]
    with service() as peer:
        peer.hear()
        for line in garbage:
            peer.say(line)
            error = peer.hear()
            assert error["type"] == "error", line
            assert error["code"] == "invalid_request", line
        peer.ask(id=8, prompt="x")
        assert peer.hear_all(8)[-1]["type"] == "done"
        assert peer.end() == 0


def test_error_bears_the_number_of_the_question_that_it_is_about() -> None:
    with service() as peer:
        peer.hear()
        peer.ask(id=7, prompt="")
        assert peer.hear()["id"] == 7


def test_line_over_the_limit_is_refused_without_being_kept() -> None:
    with service("--max-line=4096") as peer:
        peer.hear()
        peer.say(b"x" * 3_000_000)
        assert peer.hear()["code"] == "limit_exceeded"
        peer.ask(id=1, prompt="x")
        assert peer.hear_all(1)[-1]["type"] == "done"


def test_cancelling_what_is_over_or_unknown_is_silent() -> None:
    with service() as peer:
        peer.hear()
        peer.ask(cancel=99)
        peer.ask(id=1, prompt="x")
        peer.hear_all(1)
        peer.ask(cancel=1)
        peer.ask(id=1, prompt="a number may be used again")
        assert peer.hear()["type"] == "done"


def test_each_of_many_questions_at_once_has_one_end() -> None:
    with service("--max-open=10") as peer:
        peer.hear()
        lines = [json.dumps({"id": n, "prompt": "x", "stream": True}) for n in range(50)]
        lines += [json.dumps({"cancel": n}) for n in range(0, 50, 2)]
        peer.say("\n".join(lines).encode())
        ends: dict[int, str] = {}
        while len(ends) < 50:
            heard = peer.hear()
            if heard["type"] != "text":
                assert heard["id"] not in ends
                ends[heard["id"]] = heard.get("code", "done")
        assert set(ends.values()) <= {"done", "cancelled", "limit_exceeded"}
        assert "limit_exceeded" in ends.values()


def test_end_of_stdin_ends_it() -> None:
    with service() as peer:
        peer.hear()
        assert peer.end() == 0


def test_reader_that_is_gone_ends_it() -> None:
    with service() as peer:
        peer.hear()
        assert peer.process.stdout is not None
        peer.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # it may see that before it is asked
            peer.ask(id=1, prompt="x", stream=True)
            peer.ask(id=2, prompt="x", stream=True)
        assert peer.process.wait(10) == 0


def test_refuses_to_run_without_pipes() -> None:
    run = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert run.returncode == 2
    assert b"pipes" in run.stderr


def test_gemini_without_a_key_says_so_and_ends() -> None:
    with service("--provider=gemini") as peer:
        assert peer.process.wait(20) == 2
        assert peer.process.stderr is not None
        assert b"key" in peer.process.stderr.read()


def test_key_that_is_none_is_refused_without_showing_it() -> None:
    with service("--provider=gemini", GEMINI_API_KEY="half a\nkey") as peer:
        assert peer.process.wait(20) == 2
        assert peer.process.stderr is not None
        said = peer.process.stderr.read()
        assert b"characters" in said
        assert b"half" not in said


def test_key_file_that_all_can_read_is_refused() -> None:
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        file.write(b"secret-key\n")
        file.flush()
        os.chmod(file.name, 0o644)
        with service("--provider=gemini", f"--key-file={file.name}") as peer:
            assert peer.process.wait(20) == 2
            assert peer.process.stderr is not None
            assert b"chmod" in peer.process.stderr.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="the service is undumpable: only root sees its maps")
def test_offline_provider_never_imports_the_library() -> None:
    with service() as peer:
        peer.hear()
        peer.ask(id=1, prompt="x")
        peer.hear_all(1)
        with open(f"/proc/{peer.process.pid}/maps") as maps:
            assert "pydantic" not in maps.read()


def test_modules_in_the_working_directory_are_not_imported(short_dir: str) -> None:
    with open(os.path.join(short_dir, "json.py"), "w") as planted:
        planted.write("raise SystemExit('planted')\n")
    run = subprocess.run(COMMAND, cwd=short_dir, input=b"", capture_output=True, timeout=20)
    assert run.returncode == 0
    assert b'"ready"' in run.stdout


UNPRIVILEGED = 12345

PROBE = """
import os, subprocess, sys
import_path, python = sys.argv[1], sys.executable
code = f"import sys; sys.path[:0] = {import_path!r}.split(':'); from clove.llm.service import main; main()"
def readable(code):
    p = subprocess.Popen([python, "-I", "-c", code], stdin=-1, stdout=-1, env={"GEMINI_API_KEY": "k"})
    p.stdout.readline()
    try:
        return bool(open(f"/proc/{p.pid}/environ").read())
    except PermissionError:
        return False
    finally:
        p.stdin.close(); p.wait()
print(readable("print(flush=True); input()"), readable(code))
"""


def test_another_process_of_its_user_cannot_read_its_environment() -> None:
    """Of an ordinary user, that is; root may read everything. The first answer is the control."""
    user: dict[str, Any] = {}
    python = sys.executable
    if os.geteuid() == 0:
        user = {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}
        python = "/usr/bin/python3"
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        check = [python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        found = subprocess.run(check, capture_output=True, **user)
        if found.stdout.decode().strip() != version:
            pytest.skip(f"no Python {version} that an ordinary user can run")
    run = subprocess.run(
        [python, "-I", "-c", PROBE, ":".join(path for path in [ROOT, *sys.path] if path)],
        capture_output=True,
        timeout=30,
        cwd="/",
        **user,
    )
    assert run.stdout.split() == [b"True", b"False"], run.stderr
