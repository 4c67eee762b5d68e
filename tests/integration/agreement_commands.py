"""The table of commands that each policy is asked about through both doors."""

from __future__ import annotations

import os
from typing import Any

LOADER = next(
    path
    for path in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-none")
    if os.path.exists(path) or path.endswith("none")
)

COMMANDS: dict[str, list[str]] = {
    "ls": ["ls", "/"],
    "ls of usr": ["ls", "/usr"],
    "dd": ["dd", "if=/dev/null"],
    "dd by path": ["/usr/bin/dd", "if=/dev/null"],
    "dd by link": ["/proc/self/root/usr/bin/dd", "if=/dev/null"],
    "dd by loader": [LOADER, "/usr/bin/dd", "if=/dev/null"],
    "dd by env": ["env", "dd", "if=/dev/null"],
    "dd by sh": ["sh", "-c", "dd if=/dev/null"],
    "dd by xargs": ["xargs", "-a", "/dev/null", "dd", "if=/dev/null"],
    "copy of dd": ["/workspace/copy", "if=/dev/null"],
    "rm": ["rm", "-f", "/workspace/none"],
    "rm -rf": ["rm", "-rf", "/workspace/none"],
    "sh": ["sh", "-c", "exit 0"],
    "script": ["/workspace/script"],
    "script by sh": ["sh", "/workspace/script"],
    "python": ["PYTHON", "-c", "pass"],
    "nothing": ["no-such-program"],
}
"""Each exits with 0 when it can be run. PYTHON is the agent's own interpreter."""

PREPARE = """
import os, shutil
for source, target in (("/usr/bin/dd", "copy"),):
    try:
        shutil.copyfile(source, "/workspace/" + target)
        os.chmod("/workspace/" + target, 0o700)
    except PermissionError:  # it is covered
        pass
with open("/workspace/script", "w") as file:
    file.write("#!/bin/sh\\nexit 0\\n")
os.chmod("/workspace/script", 0o700)
"""

TRY = """
import json, subprocess, sys
from __main__ import client
from clove.errors import CloveError

def words(case):
    return [sys.executable if word == "PYTHON" else word for word in case]

def syscall(case):
    try:
        return client.exec(words(case), timeout=10)["exit_code"] == 0
    except CloveError:
        return False

def direct(case):
    try:
        quiet = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
        return subprocess.run(words(case), timeout=10, **quiet).returncode == 0
    except OSError:
        return False

found = {name: [syscall(case), direct(case)] for name, case in COMMANDS.items()}
"""

POLICIES: dict[str, Any] = {
    "unrestricted": "unrestricted",
    "standard": "standard",
    "sandboxed": "sandboxed",
    "readonly": "readonly",
    "minimal": "minimal",
    "no exec": {"can_exec": False},
    "ls": {"allowed_commands": ["ls"]},
    "ls and sh": {"allowed_commands": ["ls", "sh"]},
    "ls of the root": {"allowed_commands": ["ls /"]},
    "ls by path": {"allowed_commands": ["/usr/bin/ls"]},
    "env": {"allowed_commands": ["env", "ls", "dd"]},
    "interpreter": {"allowed_commands": ["PYTHON"]},
    "script": {"allowed_commands": ["/workspace/script"]},
    "ls and dd but dd": {"allowed_commands": ["ls", "dd"], "blocked_commands": ["dd"]},
    "but dd": {"blocked_commands": ["dd"]},
    "but dd by path": {"blocked_commands": ["/opt/dd"]},
    "but dd of null": {"blocked_commands": ["dd if=/dev/null"]},
    "but rm -rf": {"blocked_commands": ["rm -rf"]},
    "but sh": {"blocked_commands": ["sh"]},
    "but python": {"blocked_commands": ["PYTHON"]},
    "but nothing": {"blocked_commands": ["no-such-program"]},
}

START, LOADS = "start-programs", "loader"
WORDS, PLACE, NAMED = "command-words", "writable-programs", "command-names"

_SHELL = {"sh": START, "script by sh": START}
_LIMITED = {**_SHELL, "python": START, "dd by loader": LOADS}
KNOWN: dict[str, dict[str, str]] = {
    "sandboxed": {"rm -rf": WORDS},
    "readonly": {"python": START, "dd by loader": LOADS},
    "minimal": {"python": START, "dd by loader": LOADS},
    "no exec": {"python": START, "dd by loader": LOADS},
    "ls": _LIMITED,
    "ls and sh": {"sh": WORDS, "python": START, "dd by loader": LOADS},
    "ls of the root": {**_LIMITED, "ls of usr": WORDS},
    "ls by path": _LIMITED,
    "env": {**_LIMITED, "dd by link": NAMED, "dd by sh": START},
    "ls and dd but dd": {**_SHELL, "python": START},
    "interpreter": {**_SHELL, "dd by loader": LOADS},
    "script": {**_LIMITED, "copy of dd": PLACE},
    "but dd of null": {
        name: WORDS for name in COMMANDS if name.startswith("dd") and "load" not in name
    },
    "but rm -rf": {"rm -rf": WORDS},
    "but sh": {**_SHELL, "dd by sh": START},
    "but python": {"python": START},
}
"""The differences that `docs/agreement.md` admits, by policy and command: each must be there."""

UNGUARDED: dict[str, list[str]] = {
    "but dd": [],
    "but dd of null": ["dd if=/dev/null"],
    "but rm -rf": ["rm -rf"],
    "but sh": ["sh"],
    "but python": ["python"],
    "but nothing": [],
    "ls": [],
    "no exec": [],
    "script": ["/workspace/script"],
}
"""What `isolation.commands.unguarded` has to say."""
