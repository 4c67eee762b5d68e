"""What the operating system refuses becomes a clear error."""

import errno

import pytest

from clove.errors import (
    AlreadyExists,
    CloveError,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from clove.sandbox.faults import fault
from clove.sandbox.openat2 import BadPath, MagicLink, ProcessEntry


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOENT, NotFound),
        (errno.EACCES, PermissionDenied),
        (errno.EROFS, PermissionDenied),
        (errno.EEXIST, AlreadyExists),
        (errno.ENOSPC, LimitExceeded),
        (errno.EDQUOT, LimitExceeded),
        (errno.EFBIG, LimitExceeded),
        (errno.EMFILE, Unavailable),
        (errno.EIO, Unavailable),
        (errno.ENOTDIR, InvalidRequest),
        (errno.ELOOP, InvalidRequest),
        (errno.ETXTBSY, InvalidRequest),
    ],
)
def test_numbers(code: int, kind: type[CloveError]) -> None:
    error = fault(OSError(code, "secret text", "/secret/real/path"), "/asked")
    assert type(error) is kind
    assert "/asked" in error.message
    assert "secret" not in error.message


def test_denials_name_their_rule() -> None:
    assert fault(MagicLink(errno.ELOOP, "x"), "/p").rule == "magic-link"
    assert fault(ProcessEntry(errno.EACCES, "x"), "/p").rule == "proc"
    assert fault(PermissionError(errno.EPERM, "x"), "/p").rule == "os"
    assert isinstance(fault(BadPath("empty"), ""), InvalidRequest)
