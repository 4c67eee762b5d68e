"""The network of sandboxed agents: every connection judged, dialled and carried by the kernel."""

from clove.kernel.gateway.gateways import Gateways
from clove.kernel.gateway.limits import GatewayLimits

__all__ = ["GatewayLimits", "Gateways"]
