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
from clove.sandbox.inside.held_path import BadPath, ProcessEntry
from clove.sandbox.inside.openat2 import MagicLink
from clove.sandbox.os_errors import translate


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
    error = translate(OSError(code, "secret text", "/secret/real/path"), "/asked")
    assert type(error) is kind
    assert "/asked" in error.message
    assert "secret" not in error.message


def test_denials_name_their_rule() -> None:
    assert translate(MagicLink(errno.ELOOP, "x"), "/p").rule == "magic-link"
    assert translate(ProcessEntry(errno.EACCES, "x"), "/p").rule == "proc"
    assert translate(PermissionError(errno.EPERM, "x"), "/p").rule == "os"
    assert isinstance(translate(BadPath("empty"), ""), InvalidRequest)
