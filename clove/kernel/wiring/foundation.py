"""What every part stands on: the reactor, threads, processes, ids and limits."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import clove
from clove.kernel.descriptors import (
    WANTED,
    agents_within,
    let_cores_be_off,
    raise_descriptors,
    within_descriptors,
)
from clove.kernel.interpreter import import_later
from clove.kernel.logs.pump import Pumps
from clove.kernel.loop_time import LoopTime
from clove.kernel.processor_time import yield_to_reactor
from clove.kernel.registry import Registry
from clove.kernel.wiring.background import Background
from clove.sandbox.disposal import Disposal
from clove.sandbox.id_maps import IdMaps
from clove.sandbox.launcher import Launcher
from clove.threads.threads import Threads

if TYPE_CHECKING:
    from clove.kernel.clocks import Wall
    from clove.kernel.config import Config
    from clove.kernel.id_file import IdFile
    from clove.kernel.state_dir import StateDir

__all__ = ["Foundation"]


class Foundation:
    """Made first, and given to every group of parts.

    @param reactor: its clock is monotonic.
    @param ids: of all that is given an id for ever.
    @param wall: dates what people read.
    @ivar library: directory of the `clove` package.
    @ivar limits: all of the configuration's.
    @ivar per_connection, agent_bounds: those that the number of descriptors bounds.
    @ivar loop_time: that of the reactor's thread, divided between families.
    @ivar pumps: threads for floods of output.
    @ivar import_later: imports a module in a thread.
    """

    def __init__(
        self, reactor: Any, config: Config, state_dir: StateDir, ids: IdFile, wall: Wall
    ) -> None:
        self.reactor = reactor
        self.config = config
        self.state_dir = state_dir
        self.ids = ids
        self.wall = wall
        self.limits = limits = config.limits
        self.library = os.path.dirname(os.path.realpath(clove.__file__))
        let_cores_be_off()
        descriptors = raise_descriptors(max(2 * limits.connection.max_connections, WANTED))
        self.per_connection = within_descriptors(limits.connection, descriptors)
        self.agent_bounds = agents_within(limits.agents, descriptors)
        per_connection = self.per_connection
        self.loop_time = LoopTime(reactor, per_connection.family_turn, per_connection.long_work)
        self.registry = Registry(ids.agents.take)
        self.background = Background()
        self.disposal = Disposal(reactor)
        self.threads = Threads(
            reactor, config.threads, limits.threads, limits.shares, yield_to_reactor
        )
        self.pumps = Pumps(reactor, limits.logs.pumps, limits.shares)
        self.id_maps = IdMaps()
        self.launcher = Launcher(
            reactor,
            self.threads,
            limits=limits.launch,
            disposal=self.disposal,
            id_maps=self.id_maps,
        )
        self.import_later = functools.partial(import_later, self.threads.run)
