"""Connections to the kernel: frames, their order, and what of them is read and waits, and when."""
