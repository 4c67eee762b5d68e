"""What a process that was forked from a warm one could share: row 29, and the fork server's own.

Agents that started cold are asked the same: a restart repeats nothing either.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from tests.adversary.arena import Arena

DRAWN = """
import hashlib, json, os, random, secrets, ssl, sys, tempfile, threading, uuid

import_of_ssl = ssl.RAND_bytes(16).hex()
found = {
    "random": random.random(),
    "instance": random.Random().random(),
    "system": random.SystemRandom().random(),
    "urandom": os.urandom(16).hex(),
    "secrets": secrets.token_hex(),
    "ssl": import_of_ssl,
    "uuid": str(uuid.uuid4()),
    "uuid1": str(uuid.uuid1()),
    "file": tempfile.mkstemp()[1],
    "name": next(tempfile._get_candidate_names()),
    "boundary": __import__("email.generator", fromlist=["_make_boundary"])._make_boundary(),
}
try:
    import numpy
    found["numpy"] = float(numpy.random.random())
    found["numpy generator"] = float(numpy.random.default_rng().random())
except ImportError:
    pass
print(json.dumps({"drawn": found, "hash": hash("clove"), "address": id(object)}))
"""
STATE = """
import _thread, gc, json, os, resource, signal, sys, threading

def status():
    with open("/proc/self/status") as file:
        return dict(line.rstrip("\\n").split(":\\t", 1) for line in file if ":\\t" in line)

own = os.open("/proc/self/fd", os.O_RDONLY)
held = [int(name) for name in os.listdir(own)]
descriptors = {n: os.readlink(f"/proc/self/fd/{n}") for n in held if n != own and
               os.path.exists(f"/proc/self/fd/{n}")}
os.close(own)
handlers = {signal.Signals(n).name: str(signal.getsignal(n)) for n in signal.valid_signals()
            if signal.getsignal(n) not in (signal.SIG_DFL, None)}
rows = status()
import logging, importlib
free = [logging._lock.acquire(blocking=False), threading._active_limbo_lock.acquire(blocking=False)]
logging._lock.release(); threading._active_limbo_lock.release()
print("to stdout first: nothing is buffered", file=sys.stderr)
import select
sockets = [n for n, target in descriptors.items() if target.startswith("socket:")]
print(json.dumps({
    "descriptors": sorted(descriptors),
    "stdin": descriptors.get(0),
    "sockets": sockets,
    "handlers": handlers,
    "blocked": rows["SigBlk"], "ignored": rows["SigIgn"], "caught": rows["SigCgt"],
    "pending": rows["SigPnd"] + rows["ShdPnd"],
    "wakeup": signal.set_wakeup_fd(-1),
    "timers": [signal.getitimer(w) for w in (signal.ITIMER_REAL, signal.ITIMER_PROF)],
    "threads": [rows["Threads"], threading.active_count(), len(os.listdir("/proc/self/task"))],
    "main": threading.current_thread() is threading.main_thread(),
    "native": threading.get_native_id() == os.getpid(),
    "locks": free, "import lock": importlib._bootstrap._blocking_on == {}
        if isinstance(getattr(importlib._bootstrap, "_blocking_on", None), dict) else True,
    "tracing": [str(sys.gettrace()), str(sys.getprofile())],
    "hooks": [sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__],
    "streams": [sys.stdin is sys.__stdin__, sys.stdout.encoding, sys.stdout.isatty()],
    "frozen": gc.isenabled(),
    "argv": sys.argv, "orig": sys.orig_argv[1:],
    "main module": [__name__, __file__, __spec__ is None, sys.modules["__main__"].__file__],
    "flags": [sys.flags.isolated, sys.flags.no_site, sys.flags.dont_write_bytecode],
    "path0": sys.path[0], "cwd": os.getcwd(), "umask": os.umask(0o077),
    "cmdline": open("/proc/self/cmdline").read().split("\\0")[1:-1],
    "environ": sorted(row.split("=")[0] for row in open("/proc/self/environ").read().split("\\0")
                      if row) == sorted(os.environ.keys() - {"LC_CTYPE"}),
    "comm": open("/proc/self/comm").read().strip(),
    "session": os.getsid(0) == os.getpid(), "group": os.getpgid(0) == os.getpid(),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
    "dumpable": __import__("ctypes").CDLL(None).prctl(3), "parent": os.getppid(),
    "death": rows["NoNewPrivs"], "uids": rows["Uid"], "groups": rows["Groups"].strip(),
    "children": open(f"/proc/self/task/{os.getpid()}/children").read()
        if os.path.exists(f"/proc/self/task/{os.getpid()}/children") else "",
}))
"""
EARLIER = """
import sys, time
NOTE = {note!r}  # in the script
kept = [NOTE * 100, sys.argv, bytes(NOTE, "ascii") * 100]
from clove import CloveClient
with CloveClient() as client:
    client.store("earlier", NOTE, scope="agent")
{ending}
"""
SEARCH = """
import json, os, re, sys

# Backwards, and the beginning apart from the rest: so the search does not find itself.
HEAD = 10
backwards = sys.argv[2].split(",")

def search(pid, words):
    heads = [(bytes(word[:-HEAD - 1:-1], "ascii"), bytes(word[:-HEAD], "ascii")) for word in words]
    found, read = set(), 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            area, rights = line.split()[:2]
            if "r" not in rights or "[v" in line:
                continue
            start, end = (int(edge, 16) for edge in area.split("-"))
            tail = b""
            while start < end:
                try:
                    memory.seek(start)
                    piece = memory.read(min(end - start, 1 << 20))
                except OSError:
                    break
                read += len(piece)
                text = tail + piece
                for head, rest in heads:
                    for match in re.finditer(head, text):
                        if text[match.end():match.end() + len(rest)][::-1] == rest:
                            found.add(rest.decode())
                tail, start = piece[-64:], start + len(piece)
    return sorted(found), read

own, read = search("self", backwards)
try:
    of_init = search(1, backwards)
except OSError as error:
    of_init = os.strerror(error.errno)
kept = "-".join(["what", "a", "search", "does", "find"])
control = search("self", [kept[::-1]])[0]
print(json.dumps({"own": own, "read": read, "init": of_init, "control": control}))
"""


def test_nothing_random_comes_twice(arena: Arena) -> None:
    """Agents after one another, beside one another, and one after its restart."""
    drawn = [arena.run(DRAWN)["drawn"] for _ in range(2)]
    begun = [arena.begin(DRAWN)["id"] for _ in range(2)]
    drawn += [arena.printed(agent)["drawn"] for agent in begun]
    for name in drawn[0]:
        assert len({one[name] for one in drawn}) == len(drawn), name


def test_a_restart_draws_other_numbers(arena: Arena) -> None:
    source = DRAWN + "\nsys.exit(not os.path.exists('once') and not open('once', 'w').close())"
    reply = arena.begin(source, restart_policy="on-failure")
    arena.client.wait(reply["id"], timeout=50)
    lines = arena.client.logs(reply["id"])["lines"]
    first, second = (json.loads(line["text"])["drawn"] for line in lines)
    for name in first:
        assert first[name] != second[name], name


def test_resume_tokens_differ(arena: Arena) -> None:
    from clove import CloveClient

    tokens = set()
    for _ in range(5):
        with CloveClient(arena.kernel.socket) as client:
            tokens.add(client.hello()["resume"])
    assert len(tokens) == 5
    assert min(map(len, tokens)) >= 32


def test_what_is_shared_is_what_is_documented(arena: Arena) -> None:
    """docs/zygote.md: hash seed and address layout, in one zygote; cold agents share neither."""
    found = [arena.run(DRAWN) for _ in range(3)]
    kinds = {(one["hash"], one["address"]) for one in found}
    assert len(kinds) == 1 if arena.start == "warm" else len(kinds) == 3


@pytest.fixture(scope="module")
def state(arena: Arena) -> dict[str, Any]:
    """What the interpreter of an agent is like when its script begins."""
    found: dict[str, Any] = arena.run(STATE, "one", "two", env={"MINE": "yes"})
    return found


def test_descriptors_are_the_three_streams(state: dict[str, Any]) -> None:
    assert state["descriptors"] == [0, 1, 2]
    assert state["stdin"] == "/dev/null"
    assert state["sockets"] == []


def test_signals_are_pythons_defaults(state: dict[str, Any]) -> None:
    assert int(state["blocked"], 16) == int(state["pending"], 16) == 0
    assert state["wakeup"] == -1
    assert state["timers"] == [[0.0, 0.0]] * 2
    assert set(state["handlers"]) == {"SIGINT", "SIGPIPE", "SIGXFSZ"}
    bits = sum(1 << number - 1 for number in (13, 25))  # SIGPIPE and SIGXFSZ
    assert int(state["ignored"], 16) & 0x7FFFFFFF == bits
    assert int(state["caught"], 16) & 0x7FFFFFFF == 1 << 1  # SIGINT; glibc's own are above


def test_no_lock_is_held_and_no_other_thread_is_there(state: dict[str, Any]) -> None:
    assert state["threads"] == ["1", 1, 1]
    assert state["main"] is state["native"] is True
    assert state["locks"] == [True, True]
    assert state["import lock"] is True
    assert state["children"] == ""


def test_the_interpreter_is_as_after_an_exec(state: dict[str, Any]) -> None:
    script = state["argv"][0]
    assert state["argv"] == [script, "/tmp/clove.sock", "one", "two"]
    assert state["main module"] == ["__main__", script, True, script]
    assert state["cmdline"] == state["argv"]
    assert state["orig"] == state["argv"]
    assert state["environ"] is True
    assert state["path0"] == "/app"
    assert state["flags"] == [0, 0, 1]
    assert state["tracing"] == ["None", "None"]
    assert state["hooks"] == [True, True]
    assert state["streams"] == [True, "utf-8", False]
    assert state["frozen"] is True


def test_the_process_is_as_after_an_exec(state: dict[str, Any]) -> None:
    assert state["cwd"] == "/workspace"
    assert state["umask"] == 0o077
    assert state["session"] is state["group"] is True
    assert state["core"] == 1
    assert state["parent"] == 1
    assert state["death"] == "1"
    assert state["uids"].split() == ["1000"] * 4
    assert state["comm"].startswith("python")


@pytest.mark.parametrize("ending", ["", "time.sleep(300)"], ids=["ended", "alive"])
def test_nothing_of_an_earlier_agent_is_in_memory(arena: Arena, ending: str) -> None:
    """Its script, arguments, environment and what it stored; of one that has ended or lives."""
    words = [f"{kind}{secrets.token_hex(12)}" for kind in ("script", "word", "variable")]
    source = EARLIER.format(note=words[0], ending=ending)
    earlier = arena.begin(source, words[1], env={"SECRET": words[2]})
    if not ending:
        arena.client.wait(earlier["id"], timeout=20)
    found = arena.run(SEARCH, ",".join(word[::-1] for word in words))
    if ending:
        arena.client.kill(earlier["id"])
    assert found["own"] == []
    assert len(found["control"]) == 1
    assert found["read"] > 1 << 20
    assert found["init"] == "Permission denied"


def test_agents_of_one_zygote_cannot_reach_each_other(arena: Arena) -> None:
    source = "import json, os\nprint(json.dumps([os.getppid(), sorted(n for n in os.listdir('/proc') if n.isdigit())]))"
    parents = [arena.run(source) for _ in range(2)]
    assert parents[0] == parents[1] == [1, ["1", parents[0][1][-1]]]
