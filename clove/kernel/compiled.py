"""The compiled part, the distribution clove-fast, where it is installed (docs/compiled.md).

It knows the kernel's own objects, so only the one of the same version is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol

from twisted.logger import Logger

from clove._version import __version__
from clove.errors import Unavailable

__all__ = ["Choice", "Compiled", "find_compiled"]

NAME: Final = "clove_fast"
HINT: Final = f'install clove-fast {__version__} (docs/compiled.md), or set compiled = "auto"'

_PARTS: Final = ("Reader", "send_gathered", "serve_ready")

Choice = Literal["auto", "off", "required"]

_log = Logger()


class Compiled(Protocol):
    """The module (fast/clove_fast.pyx)."""

    def Reader(
        self,
        connection: Any,
        descriptor: tuple[int, bool],
        time: Any,
        go_on: Callable[[bytes, bool, Any], object],
    ) -> Callable[[], object]:
        """A reader of a connection in place of its channel."""

    def serve_ready(
        self,
        ready: list[tuple[int, int]],
        selectables: dict[int, Any],
        serve: Callable[[Any, int, int], object],
        end: Callable[[Any, Any, bool], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        """Serve the descriptors that are ready, in their order."""

    def send_gathered(self, sender: Any) -> None:
        """Send the replies that a read under way has gathered for a sender."""


def find_compiled(choice: Choice) -> Compiled | None:
    """The compiled part, if it is to be used and is there.

    To be called when the interpreter is settled (L{clove.kernel.interpreter}): before that it would also be
    looked for in the working directory.

    @raise Unavailable: it is required, and is not there or is of another version.
    """
    if choice == "off":
        return None
    module: Any = None
    try:
        module = importlib.import_module(NAME)
        problem = _mismatch(module)
    except ModuleNotFoundError:
        problem = "clove-fast is not installed" if choice == "required" else ""
    except ImportError as error:
        problem = f"clove-fast cannot be loaded: {error}"
    if module is not None and not problem:
        return module  # type: ignore[no-any-return]
    if choice == "required":
        raise Unavailable(problem, hint=HINT)
    if problem:
        _log.warn("{problem}; the kernel goes on without it ({hint})", problem=problem, hint=HINT)
    return None


def _mismatch(module: Any) -> str:
    version = getattr(module, "__version__", "of unknown version")
    if version != __version__:
        return f"clove-fast is {version}, this kernel is {__version__}"
    missing = [name for name in _PARTS if not hasattr(module, name)]
    return f"clove-fast is an older build without {missing[0]}" if missing else ""
