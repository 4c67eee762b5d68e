"""Warm start, the kernel's end: the process that agents are forked from, and its children.

`docs/zygote.md` tells how it works; what runs there is in L{clove.sandbox.inside.zygote}.
"""

__all__: list[str] = []
