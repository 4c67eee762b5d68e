"""Trying out what a principal could do, in a sandbox like its own that is thrown away."""

from clove.kernel.attempts.attempts import Attempts
from clove.kernel.attempts.limits import AttemptLimits

__all__ = ["AttemptLimits", "Attempts"]
