"""The stages of a request are those of a real dispatcher: each case is answered, and its stages add up."""

from __future__ import annotations

import pytest

from bench.stages import STAGES, measure
from clove.policy import Level


def test_every_case_has_its_stages_and_they_add_up_to_the_whole() -> None:
    records = measure(1, before=0)
    assert [record["case"].split(",")[0] for record in records] == [
        "NOOP",
        "STORE",
        "FETCH",
        "SEND",
        "RECV",
        "RECV of 64",
    ]
    for record in records:
        parts = sum(record[stage] for stage in STAGES if stage != "whole")
        assert parts == pytest.approx(record["whole"])


def test_a_case_that_is_refused_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.stages.LEVEL", Level.MINIMAL)
    with pytest.raises(RuntimeError, match="permission_denied"):
        measure(1, before=0)
