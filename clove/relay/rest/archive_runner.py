"""Runs inside a sandbox: unpacks an archive that comes by standard input, and starts a command in it.

The relay sends this file's text in front of the archive; the relay itself does not run it. It needs
the standard library of Python 3.8 alone. Arguments: how long this text is, the bytes of the archive and of
the requirements, and the command.
"""

import importlib.util
import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from typing import NoReturn

SECONDS = 60
"""For all of the archive to arrive."""
MOST_BYTES = 1 << 30
MOST_NAMES = 100_000
REFUSED = 125
"""Exit code when the command is not started; 127: there is none such."""
PACKAGES = ".clove-packages"
REQUIREMENTS = ".clove-requirements.txt"


def main() -> NoReturn:
    """Unpack, install what is required, become the command."""
    size, required = int(sys.argv[2]), int(sys.argv[3])
    signal.signal(
        signal.SIGALRM, lambda *_: _fail("the archive has not arrived", "deploy it again")
    )
    signal.alarm(SECONDS)
    archive = sys.stdin.buffer.read(size)
    requirements = sys.stdin.buffer.read(required)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    if len(archive) < size or len(requirements) < required:
        _fail("the archive is not whole", "deploy it again")
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            unpack(opened, os.getcwd())
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        _fail(f"the archive cannot be unpacked: {reason}", "send a tar, plain or compressed")
    if required:
        _install(requirements)
    command = sys.argv[4:]
    try:
        os.execvp(command[0], command)  # noqa: S606 a program, as it was asked for
    except OSError as error:
        _fail(f"{command[0]}: {error.strerror}", "name a program of the archive with ./", 127)


def unpack(archive: tarfile.TarFile, root: str) -> None:
    """Write its files, directories and links below a directory that nobody else changes.

    Links come last, so that nothing is written through one.

    @raise ValueError: it holds what would not stay below, or no file, or too much.
    """
    links = []
    total = 0
    for count, member in enumerate(archive):
        name = os.path.normpath(member.name)
        total += max(0, member.size)
        if count >= MOST_NAMES or total > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_NAMES} names or {MOST_BYTES} bytes")
        if leads_out(member.name):
            raise ValueError(f"{member.name!r} leads out of it")
        path = os.path.join(root, name)
        if member.isdir():
            os.makedirs(path, exist_ok=True)
        elif member.isreg():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _write(archive, member, path)
        elif member.issym():
            if leads_out(os.path.join(os.path.dirname(member.name), member.linkname)):
                raise ValueError(f"the link {member.name!r} leads out of it")
            links.append((path, member.linkname))
        else:
            raise ValueError(f"{member.name!r} is no file, directory or symbolic link")
    for path, target in links:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not _below(os.path.dirname(path), root):
            raise ValueError(f"the link {path!r} is behind a link that leads out of it")
        os.symlink(target, path)
    for path, _ in links:
        if not _below(path, root):
            os.unlink(path)
            raise ValueError(f"the link {path!r} leads out of it")


def leads_out(name: str) -> bool:
    """Whether a name is absolute or goes above where it starts."""
    return os.path.isabs(name) or os.path.normpath(name).split("/")[0] == ".."


def _below(path: str, root: str) -> bool:
    real = os.path.realpath(root)
    return os.path.commonpath((os.path.realpath(path), real)) == real


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    source = archive.extractfile(member)
    mode = 0o755 if member.mode & 0o100 else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        while source is not None:
            data = source.read(1 << 20)
            if not data:
                break
            file.write(data)


def _install(requirements: bytes) -> None:
    """Have pip install them beside the archive's files."""
    with open(REQUIREMENTS, "wb") as file:
        file.write(requirements)
    with tempfile.TemporaryDirectory() as directory:
        words = [_python_with_pip(directory), "-m", "pip", "install", "--quiet"]
        words += ["--disable-pip-version-check", "--no-cache-dir", "--no-input"]
        words += ["--target", PACKAGES, "-r", REQUIREMENTS]
        code = subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode
    if code:
        _fail(
            "the requirements are not installed",
            "pip says why; it needs `network` and an index, or wheels in the archive with --no-index",
        )
    where = os.path.abspath(PACKAGES)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{where}:{before}" if before else where
    os.environ["PATH"] = f"{where}/bin:{os.environ.get('PATH', os.defpath)}"


def _python_with_pip(directory: str) -> str:
    """This interpreter if it has pip; else one of an environment that is made here: Debian parts the two."""
    if importlib.util.find_spec("pip"):
        return sys.executable
    words = [sys.executable, "-m", "venv", directory]
    if subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode:
        _fail(
            "the requirements are not installed: this machine's Python has no pip and makes no environment",
            "install python3-pip, or python3-venv, on it",
        )
    return os.path.join(directory, "bin", "python")


def _fail(problem: str, hint: str, code: int = REFUSED) -> NoReturn:
    sys.stderr.write(f"clove: {problem} - {hint}\n")
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
