"""Callers of other kernels: what they may do here, and the tunnel by which they come."""
