"""What twistd can start. Strings only: twistd imports this file at every start."""

from twisted.application.service import ServiceMaker

clove_kernel = ServiceMaker(
    "Clove kernel",
    "clove.kernel.tap",
    "A microkernel for AI agents, on a Unix socket.",
    "clove-kernel",
)
