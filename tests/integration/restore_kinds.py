"""Requests of every kind, and agents that say how they run."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["AGENT", "CHILD", "KINDS", "PARENT"]

AGENT = """
import json, os, resource, sys, time
from clove import CloveClient

def lines(path):
    try:
        with open(path) as file:
            return file.read().splitlines()
    except OSError as error:
        return [error.strerror]

def interfaces():
    return sorted(line.split(":")[0].strip() for line in lines("/proc/net/dev") if ":" in line)

hidden = ("PYTHONPATH", "CLOVE_SOCKET")
print(json.dumps({
    "id": os.environ["CLOVE_AGENT_ID"],
    "args": sys.argv[2:],
    "env": sorted(f"{k}={v}" for k, v in os.environ.items() if k not in hidden),
    "cwd": os.getcwd(),
    "user": os.getuid(),
    "python": sys.executable,
    "root": sorted(os.listdir("/")) if sys.argv[1].startswith("/tmp/clove") else [],
    "granted": lines(os.environ.get("GRANTED", "/nonexistent")),
    "limits": [resource.getrlimit(one) for one in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC,
               resource.RLIMIT_DATA, resource.RLIMIT_SIGPENDING)],
    "interfaces": interfaces(),
    "permissions": CloveClient().get_permissions()["permissions"],
}), flush=True)
time.sleep(1000)
"""
CHILD = "/workspace/child.py"
PARENT = """
import time
from clove import CloveClient
open({child!r}, "w").write({agent!r})
CloveClient().spawn("child", {child!r}, args=["of", "parent"], permissions={{"can_http": False}})
time.sleep(1000)
"""
LIMITS = {"memory": 128 << 20, "max_pids": 32, "cpu_quota": 50_000, "cpu_shares": 512}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cold": {"warm": False},
    "unsandboxed": {"sandboxed": False, "args": ["a"], "env": {"A": "b"}},
    "arguments": {"args": ["one", "zwei ü", ""], "env": {"NAME": "value", "EMPTY": ""}},
    "limits": {"limits": LIMITS, "allow_degraded": True},
    "degraded": {"allow_degraded": True, "network": False},
    "restarting": {"restart_policy": "on-failure", "max_restarts": 3, "restart_window": 60.0},
    "always": {"restart_policy": "always", "sandboxed": False},
    "readonly": {"permissions": "readonly"},
    "unrestricted": {"permissions": {"level": "unrestricted"}, "llm_budget": 1000},
    "network": {
        "network": True,
        "permissions": {"allowed_domains": ["api.test:443", "*.example.test"]},
    },
    "granted": {
        "permissions": {"allowed_read_paths": ["DIRECTORY/granted", "/workspace/**"]},
        "env": {"GRANTED": "DIRECTORY/granted/file"},
    },
    "commands": {"permissions": {"allowed_commands": ["ls"], "blocked_commands": ["cat"]}},
    "command": {"command": [sys.executable, "-c", AGENT, "one", "two"], "cwd": "/usr/lib"},
    "unsandboxed-command": {
        "command": ["python3", "-c", AGENT, "one", ""],
        "sandboxed": False,
        "restart_policy": "always",
    },
    "python": {"python": "/usr/bin/python3"},
    "unsandboxed-python": {"python": "python3", "sandboxed": False},
}
