"""What an agent can write, and what it leads others to load: rows 19 and 28 of the attacks."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.adversary.arena import Arena
from tests.adversary.isolated import PATHS, unprivileged_python
from tests.integration.conftest import KernelProcess
from tests.integration.exposed import ORDINARY, ROOT, ROOTLESS, OrdinaryKernel, host

MARK = "import os, sys\nopen({marker!r}, 'a').write(f'{{__name__}} of {{os.getuid()}}\\n')\n"
MODULES = ["sitecustomize", "usercustomize", "json", "clove/__init__", "clove/sandbox/init"]
MODULES += ["msgspec", "twisted/plugins/evil", "encodings/__init__"]

EDITS = """
import json, os, sys
from clove import CloveClient

MARK = "import os\\nopen('/workspace/marks', 'a').write('loaded ' + __name__ + '\\\\n')\\n"
SITE = f".local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
found = {"start": 2 if os.path.exists("/workspace/once") else 1}

def tried(name, function, *args):
    try:
        function(*args)
        found[name] = "done"
    except OSError as error:
        found[name] = os.strerror(error.errno)

def write(path, text=MARK):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)

own = sys.argv[0]
with open(own) as file:
    text = file.read()
with CloveClient() as client:
    found["permissions"] = client.get_permissions()["permissions"]
    found["exec"] = client.exec("echo $0; command -v ls; ls /workspace/once 2>&1; pwd")["stdout"]
    found["words"] = client.exec(["true"])["exit_code"]
    found["read"] = client.read_file(own)["content"] == text
if found["start"] == 1:
    open("/workspace/once", "w").close()
    for name in ("sitecustomize.py", "clove/__init__.py", "json.py", "sandbox/init.py"):
        write(f"/workspace/{name}")
        write(f"/workspace/{SITE}/{name}")
    write(f"/workspace/{SITE}/evil.pth", "import os; open('/workspace/marks', 'a').write('pth\\\\n')")
    for name in ("sh", "ls", "true", "python3", "env"):
        write(f"/workspace/{name}", "#!/bin/sh\\necho hijacked\\n")
    write("/workspace/.profile", "echo hijacked")
    write("/workspace/.clove/config.toml", "[limits.agents]\\nmax_agents = 0")
    os.environ.update(PYTHONPATH="/workspace", PATH="/workspace", LD_PRELOAD="/workspace/evil.so")
    for name, path in {"script": own, "library": "/opt/clove/clove/__init__.py"}.items():
        tried(f"write {name}", write, path)
        tried(f"rename {name}", os.rename, path, path + "-old")
        tried(f"unlink {name}", os.unlink, path)
        tried(f"cover {name}", os.rename, "/workspace/json.py", path)
    tried("plant beside script", write, os.path.join(os.path.dirname(own), "sitecustomize.py"))
    tried("plant beside library", write, "/opt/clove/sitecustomize.py")
    tried("plant in the system", write, "/usr/lib/python3/dist-packages/evil.pth")
    tried("plant in the prefix", write, os.path.join(sys.prefix, "evil.pth"))
    tried("plant in the configuration", write, "/etc/ld.so.preload", "/workspace/evil.so")
    found["text"] = text
    print(json.dumps(found), flush=True)
    os._exit(1)
found["same"] = text == json.loads(sys.argv[-1])["text"] if len(sys.argv) > 2 else None
found["modules"] = [sys.modules["json"].__file__, sys.modules["clove"].__file__]
found["path"] = sys.path
found["environment"] = dict(os.environ)
found["text"] = text
print(json.dumps(found), flush=True)
"""


@pytest.fixture(scope="module")
def runs(arena: Arena) -> list[dict[str, Any]]:
    """What an agent found at its first start, before its edits, and at its second."""
    reply = arena.begin(EDITS, restart_policy="on-failure")
    ended = arena.client.wait(reply["id"], timeout=50)
    lines = arena.client.logs(reply["id"])["lines"]
    texts = [line["text"] for line in lines if line["stream"] == "stdout"]
    assert ended["exit_code"] == 0, lines
    out = "".join(texts)
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(out)
    second, _ = decoder.raw_decode(out[end:])
    return [first, second]


def test_its_script_and_library_stay_as_they_are(runs: list[dict[str, Any]]) -> None:
    first, second = runs
    edits = {name: result for name, result in first.items() if " " in name}
    assert len(edits) == 13
    refused = {os.strerror(number) for number in (1, 2, 13, 16, 17, 18, 30)}
    assert set(edits.values()) <= refused, edits
    assert second["text"] == first["text"] == EDITS


def test_its_next_start_loads_nothing_of_it(runs: list[dict[str, Any]]) -> None:
    """Its home is where user packages lie; those are its own, and nobody else's to load."""
    second = runs[1]
    assert second["start"] == 2
    assert second["modules"][1] == "/opt/clove/clove/__init__.py"
    assert not second["modules"][0].startswith("/workspace")
    assert second["environment"]["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert "LD_PRELOAD" not in second["environment"]
    assert second["environment"]["PYTHONPATH"] == "/opt/clove"
    assert second["permissions"] == runs[0]["permissions"]


def test_the_kernels_part_inside_loads_and_runs_nothing_of_it(runs: list[dict[str, Any]]) -> None:
    first, second = runs
    assert second["exec"].splitlines()[1:] == ["/usr/bin/ls", "/workspace/once", "/workspace"]
    assert "hijacked" not in second["exec"]
    assert second["words"] == 0
    assert first["read"] is second["read"] is True


def test_another_agent_is_as_ever(arena: Arena, runs: list[dict[str, Any]]) -> None:
    assert runs
    source = "import json, os, sys\nprint(json.dumps([sys.path, os.listdir('/workspace')]))"
    path, listed = arena.run(source)
    assert listed == []
    assert not any(place.startswith("/workspace") for place in path)


def test_modules_in_the_kernels_directory_are_not_loaded(arena: Arena) -> None:
    """The directory may be one that an agent was let write to."""
    marker = Path(arena.kernel.directory, "marker")
    planted = []
    try:
        for name in MODULES:
            path = Path(arena.kernel.directory, f"{name}.py")
            for parent in path.parents:
                if not parent.exists():
                    planted.append(parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(MARK.format(marker=str(marker)))
            planted.append(path)
        marker.touch()
        marker.chmod(0o666)
        assert arena.run("print(1)") == 1
        # Python itself looks beside a script; so this one lies elsewhere.
        elsewhere = Path(arena.kernel.directory, "elsewhere")
        elsewhere.mkdir()
        planted.append(elsewhere)
        script = Path(elsewhere, "agent.py")
        script.write_text("import json\n")
        unsandboxed = arena.client.spawn("outside", str(script), sandboxed=False)
        arena.client.wait(unsandboxed["id"])
        assert marker.read_text() == ""
    finally:
        marker.unlink(missing_ok=True)
        for path in sorted(planted, key=lambda each: len(each.parts), reverse=True):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
def test_a_kernel_started_among_planted_modules_loads_none(who: str) -> None:
    if who == ROOT and os.getuid() != 0:
        pytest.skip("only root can run a root kernel")
    if who == ROOTLESS and os.getuid() == 0 and not unprivileged_python():
        pytest.skip("no interpreter that an ordinary user can run")
    other = who == ROOTLESS and os.getuid() == 0
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        kernel = (OrdinaryKernel if other else KernelProcess)(directory)
        if other:
            kernel.environ["PYTHONPATH"] = os.pathsep.join(PATHS)
            os.chown(directory, ORDINARY, ORDINARY)
        os.chmod(directory, 0o755)
        marker = f"{directory}/marker"
        for name in MODULES:
            path = Path(directory, f"{name}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(MARK.format(marker=marker))
        try:
            kernel.start()
        finally:
            if kernel.process is not None:
                kernel.stop()
        assert not os.path.exists(marker), Path(marker).read_text()


SECRETS = {
    "GEMINI_API_KEY": "AIza-not-for-agents-1",
    "MY_TOKEN": "not-for-agents-2",
    "DATABASE_URL": "postgres://u:not-for-agents-3@host/db",
    "PLAIN": "not-for-agents-4",
    "SSH_AUTH_SOCK": "/tmp/not-for-agents-5",
}
AN_AGENTS = [
    "PATH",
    "HOME",
    "LANG",
    "LSAN_OPTIONS",
    "TMPDIR",
    "TZ",
    "USER",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
]
AN_AGENTS += ["PYTHONPATH", "CLOVE_SOCKET", "CLOVE_AGENT_ID"]
ENVIRONMENT = """
import glob, json, os
from clove import CloveClient

texts = [repr(dict(os.environ))]
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        with open(path, "rb") as file:
            texts.append(file.read().decode(errors="replace"))
    except OSError:
        pass
with CloveClient() as client:
    texts.append(client.exec("env; set; cat /proc/*/environ 2>/dev/null; true")["stdout"])
print(json.dumps("not-for-agents" in "".join(texts)))
"""


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
def test_the_agents_environment_is_not_the_kernels(who: str) -> None:
    with host(who, extra_environ=SECRETS) as here:
        for start in ("cold", "warm"):  # the zygote gets ready meanwhile
            arena = Arena(**vars(here), start=start)
            if start == "warm" and not arena.warm_is_known:
                continue
            assert arena.run(ENVIRONMENT) is False


def test_what_starts_agents_has_nothing_of_the_kernels_environment(here: Arena) -> None:
    """A cold agent's helper is an isolated interpreter without site, so that no .pth is run; the
    zygote has what an agent has, and is as an agent is in a sandbox of its own.
    """
    if os.getuid() != 0:
        pytest.skip("only root sees the processes of a sandbox")
    agent = here.spawn()
    [entry] = [one for one in here.client.list_agents() if one["id"] == agent.id]
    pid = int(Path(f"/proc/{entry['pid']}/stat").read_text().rpartition(")")[2].split()[1])
    while pid != here.kernel.pid:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        names = {row.split(b"=")[0].decode() for row in environ.split(b"\0") if row}
        if here.start == "cold":
            assert words[1:3] == [b"-I", b"-S"]
            assert names == set()
        else:
            assert names <= {*AN_AGENTS, "PYTHONHASHSEED"}, names
            assert os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_what_is_installed_is_asked_for_by_hash() -> None:
    """tests/unit/test_packaging.py looks at each line of the locks."""
    assert "--require-hashes" in Path(__file__).parents[2].joinpath("tools", "venv").read_text()
