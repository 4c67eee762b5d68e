"""The one place where the kernel's parts are made and wired together, group by group."""

from clove.kernel.wiring.parts import Parts

__all__ = ["Parts"]
