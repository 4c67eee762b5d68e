"""What is copied in the foreground is waited for again after Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import CodeType, FrameType
from typing import Any

import pytest

from clove.cli.foreground import Foreground
from tests.waiting import until


def _is_in(code: CodeType) -> bool:
    """Whether the main thread is in a function, or in one that it calls."""
    main = threading.main_thread().ident
    assert main is not None
    frame: FrameType | None = sys._current_frames()[main]
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame is not None


def test_output_is_waited_for_although_the_wait_was_interrupted() -> None:
    no: Any = None
    foreground = Foreground(no, no, 1, restarts=False, into={"stdout": no})
    goes_on, copied = threading.Event(), threading.Event()

    def copy() -> None:
        goes_on.wait(60)
        copied.set()

    foreground._start(copy)

    def interrupt() -> None:
        until(lambda: _is_in(foreground._join.__code__), "it waits")
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        foreground._join()
    interrupting.join()
    threading.Thread(target=goes_on.set).start()
    foreground._join()
    assert copied.is_set()
