"""What every test gets: a time limit, and a look at what it left behind.

`async def` tests run on the reactor of pytest-twisted. A test fails when it
leaves delayed calls, sockets, child processes, mounts, cgroups or temporary
files, or when a failure was logged that it did not expect.
"""

from __future__ import annotations

import functools
import gc
import inspect
import os
import re
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import pytest_twisted
from hypothesis import HealthCheck, settings
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.daemons import children
from tests.short_directory import short_dir

__all__ = ["LoggedFailures", "logged_failures", "short_dir"]

# By default an example that takes 0.2 s fails, and a test whose examples take long to make; on a busy
# machine any may.
settings.register_profile("clove", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("clove")

TIME_LIMIT = 60.0
"""Seconds that an asynchronous test may take."""
SETTLE = int(os.environ.get("CLOVE_TEST_SETTLE", "200"))
"""Turns of 10 ms that the reactor gets to close what a test has let go."""
BESIDE = "PYTEST_XDIST_WORKER" in os.environ
"""Whether other processes run tests of this suite at the same time."""
LONGEST = (
    "docs/test_pages.py",
    "integration/test_requirements.py",
    "integration/fleet/test_fleet_networks.py",
    "integration/fleet/test_fleet_faults.py",
    "integration/fleet/test_fleet_routes.py",
    "integration/test_browser.py",
)
"""Files of tests that begin first, or the process that gets one would end long after the others."""

_temporary: set[str] = set()
_cgroups_before: set[str] = set()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"tempfile.mkdtemp", "tempfile.mkstemp"}:
        _temporary.add(os.fsdecode(arguments[0]))


sys.addaudithook(_watch)


def pytest_sessionstart() -> None:
    """Keep in mind what cgroups are there, and be as strict as C{-W error}, which workers do not get."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a job of a shell's background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as what the tests start takes it
    if BESIDE:
        warnings.simplefilter("error")
    else:
        _cgroups_before.update(_abandoned_cgroups())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files where processes share them."""
    if BESIDE:
        items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail when the processes that ran tests side by side have left cgroups."""
    if not BESIDE and "CI" in os.environ and (left := _abandoned_cgroups() - _cgroups_before):
        print("\nleft behind:\n  " + "\n  ".join(sorted(left)))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Give each asynchronous test its time limit, without signals."""
    test = pyfuncitem.obj
    if inspect.iscoroutinefunction(test) and not hasattr(test, "hypothesis"):
        mark = pyfuncitem.get_closest_marker("time_limit")
        pyfuncitem.obj = _limited(test, mark.args[0] if mark else TIME_LIMIT)
    return (yield)


def _limited(test: Callable[..., Any], seconds: float) -> Callable[..., Deferred[None]]:
    @functools.wraps(test)
    def run(**arguments: object) -> Deferred[None]:
        from twisted.internet import reactor

        return Deferred.fromCoroutine(test(**arguments)).addTimeout(seconds, reactor)

    return run


@implementer(ILogObserver)
class LoggedFailures:
    """The failures that were logged during a test.

    A test that expects some takes them with L{flush}; those left make it fail.
    """

    def __init__(self) -> None:
        self._failures: list[Failure] = []

    def __call__(self, event: LogEvent) -> None:
        """Keep the event's failure, if it has one."""
        failure = event.get("log_failure")
        if failure is not None:
            self._failures.append(failure)

    def flush(self, *kinds: type[BaseException]) -> list[BaseException]:
        """Take out the exceptions of these kinds (of any, when none is said)."""
        wanted = kinds or (BaseException,)
        failures = [failure.value for failure in self._failures if failure.value is not None]
        self._failures = [one for one in self._failures if not isinstance(one.value, wanted)]
        return [error for error in failures if isinstance(error, wanted)]


@pytest.fixture
def logged_failures(_leaves_nothing: LoggedFailures) -> LoggedFailures:
    """The failures logged during this test."""
    return _leaves_nothing


class _Left:
    """What exists now outside of the test's own variables."""

    def __init__(self) -> None:
        from twisted.internet import reactor as global_reactor

        reactor: Any = global_reactor
        self.calls = set(reactor.getDelayedCalls())
        self.sockets = {*reactor.getReaders(), *reactor.getWriters()} - reactor._internalReaders
        self.children = children()
        self.mounts = _mounts()
        self.cgroups = _cgroups()
        self.files = {path for path in _temporary if os.path.lexists(path)}

    def since(self, before: _Left) -> list[str]:
        """What is here and was not then, in words."""
        return [
            f"{what}: {item}"
            for what in ("calls", "sockets", "children", "mounts", "cgroups", "files")
            for item in getattr(self, what) - getattr(before, what)
        ]

    def cancel(self, before: _Left) -> None:
        """Keep left-over calls from reaching into the next test."""
        for call in self.calls - before.calls:
            if call.active():
                call.cancel()


def _mounts() -> set[str]:
    """Mounts in this process's temporary directories; others on the machine come and go."""
    ours = (*_temporary, os.path.join(tempfile.gettempdir(), "pytest-of-"))
    with open("/proc/self/mountinfo") as listing:
        lines = [line for line in listing if line.split()[4].startswith(ours)]
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return {line.split(" - ")[0] for line in lines if "pytest-of-" not in line or worker in line}


@functools.cache
def _cgroup_roots() -> tuple[str, ...]:
    with open("/proc/self/mountinfo") as listing:
        return tuple(line.split()[4] for line in listing if " - cgroup2 " in line)


def _cgroups() -> set[str]:
    """Cgroups of kernels that are gone: a live one, whose pid is in the name, may have its own.

    Cgroups do not say which suite has made them; so only where no other runs beside this one.
    """
    return set() if BESIDE or "CI" not in os.environ else _abandoned_cgroups()


def _abandoned_cgroups() -> set[str]:
    found = {}
    for root in _cgroup_roots():
        for entry in os.scandir(root):
            if match := re.fullmatch(r"clove-(\d+)(-\d+)?", entry.name):
                found[entry.path] = match[1]
    return {path for path, pid in found.items() if not os.path.exists(f"/proc/{pid}")}


async def _turn() -> None:
    from twisted.internet import reactor

    await deferLater(reactor, 0.01)


def _settled(before: _Left) -> _Left:
    """What is left once the reactor has had its turns."""
    for _ in range(SETTLE):
        left = _Left()
        if not left.since(before):
            return left
        pytest_twisted.blockon(Deferred.fromCoroutine(_turn()))
    return _Left()


@pytest.fixture(autouse=True)
def _leaves_nothing(request: pytest.FixtureRequest) -> Iterator[LoggedFailures]:
    """Fail a test that leaves something behind."""
    before = _Left()
    logged = LoggedFailures()
    globalLogPublisher.addObserver(logged)
    try:
        yield logged
        left = _settled(before)
        if inspect.iscoroutinefunction(getattr(request, "function", None)):
            gc.collect()  # a Deferred says that its failure was not handled when it is collected
    finally:
        globalLogPublisher.removeObserver(logged)
    left.cancel(before)
    _temporary.difference_update(left.files)
    problems = left.since(before)
    if not isinstance(request.instance, SynchronousTestCase):  # trial looks after its own
        problems += [f"failure logged: {error!r}" for error in logged.flush()]
    if problems:
        pytest.fail("left behind:\n  " + "\n  ".join(problems), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _quick_collections() -> None:
    """Leave what was imported out of every later collection."""
    gc.collect()
    gc.freeze()
