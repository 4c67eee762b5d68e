"""Bounded output of commands."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from clove.kernel.files.output import BoundedOutput


def test_what_fits_is_kept_and_the_rest_counted() -> None:
    output = BoundedOutput(5)
    assert output.feed(b"abc") == "abc"
    assert not output.truncated
    assert output.feed(b"defg") == "de"
    assert output.feed(b"h") == ""
    assert (output.text(), output.total, output.size, output.truncated) == ("abcde", 8, 5, True)


def test_bytes_that_are_no_text_are_replaced() -> None:
    output = BoundedOutput(100)
    assert output.feed(b"a\xffb") == "a\ufffdb"
    assert output.text() == "a\ufffdb"


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6), st.integers(0, 60))
def test_the_pieces_are_the_whole_however_it_is_cut(
    data: bytes, cuts: list[int], most: int
) -> None:
    output = BoundedOutput(most)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    text = "".join(output.feed(data[start:end]) for start, end in itertools.pairwise(edges))
    assert text + output.rest() == output.text() == data[:most].decode("utf-8", "replace")
    assert output.total == len(data)
    assert output.size <= most
