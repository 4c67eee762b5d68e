"""Warm start: agents are forked from a process that has Python loaded already.

`nursery` is the kernel's end; `enclosure`, `server`, `birth` and `script` are
what runs there, in this order. `docs/nursery.md` tells how it works.
"""

__all__: list[str] = []
