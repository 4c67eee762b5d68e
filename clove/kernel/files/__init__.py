"""Files and commands in a view: bounded reading, writing and running."""

from clove.kernel.files.commands import Commands
from clove.kernel.files.contents import decode_content, read_slice, write_content
from clove.kernel.files.limits import ExecLimits, FileLimits
from clove.kernel.files.lookup import find
from clove.kernel.files.running import Ended

__all__ = [
    "Commands",
    "Ended",
    "ExecLimits",
    "FileLimits",
    "decode_content",
    "find",
    "read_slice",
    "write_content",
]
