"""A kernel's way to its relay: it dials out, proves its key, and serves the channels of remote callers."""
