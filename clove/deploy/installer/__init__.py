"""What installs a bundle on a machine, with nothing but Python there: the standard library alone.

It runs out of the bundle's Clove wheel (`install.sh`) and, later, out of the installed Clove.
"""
