"""What a listener has verified about the peer at the other end of a channel.

A listener produces these together with the channel; L{clove.kernel.principals.Principals.enter}
makes a principal of them. They are never made of what the peer itself says.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from clove.kernel.principal import Principal
    from clove.policy import Permissions

__all__ = ["AgentSocket", "Credentials", "LocalPeer", "RemoteCaller"]


class AgentSocket(msgspec.Struct, frozen=True):
    """It came over the socket that an agent alone can reach.

    @ivar principal: the agent's.
    """

    principal: Principal


class LocalPeer(msgspec.Struct, frozen=True):
    """The process that called connect() on the main socket, as Linux tells it (unix(7)).

    @ivar pid: as the kernel's own pid namespace has it; 0: the process is in none below it.
    @ivar pidfd: holds the process itself, so that its pid cannot mean another; -1: Linux is
        older than 6.5 and has none.
    """

    pid: int
    uid: int
    gid: int
    pidfd: int = -1

    def is_there(self) -> bool:
        """Is the pid still that process's? True where it cannot be told."""
        if self.pidfd < 0:
            return True
        try:
            signal.pidfd_send_signal(self.pidfd, 0)
        except PermissionError:  # there, and another user's
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give back the pidfd. To be called once."""
        if self.pidfd >= 0:
            os.close(self.pidfd)


class RemoteCaller(msgspec.Struct, frozen=True):
    """A relay has verified a caller elsewhere (L{clove.kernel.remote}).

    @ivar number: the caller's, from 0 to 2**31 - 1: the same caller has the same, and no other ever.
    @ivar owner: a number that no caller has: callers with the same one manage the same agents;
        None: it has none.
    @ivar permissions: what it may do; None: nothing.
    @ivar network: it may spawn agents that connect to hosts.
    """

    number: int
    owner: int | None = None
    permissions: Permissions | None = None
    network: bool = False


Credentials: TypeAlias = AgentSocket | LocalPeer | RemoteCaller
