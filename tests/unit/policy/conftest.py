"""What the tests of permissions are given."""

import pytest

from tests.unit.policy.family import Family


@pytest.fixture
def family() -> Family:
    return Family()
