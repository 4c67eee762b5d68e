"""Long computations made in pieces, by one thread at a time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from clove.threads.pieces import in_pieces


def test_each_piece_is_made_in_its_order() -> None:
    assert in_pieces(str, range(5)) == ["0", "1", "2", "3", "4"]
    assert in_pieces(str, [7]) == ["7"]
    assert in_pieces(str, []) == []


def test_threads_compute_one_at_a_time() -> None:
    computing = threading.Lock()
    all_begun = threading.Barrier(4)

    def compute(_: int) -> bool:
        if not computing.acquire(blocking=False):
            return False
        try:
            time.sleep(0.0005)  # others have the interpreter meanwhile
            return True
        finally:
            computing.release()

    def thread(_: int) -> list[bool]:
        all_begun.wait(10)
        return in_pieces(compute, range(20))

    with ThreadPoolExecutor(4) as threads:
        assert all(all(alone) for alone in threads.map(thread, range(4)))


def test_a_piece_that_fails_leaves_the_turn_to_others() -> None:
    with pytest.raises(ZeroDivisionError):
        in_pieces(lambda piece: 1 // piece, [1, 0, 1])
    assert in_pieces(str, [1, 2]) == ["1", "2"]
