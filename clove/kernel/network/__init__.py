"""The agents' ways to the network, all through the kernel, which judges, resolves and dials.

L{clove.kernel.network.gateway} carries connections of sandboxed agents,
L{clove.kernel.network.egress} makes HTTP requests for the syscall HTTP. Both find names
(C{lookups}, C{known_hosts}, C{host_resolver}) and connect (C{dialling}) in the same way.
"""

__all__: list[str] = []
