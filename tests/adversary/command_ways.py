"""Ways round a command rule, as an agent would try them; `test_command_rules.py` has the truth."""

from __future__ import annotations

from tests.integration.agreement_commands import LOADER

WORDS: dict[str, list[str]] = {
    "name": ["dd", "if=/dev/null"],
    "path": ["/usr/bin/dd", "if=/dev/null"],
    "dots": ["/usr/lib/..//bin/./dd", "if=/dev/null"],
    "proc root": ["/proc/self/root/usr/bin/dd", "if=/dev/null"],
    "link": ["/workspace/link", "if=/dev/null"],
    "env": ["env", "dd", "if=/dev/null"],
    "sh -c": ["sh", "-c", "dd if=/dev/null"],
    "computed": ["sh", "-c", "d=d; ${d}d if=/dev/null"],
    "script": ["sh", "/workspace/script"],
    "shebang": ["/workspace/shebang"],
    "loader": [LOADER, "/usr/bin/dd", "if=/dev/null"],
    "loader, copy": [LOADER, "/workspace/copy", "if=/dev/null"],
    "copy": ["/workspace/copy", "if=/dev/null"],
    "copy in /tmp": ["/tmp/copy", "if=/dev/null"],
    "copy in /dev/shm": ["/dev/shm/copy", "if=/dev/null"],
    "own program": ["/workspace/own", "/"],
}
"""A command line each: for EXEC, and for execve(2)."""

CODE: dict[str, str] = {
    "hard link": "os.link('/usr/bin/dd', '/workspace/hard'); run(['/workspace/hard', 'if=/dev/null'])",
    "descriptor": "execute(os.open('/usr/bin/dd', os.O_RDONLY), 'if=/dev/null')",
    "O_PATH descriptor": "execute(os.open('/usr/bin/dd', os.O_PATH), 'if=/dev/null')",
    "memfd": "execute(memory('/usr/bin/dd'), 'if=/dev/null')",
    "memfd, own program": "execute(memory('/usr/bin/ls'), '/')",
    "loader, memfd": "through_loader(memory('/usr/bin/ls'))",
    "mapping": "map_code('/workspace/own')",
    "chmod": "os.chmod('/usr/bin/dd', 0o755); run(['dd', 'if=/dev/null'])",
    "unmount": "mount('umount2', b'/usr/bin/dd', 2); run(['dd', 'if=/dev/null'])",
    "remount": "mount('mount', b'none', b'/workspace', None, 4128, None); run(['/workspace/own'])",
    "interpreter": "open('/tmp/out', 'wb').write(open('/dev/null', 'rb').read())",
}
"""What only code can try; it raises OSError or Failed, or else it went through."""

INSIDE = """
import ctypes, errno, mmap, os, shutil, subprocess, sys
from __main__ import client
from clove.errors import CloveError

class Failed(Exception):
    pass

QUIET = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}

def run(words, **options):
    code = subprocess.run(words, timeout=10, **QUIET, **options).returncode
    if code:
        raise Failed(f"exit {code}")

def execute(descriptor, *words):
    os.set_inheritable(descriptor, True)
    child = os.fork()
    if child == 0:
        try:
            null = os.open("/dev/null", os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            os.execve(descriptor, ["x", *words], os.environ)
        except OSError as error:
            os._exit(100 + error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code > 100:
        raise OSError(code - 100, "")
    if code:
        raise Failed(f"exit {code}")

def memory(path):
    descriptor = os.memfd_create("x", 0)
    with open(path, "rb") as file:
        os.write(descriptor, file.read())
    return descriptor

def through_loader(descriptor):
    run([LOADER, f"/proc/self/fd/{descriptor}", "/"], pass_fds=(descriptor,))

def map_code(path):
    with open(path, "rb") as file:
        mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()

def mount(call, *arguments):
    if getattr(ctypes.CDLL(None, use_errno=True), call)(*arguments):
        raise OSError(ctypes.get_errno(), "")

def answer(action):
    try:
        action()
        return "runs"
    except OSError as error:
        return errno.errorcode[error.errno]
    except (Failed, CloveError) as error:
        return getattr(error, "code", str(error))

def asked(words):
    code = client.exec(words, timeout=10)["exit_code"]
    if code:
        raise Failed(f"exit {code}")

def prepare():
    for source, target in (("dd", "/workspace/copy"), ("dd", "/tmp/copy"),
                           ("dd", "/dev/shm/copy"), ("ls", "/workspace/own")):
        try:
            shutil.copyfile("/usr/bin/" + source, target)
            os.chmod(target, 0o700)
        except PermissionError:
            pass
    os.symlink("/usr/bin/dd", "/workspace/link")
    for name, text in (("script", "dd if=/dev/null"), ("shebang", "#!/usr/bin/dd if=/dev/null")):
        with open("/workspace/" + name, "w") as file:
            file.write(text + "\\n")
        os.chmod("/workspace/" + name, 0o700)

prepare()
found = {name: [answer(lambda: asked(words)), answer(lambda: run(words))]
         for name, words in WORDS.items()}
for name, code in CODE.items():
    found[name] = ["", answer(lambda: exec(code, globals()))]
"""
