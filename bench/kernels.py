"""What is measured side by side: kernels as installed and with one thing switched off, and other servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench.peers import found
from bench.plan import Plan
from bench.servers import OFFLINE, Unavailable, kernel
from bench.workload import Server

__all__ = [
    "BEFORE",
    "CLOVE",
    "COMPILED",
    "ECHO",
    "NO_SPIN",
    "UNSPUN",
    "Servers",
    "compiled_kernel",
    "kernels",
    "one_kernel",
    "servers",
]

CLOVE = "Clove"
ECHO = "C echo"
UNSPUN = "Clove, no spin"
COMPILED = "Clove, compiled"
BEFORE = "Clove before"
PURE = 'compiled = "off"\n'
REQUIRED = 'compiled = "required"\n'
NO_SPIN = "[limits.connection]\nspin = 0\n"


class Servers(NamedTuple):
    """All at once, each in a process of its own on the same processor.

    @ivar echo: the least that a server can do, in C.
    @ivar kernels: those of L{kernels}, then the compiled one and that of another tree, if they are there.
    @ivar peers: other servers that answer frames, of those that are there.
    """

    echo: Server
    kernels: list[Server]
    peers: list[Server]


@contextmanager
def one_kernel(directory: Path, name: str = CLOVE, settings: str = "") -> Iterator[Server]:
    """A kernel of this tree in pure Python.

    @param name: under which it is shown.
    @param settings: more of its configuration, TOML.
    """
    with kernel(_place(directory, name), settings, PURE + OFFLINE) as (path, pid):
        yield Server(name, path, pid)


@contextmanager
def compiled_kernel(directory: Path) -> Iterator[Server]:
    """The same with the compiled part.

    @raise Unavailable: that was not built here.
    """
    with kernel(
        _place(directory, COMPILED), "", REQUIRED + OFFLINE, twistd=found.compiled_twistd()
    ) as (path, pid):
        yield Server(COMPILED, path, pid)


@contextmanager
def earlier_kernel(directory: Path, tree: Path) -> Iterator[Server]:
    """A kernel of another tree, as it is installed."""
    with kernel(_place(directory, BEFORE), tree=tree) as (path, pid):
        yield Server(BEFORE, path, pid)


def _place(directory: Path, name: str) -> Path:
    place = directory / name.replace(" ", "-").replace(",", "")
    place.mkdir()
    return place


@contextmanager
def kernels(directory: Path) -> Iterator[list[Server]]:
    """As it is installed, and with polling switched off; both run, and one at a time is measured."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(one_kernel(directory)),
            stack.enter_context(one_kernel(directory, UNSPUN, NO_SPIN)),
        ]


@contextmanager
def servers(plan: Plan, directory: Path) -> Iterator[Servers]:
    """Have all of them run; what is started in the block runs on the other processor.

    @raise Unavailable: one that every machine can have does not come up.
    """
    with ExitStack() as stack:
        pin = stack.enter_context(plan.pinned())
        echoes = [found.Peer(ECHO, [str(plan.tools["echo_ref"])])]
        for find in found.ECHOES:
            with suppress(Unavailable):
                echoes.append(find())
        ours = stack.enter_context(kernels(directory))
        with suppress(Unavailable):
            ours.append(stack.enter_context(compiled_kernel(directory)))
        if plan.against:
            ours.append(stack.enter_context(earlier_kernel(directory, plan.against)))
        echo, *peers = [
            Server(each.name, *stack.enter_context(found.serving(each, directory)))
            for each in echoes
        ]
        pin(echo, *ours, *peers)
        yield Servers(echo, ours, peers)
