"""docs/performance.md says what the stored results say, in its tables and pictures."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import pytest

from bench.axis import Axis, short
from bench.figures import Curve, Line, Point
from bench.page import PAGE, renewed
from bench.pictures import PICTURES, draw, picture_name
from bench.results import STORED, load

FRESH = "make bench-page, and look at what has changed"
ABOUT, TAKEN = load(STORED)
CURVES = [curve for group in TAKEN.values() for curve in group.curves]


def test_the_tables_are_those_of_the_stored_results() -> None:
    page = PAGE.read_text()
    assert renewed(page, ABOUT, TAKEN) == page, FRESH


def test_every_row_with_a_bar_is_told() -> None:
    page = PAGE.read_text()
    rows = [figure for group in TAKEN.values() for figure in group.figures]
    assert [
        figure.name for figure in rows if figure.bar is not None and figure.name not in page
    ] == []


def test_a_table_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no table for 'riches'"):
        renewed("<!-- bench: riches -->\n<!-- end -->", ABOUT, TAKEN)


def test_the_pictures_are_those_of_the_stored_results() -> None:
    shown = set(re.findall(r"pictures/(bench-[\w-]+\.svg)", PAGE.read_text()))
    assert shown == {picture_name(curve) for curve in CURVES}
    assert {path.name for path in PICTURES.glob("bench-*.svg")} == shown
    for curve in CURVES:
        assert (PICTURES / picture_name(curve)).read_text() == draw(curve), FRESH


def test_the_stored_results_were_no_short_run() -> None:
    assert ABOUT["settings"]["smoke"] is False


def test_the_stored_results_name_no_paths() -> None:
    assert not re.search(r"/(home|root|work|tmp|srv)/", STORED.read_text())


def test_a_picture_is_svg_with_a_name_for_each_line() -> None:
    points = [Point.of(1.0, [5.0]), Point.of(1000.0, [7.0, 9.0])]
    lines = [Line("Clove", points), Line("a < b, p99", points)]
    drawn = draw(Curve("some", "Some", "x", "y", lines, log_x=True))
    texts = [one.text for one in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert {"Some", "x", "y", "Clove", "a < b, p99"} <= set(texts)


def test_names_of_lines_that_end_together_are_apart() -> None:
    points = [Point.of(0.0, [5.0]), Point.of(10.0, [0.0])]
    drawn = draw(Curve("some", "Some", "x", "y", [Line(f"line {at}", points) for at in range(9)]))
    heights = [float(y) for y in re.findall(r'y="([\d.]+)"[^>]*>line \d', drawn)]
    ordered = sorted(heights)
    assert all(b - a > 16.9 for a, b in itertools.pairwise(ordered))


def test_an_axis_has_round_values() -> None:
    assert Axis.over([87.0], 0, 100, False).ticks() == [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    assert Axis.over([3.0, 800.0], 0, 100, True).ticks() == [3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]
    assert [short(one) for one in (0.5, 950.0, 20_000.0, 1.5e6)] == ["0.5", "950", "20 k", "1.5 M"]


def test_a_logarithmic_axis_has_equal_factors_at_equal_distances() -> None:
    axis = Axis(1.0, 100.0, 0.0, 200.0, True)
    assert [axis.place(value) for value in (1.0, 10.0, 100.0)] == [0.0, 100.0, 200.0]
