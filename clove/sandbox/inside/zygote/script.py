"""A forked process becomes `python SCRIPT ...`, as if it had been started so.

What python does before it runs a script (its documentation, "Command line and
environment") is done again where a fork leaves it otherwise: arguments,
environment, module path, `__main__`, signals, descriptors, random state.
"""

from __future__ import annotations

import atexit
import builtins
import errno
import importlib.machinery
import os
import signal
import site
import stat
import sys
import time
import types

from clove.sandbox.inside import capabilities, syscalls
from clove.sandbox.inside.zygote import process_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = ["Script"]


class Script:
    """The program of one agent.

    @param argv: the interpreter, the script's path and its arguments.
    @param env: the whole environment.
    @param path: module path of the interpreter without the script's directory
        and what the environment says.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], path: Sequence[str]) -> None:
        self._argv = list(argv)
        self._env = dict(env)
        self._path = list(path)

    def introduce(self) -> None:
        """Take on what a script has from the start and that needs no file system."""
        self._set_environment()
        sys.argv = self._argv[1:]
        sys.orig_argv = self._argv
        process_title.change(self._argv, self._env)
        _tell_client(self._env)
        _python_signals()
        _seed()

    def check(self) -> None:
        """@raise OSError: it is no text (a directory, say, or an archive), of which the interpreter
        would make something else than to run its lines.
        """
        file = self._argv[1]
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode) or b"\0" in os.read(descriptor, 4096):
                raise OSError(errno.ENOEXEC, "no text", file)
        finally:
            os.close(descriptor)

    def run(self) -> None:
        """Run it in this process, which has been L{introduce}d as it.

        Returns when it has run; raises SystemExit as a script does.
        """
        file = self._argv[1]
        module = self._become(file)
        try:
            with open(file, "rb") as source:
                code = compile(source.read(), file, "exec", dont_inherit=True)
            exec(code, module.__dict__)  # noqa: S102 running it is what this is for
        except SystemExit:
            raise
        except BaseException as error:
            _report(error, module)
            sys.exit(1)

    def _become(self, file: str) -> types.ModuleType:
        """Set the process up; gives the module that the script is."""
        syscalls.close_from(3)  # which tells the kernel that the program runs
        capabilities.show_memory()
        self._set_path(file)
        module = types.ModuleType("__main__")
        module.__dict__.update(
            __annotations__={},
            __builtins__=builtins,
            __cached__=None,
            __file__=file,
            __loader__=importlib.machinery.SourceFileLoader("__main__", file),
        )
        sys.modules["__main__"] = module
        return module

    def _set_environment(self) -> None:
        """Most of it is the zygote's already."""
        zone = os.environ.get("TZ")
        for name in os.environ.keys() - self._env.keys():
            del os.environ[name]
        for name, value in self._env.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        if os.environ.get("TZ") != zone:
            time.tzset()

    def _set_path(self, file: str) -> None:
        named = [part for part in self._env.get("PYTHONPATH", "").split(":") if part]
        sys.path[:] = [os.path.dirname(file), *named, *self._path]
        if site.ENABLE_USER_SITE:  # the workspace may have one from an earlier run
            site.addusersitepackages(set(sys.path))
        for entry in {*sys.path} - {*self._path}:  # what the zygote found there was not ours
            sys.path_importer_cache.pop(entry, None)


def _tell_client(env: Mapping[str, str]) -> None:
    """Have the preloaded client trust the socket that this sandbox has mounted without looking."""
    peer: Any = sys.modules.get("clove.client.peer")
    if peer is not None:
        peer.mounted = env.get("CLOVE_SOCKET")


def _python_signals() -> None:
    """What the interpreter sets when it starts; the zygote has set all others to their defaults."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _seed() -> None:
    """New random state for modules that keep any; `random` does it itself after a fork."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
    names: Any = sys.modules.get("tempfile")
    if names is not None:
        names._name_sequence = None
        names.tempdir = None


def _report(error: BaseException, module: types.ModuleType) -> None:
    """What the interpreter does about an uncaught exception, without our frames."""
    trace: Any = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is not module.__dict__:
        trace = trace.tb_next
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    sys.excepthook(type(error), error.with_traceback(trace), trace)
    if isinstance(error, KeyboardInterrupt):  # then python dies of the signal
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
