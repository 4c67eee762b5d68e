"""A kernel that serves with the compiled part."""

from __future__ import annotations

import os

import pytest

from clove import CloveClient
from tests.compiled.serving import fast
from tests.integration.conftest import running_kernel


@pytest.mark.skipif("CLOVE_COMPILED" not in os.environ, reason="make test-fast")
def test_the_kernels_metrics_say_that_it_is_used() -> None:
    assert fast.__version__
    with running_kernel() as kernel, CloveClient(kernel.socket) as client:
        assert client.get_system_metrics()["metrics"]["compiled"] is True
