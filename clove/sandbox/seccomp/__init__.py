"""What system calls a sandbox may make, assembled on the kernel's side.

`filters` says which, `bpf` turns that into a program; L{clove.sandbox.inside.seccomp} loads it.
"""

__all__: list[str] = []
