"""HTTP to the outside, for agents, under their permissions."""

from clove.kernel.egress.fetch import Egress
from clove.kernel.egress.hosts import EgressSettings, KnownHosts
from clove.kernel.egress.limits import EgressLimits
from clove.kernel.egress.names_pool import host_resolver

__all__ = ["Egress", "EgressLimits", "EgressSettings", "KnownHosts", "host_resolver"]
