"""A script that is forked behaves as one that python was started for.

Each runs both ways and must say the same on stdout and stderr, and end the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from clove import CloveClient
from tests.integration.zygotes import PATIENCE, until_warm

SCRIPTS = {
    "arguments and environment": """
import os, sys
print(sys.argv, sys.orig_argv, sys.executable, sys.prefix, sys.flags)
names = set(os.environ) - {"CLOVE_AGENT_ID"}
print({name: os.environ[name] for name in sorted(names)})
words = open("/proc/self/cmdline", "rb").read().split(b"\\0")
print(words[:3])
inherited = open("/proc/self/environ", "rb").read().split(b"\\0")
print(sorted(pair for pair in inherited if not pair.startswith(b"CLOVE_AGENT_ID")))
""",
    "module path and what is found on it": """
import sys
print(sys.path, sys.meta_path, sys.path_hooks, sys.dont_write_bytecode)
open("/workspace/helper_module.py", "w").write("found = 1")
sys.path.append("/workspace")
import helper_module
print(helper_module.__file__, helper_module.__spec__)
""",
    "the main module": """
'''Its docstring.'''
import sys, __main__
x: int = 1
me = sys.modules["__main__"]
assert me is __main__ and me.x == 1
print(sorted(me.__dict__), me.__doc__, me.__file__, me.__name__, me.__package__, me.__spec__,
      type(me.__loader__), me.__annotations__, __builtins__ is me.__dict__["__builtins__"])
print(sys._getframe().f_globals is me.__dict__, __file__, __name__)
""",
    "streams": """
import sys
for stream in (sys.stdin, sys.stdout, sys.stderr):
    print(stream.encoding, stream.errors, stream.line_buffering, stream.write_through,
          stream.isatty(), stream.name, stream.mode)
print(repr(sys.stdin.read()), sys.getdefaultencoding(), sys.getfilesystemencoding())
sys.stdout.buffer.write(b"\\xff\\n")
print("a", end="")
""",
    "an exit code": "raise SystemExit(7)",
    "an exit text": "import sys; sys.exit('the reason')",
    "an exception": """
def inner():
    raise ValueError("text")
try:
    inner()
except ValueError as error:
    raise KeyError("other") from error
""",
    "an exception with a hook": """
import sys
sys.excepthook = lambda kind, error, trace: print("hook", kind, error, trace.tb_frame.f_code)
1 / 0
""",
    "a syntax error": "print('never'\n",
    "another encoding": "# coding: latin-1\nprint(ascii('\u00e4'))\n",
    "an interrupt": "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(9)",
    "a signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM); import time; time.sleep(9)",
    "a broken pipe": """
import os
reader, writer = os.pipe()
os.close(reader)
try:
    os.write(writer, b"x")
except BrokenPipeError as error:
    print(error)
""",
    "ends in order": """
import atexit, threading, time
atexit.register(print, "second")
atexit.register(print, "first")
class Last:
    def __del__(self): print("deleted")
last = Last()
def work():
    ready.wait()
    print("thread")
ready = threading.Event()
threading.Thread(target=work).start()
ready.set()
""",
    "an exit at exit": "import atexit, os; atexit.register(os._exit, 9)",
    "recursion": """
import sys
depth = 0
def down():
    global depth
    depth += 1
    down()
try:
    down()
except RecursionError:
    print(sys.getrecursionlimit(), depth > sys.getrecursionlimit() - 20)
""",
    "child processes": """
import multiprocessing, subprocess, sys
def double(x): return 2 * x
if __name__ == "__main__":
    for way in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(way).Pool(2) as pool:
            print(way, pool.map(double, range(3)))
    ran = subprocess.run([sys.executable, "-c", "import sys; print(sys.argv)"],
                         capture_output=True, text=True)
    print(ran.stdout, ran.stderr)
""",
    "pickles of its own classes": """
import pickle
class Thing: pass
print(pickle.loads(pickle.dumps(Thing)) is Thing, Thing.__module__)
""",
    "sources in tracebacks and warnings": """
import inspect, linecache, traceback, warnings
def here(): return traceback.format_stack()[-1]
print(inspect.getsource(here), linecache.getline(__file__, 2), here())
warnings.warn("careful")
""",
    "garbage and its collection": """
import gc
class Node: pass
node = Node(); node.self = node
import weakref
alive = weakref.ref(node)
del node
gc.collect()
print(alive(), gc.isenabled(), gc.get_threshold(), gc.get_debug())
""",
    "user and place": """
import getpass, os, pathlib, platform, tempfile, time
print(getpass.getuser(), os.getuid(), os.getgid(), os.getgroups(), os.getcwd(), pathlib.Path.home(),
      platform.node(), tempfile.gettempdir(), time.tzname, os.umask(0), os.nice(0),
      os.sched_getscheduler(0), os.getsid(0) == os.getpid())
""",
    "limits": """
import resource
print({name: resource.getrlimit(getattr(resource, name))
       for name in dir(resource) if name.startswith("RLIMIT_")})
""",
}


_ADDRESS = re.compile(r"at 0x[0-9a-f]+")


@pytest.fixture
def client(kernel: Any, script: Any) -> Iterator[CloveClient]:
    """The operator of a kernel whose zygote serves."""
    with CloveClient(kernel.socket) as connected:
        connected.wait(until_warm(connected, script("pass"))["id"])
        yield connected


@pytest.mark.parametrize("name", SCRIPTS)
def test_both_ways_are_alike(client: CloveClient, script: Any, name: str) -> None:
    path = script(SCRIPTS[name])
    found = []
    for warm in (True, False):
        reply = client.spawn("one", path, args=["a b", "\u00e4"], env={"OWN": "1"}, warm=warm)
        assert reply["warm"] is warm
        ended = client.wait(reply["id"], timeout=PATIENCE)
        lines = [
            (line["stream"], _ADDRESS.sub("at", line["text"]))
            for line in client.logs(reply["id"])["lines"]
        ]
        streams = {kind: [text for of, text in lines if of == kind] for kind, _ in lines}
        found.append((ended["exit_code"], ended["signal"], ended["reason"], streams))
    assert found[0] == found[1]
    assert found[0][3] or name in ("an exit code", "a signal", "an exit at exit")
