"""What a run of the bench is kept as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.figures import Curve, Figure, Line, Point
from bench.groups import GROUPS
from bench.results import Taken, load, save

FIGURE = Figure.of("NOOP", [0.5, 0.75, 0.625], bar=0.6, at_least=True, details={"CPU us": 3.5})
CURVE = Curve("growth", "Growth", "keys", "us", [Line("Clove", [Point.of(10, [1.0, 3.0, 2.0])])])


def test_a_bar_may_be_the_least() -> None:
    assert FIGURE.holds is True
    assert Figure("NOOP", 0.5, bar=0.6, at_least=True).holds is False


def test_a_figure_of_samples_is_their_median_with_their_extremes() -> None:
    assert (FIGURE.value, FIGURE.low, FIGURE.high, FIGURE.samples) == (0.625, 0.5, 0.75, 3)


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    taken = {
        "requests": Taken("Requests", [FIGURE], [CURVE], 2.5),
        "redis": Taken("Redis", missing="redis is not there"),
    }
    save(path, {"taken": "2026-12-01"}, taken)
    assert load(path) == ({"taken": "2026-12-01"}, taken)


def test_results_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"version": 0, "groups": {}}))
    with pytest.raises(ValueError, match="make bench"):
        load(path)


def test_every_group_is_there() -> None:
    assert all(callable(group.load()) for group in GROUPS.values())
