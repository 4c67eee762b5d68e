"""One line of the table of syscalls: its types, its call, and the permission that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from clove.messages import decoder
from clove.policy import Decision, check_any_flag

if TYPE_CHECKING:
    from clove.kernel.context import Context
    from clove.messages import Reply, Request
    from clove.policy import Explain, Permissions

__all__ = ["UNGOVERNED", "Syscall"]

UNGOVERNED: Final = Decision(
    True, "no rule", "no permission governs it; it may still need the operator"
)
"""What WHY says of a syscall that needs no permission."""


class Syscall(Struct, frozen=True):
    """One line of the table.

    @ivar request: type that the payload is decoded to.
    @ivar reply: type of the reply; its empty values fill an error reply.
    @ivar call: what serves it.
    @ivar category: audit category of its success.
    @ivar audited: fields of the request that its audit entry shows.
    @ivar needs: the permission flags of which one suffices; the first names the rule of a refusal.
    @ivar by_arguments: what decides where arguments matter besides: what WHY says of them.
    @ivar streams: it has partial replies, whatever its request says.
    @ivar read_binary: makes the request of a binary payload, where it may have that form.
    """

    request: type[Request]
    reply: type[Reply] | None
    call: Callable[[Context, Any], Any]
    category: str = "SYSCALL"
    audited: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    by_arguments: Explain | None = None
    streams: bool = False
    read_binary: Callable[[bytes], Any] | None = None

    @property
    def decode(self) -> Callable[[bytes], Any]:
        """What makes the request of its payload (L{clove.messages.decoder}); made when it is first asked for."""
        return decoder(self.request)

    def is_permitted(self, permissions: Permissions) -> bool:
        """Whether a holder of these permissions has a flag that it needs."""
        decision = check_any_flag(permissions, self.needs)
        return decision is None or decision.allowed

    def explain(
        self, permissions: Permissions, arguments: Mapping[str, Any], cwd: str | None = None
    ) -> Decision:
        """The decision for a holder of these permissions, judged by the request's words alone.

        @param cwd: what a relative path starts from; None if that is not known.
        @raise InvalidRequest: the arguments make no sense for it.
        """
        if self.by_arguments is not None:
            return self.by_arguments(permissions, arguments, cwd)
        return check_any_flag(permissions, self.needs) or UNGOVERNED
