"""The network of sandboxed agents: every connection judged, dialled and carried by the kernel."""

from clove.kernel.network.gateway.gateways import Gateways
from clove.kernel.network.gateway.limits import GatewayLimits

__all__ = ["GatewayLimits", "Gateways"]
