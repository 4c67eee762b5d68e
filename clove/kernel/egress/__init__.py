"""HTTP to the outside, for agents, under their permissions."""

from clove.kernel.egress.fetch import Egress
from clove.kernel.egress.hosts import EgressSettings, KnownHosts
from clove.kernel.egress.limits import EgressLimits

__all__ = ["Egress", "EgressLimits", "EgressSettings", "KnownHosts"]
