"""Which signals SIGNAL sends."""

from __future__ import annotations

import pytest

from clove.errors import InvalidRequest
from clove.signals import signal_number


@pytest.mark.parametrize("name", ["STOP", "SIGTSTP", "ttin", "SIGTTOU", "22"])
def test_what_stops_a_program_is_for_pause(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        signal_number(name)
    assert "PAUSE" in str(refused.value.hint)


@pytest.mark.parametrize("name", ["usr1", "SIGUSR1", 10, "10"])
def test_others_are_known_by_name_and_number(name: str | int) -> None:
    assert signal_number(name) == 10
