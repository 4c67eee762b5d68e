"""The dry runs of a kernel that may never make one: what they are made of is imported for the first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from clove.errors import Unavailable

if TYPE_CHECKING:
    from clove.kernel.dry_run.dry_runs import DryRuns
    from clove.kernel.dry_run.outcome import Outcome
    from clove.kernel.principal import Principal

__all__ = ["MODULE", "DryRunsOnDemand"]

MODULE: Final = "clove.kernel.dry_run.dry_runs"


class DryRunsOnDemand:
    """L{DryRuns}, once they are wanted.

    @param load: imports a module in a thread.
    @param create: makes the dry runs, when L{MODULE} is there.
    """

    def __init__(
        self, load: Callable[[str], Awaitable[None]], create: Callable[[], DryRuns]
    ) -> None:
        self._load = load
        self._create = create
        self._runs: DryRuns | None = None
        self._stopping = False

    async def make(
        self, caller: Principal, principal: Principal, syscall: str, arguments: Mapping[str, Any]
    ) -> Outcome:
        """Try what a syscall would do for a principal (L{DryRuns.make}).

        @raise CloveError: it cannot be tried now.
        """
        if self._runs is None:
            await self._load(MODULE)
        if self._stopping:
            raise Unavailable("the kernel is stopping")
        if self._runs is None:
            self._runs = self._create()
        return await self._runs.make(caller, principal, syscall, arguments)

    async def stop(self) -> None:
        """Cancel those under way, and make no more."""
        self._stopping = True
        if self._runs is not None:
            await self._runs.stop()
