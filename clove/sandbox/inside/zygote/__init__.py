"""Warm start, inside: a process that has Python loaded already, and its children.

`bootstrap` sets it up, `server` forks, `child` becomes an agent's process 1 and `script` its
main program, in this order. `docs/zygote.md` tells how it works.
"""

__all__: list[str] = []
