"""A bundle: all that a machine without a package index needs to install Clove, in one archive.

L{make_bundle} makes it, from a checkout or from an installed Clove; `clove/deploy/installer` is what runs
from it on the other machine.
"""

from clove.deploy.bundle.maker import Bundle, make_bundle
from clove.deploy.bundle.target import MACHINES, PYTHONS, Target

__all__ = ["MACHINES", "PYTHONS", "Bundle", "Target", "make_bundle"]
