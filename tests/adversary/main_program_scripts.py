"""What agents run to tell what their main program has."""

__all__ = ["HOST_FILE", "SAME", "STATE", "ZONE_OF"]

STATE = """
import ctypes, errno, json, os, resource, signal

libc = ctypes.CDLL(None, use_errno=True)

def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        return errno.errorcode[error.errno]

def write(path):
    try:
        with open(path, "w") as file:
            file.write("0")
        return "yes"
    except OSError as error:
        return errno.errorcode[error.errno]

def link(path):
    try:
        return os.readlink(path)
    except OSError as error:
        return errno.errorcode[error.errno]

def flags(place):
    try:
        return os.statvfs(place).f_flag
    except OSError as error:
        return errno.errorcode[error.errno]

def prctl(option, argument=0):
    answer = libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
    return answer if answer >= 0 else errno.errorcode[ctypes.get_errno()]

NOT_COMPARED = ("Vm", "Rss", "Huge", "volun", "nonvol", "Cpus", "Mems", "State", "Pid", "Tgid",
                "NSpid", "NStgid", "NSpgid", "NSsid", "SigQ")
rows = dict(line.split(":\\t", 1) for line in read("/proc/self/status").splitlines() if "\\t" in line)
limits = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource)
          if name.startswith("RLIMIT_")}
places = ("/x", "/usr/x", "/etc/passwd", "/dev/x", "/app/x", "/opt/clove/x", "/tmp/x", "/dev/shm/x",
          "/workspace/x", "/proc/sys/kernel/hostname", "/proc/self/uid_map",
          "/proc/sys/user/max_user_namespaces", "/proc/self/timens_offsets")
mounted = [line.split()[4] for line in read("/proc/self/mountinfo").splitlines()]
print(json.dumps({
    "status": {name: row for name, row in rows.items() if not name.startswith(NOT_COMPARED)},
    "bounding": [prctl(23, number) for number in range(41)],
    "prctl": {option: prctl(option) for option in (3, 7, 21, 27, 39, 42)},
    "ids": [os.getresuid(), os.getresgid(), os.getgroups(), os.getppid()],
    "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "limits": limits, "nice": os.nice(0), "policy": os.sched_getscheduler(0),
    "umask": os.umask(0o077), "score": read("/proc/self/oom_score_adj"),
    "cgroup": read("/proc/self/cgroup").count("\\n"), "keys": read("/proc/keys"),
    "descriptors": {number: link(f"/proc/self/fd/{number}").split(":")[0] for number in range(64)},
    "places": [link("/proc/self/root"), link("/proc/self/cwd")],
    "mounts": {place: flags(place) for place in mounted if not place.startswith("/etc/")},
    "children": [link(f"/proc/self/ns/{kind}") == link(f"/proc/self/ns/{kind}_for_children")
                 for kind in ("pid", "time")],
    "writes": {path: write(path) for path in places},
    "process 1": {name: read(f"/proc/1/{name}") for name in ("environ", "maps", "mem", "auxv")},
    "its links": {name: link(f"/proc/1/{name}") for name in ("root", "cwd", "exe", "fd/0", "fd/3")},
    "signals": {number: str(signal.getsignal(number)) for number in signal.valid_signals()},
}))
"""
ZONE_OF = "import json, time\nprint(json.dumps(time.tzname[0]))\n"
HOST_FILE = """
import base64, json, sys

word = base64.b64decode(sys.argv[2])
found = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        area, rights = line.split()[:2]
        if "r" in rights and "[v" not in line:
            start, end = (int(edge, 16) for edge in area.split("-"))
            memory.seek(start)
            try:
                found += memory.read(end - start).count(word)
            except OSError:
                pass
print(json.dumps(found))
"""
SAME = """
import json, subprocess, sys
from clove import CloveClient
from clove.errors import ConnectionLost

NAMES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
         "Seccomp_filters", "Uid", "Gid", "Groups")

def pick(text):
    rows = dict(line.split(":\\t", 1) for line in text.splitlines() if ":\\t" in line)
    return {name: rows.get(name) for name in NAMES}

with CloveClient() as client:
    command = client.exec(["/bin/cat", "/proc/self/status"])["stdout"]
with open("/proc/self/status") as file:
    own = file.read()
print(json.dumps([pick(own), pick(command)]))
"""
