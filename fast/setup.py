"""Builds the compiled part of Clove, of the version of the tree that it lies in."""

import re
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

HERE = Path(__file__).parent
(VERSION,) = re.findall(
    r'^__version__ = "(.*)"$', (HERE / "../clove/_version.py").read_text(), re.M
)

setup(
    version=VERSION,
    install_requires=[f"clove=={VERSION}"],
    ext_modules=cythonize(
        Extension(
            "clove_fast",
            ["clove_fast.pyx"],
            define_macros=[("CLOVE_VERSION", f'"{VERSION}"')],
            extra_compile_args=["-O2", "-g0"],
            extra_link_args=["-Wl,--strip-all"],
        ),
        language_level=3,
    ),
)
