"""What a plan says of costs."""

from __future__ import annotations

import pytest

from clove.deploy.cloud.prices import PRICES, costs


def test_a_known_type_has_the_price_of_instance_disk_and_address() -> None:
    month = 2 * (0.0416 * 730 + 20 * 0.08 + 0.005 * 730)
    said = costs("aws", "t3.medium", 2, 20, spot=False)
    assert said == f"USD {month:.0f} a month (list prices of us-east-1, 2025-01)"
    assert costs("aws", "t3.medium", 2, 20, spot=True).startswith("at most USD")


def test_an_unknown_type_has_no_made_up_price() -> None:
    assert "what x9.huge costs, which is not known" in costs("aws", "x9.huge", 1, 20, spot=False)


@pytest.mark.parametrize("cloud", PRICES)
def test_prices_say_where_and_when(cloud: str) -> None:
    assert PRICES[cloud].where
    assert PRICES[cloud].date.startswith("20")
