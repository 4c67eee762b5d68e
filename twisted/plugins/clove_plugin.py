"""What twistd can start. Strings only: twistd imports this file at every start."""

from twisted.application.service import ServiceMaker

clove_kernel = ServiceMaker(
    "Clove kernel",
    "clove.kernel.tap",
    "A microkernel for AI agents, on a Unix socket.",
    "clove-kernel",
)
clove_relay = ServiceMaker(
    "Clove relay",
    "clove.relay.tap",
    "One fleet of many Clove kernels: they connect to it, and are reached there.",
    "clove-relay",
)
clove_tunnel = ServiceMaker(
    "Clove tunnel",
    "clove.tunnel.tap",
    "Connects a Clove kernel to a relay, from a process beside it.",
    "clove-tunnel",
)
