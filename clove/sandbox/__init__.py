"""Where programs run: namespaces, private roots, limits, and the way in.

`launcher` starts programs, `interface` says what the kernel sees of them;
`docs/sandbox.md` tells how it works.
"""
