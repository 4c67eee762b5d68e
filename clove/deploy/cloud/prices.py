"""What machines cost, as far as that is known: list prices for a plan, not a bill. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["PRICES", "Prices", "costs"]

HOURS: Final = 730
"""Of a month, as clouds count."""


class Prices(NamedTuple):
    """Prices of one cloud, in US dollars, on demand, without taxes.

    @ivar where: the region that they are for; others differ by some 30 percent.
    @ivar date: when they were written down.
    @ivar hourly: of instance types.
    @ivar gib: of a GiB of disk for a month.
    @ivar address: of a public IPv4 address for an hour.
    """

    where: str
    date: str
    hourly: dict[str, float]
    gib: float
    address: float


PRICES: Final = {
    "aws": Prices(
        where="us-east-1",
        date="2025-01",
        hourly={
            "t3.small": 0.0208,
            "t3.medium": 0.0416,
            "t3.large": 0.0832,
            "t4g.small": 0.0168,
            "t4g.medium": 0.0336,
            "t4g.large": 0.0672,
            "m7i.large": 0.1008,
            "m7g.large": 0.0816,
            "c7i.large": 0.08925,
            "c7g.large": 0.0725,
        },
        gib=0.08,
        address=0.005,
    ),
    "gcp": Prices(
        where="us-central1",
        date="2025-01",
        hourly={
            "e2-small": 0.01675,
            "e2-medium": 0.03351,
            "e2-standard-2": 0.06701,
            "n2-standard-2": 0.09712,
            "c3-standard-4": 0.20161,
        },
        gib=0.1,
        address=0.005,
    ),
}


def costs(cloud: str, kind: str, count: int, gib: int, *, spot: bool) -> str:
    """What machines cost in a month, in words.

    @param kind: the instance type.
    @param gib: of each machine's disk.
    """
    prices = PRICES[cloud]
    fixed = prices.gib * gib + prices.address * HOURS
    hourly = prices.hourly.get(kind)
    source = f"list prices of {prices.where}, {prices.date}"
    if hourly is None:
        return f"USD {fixed * count:.0f} a month and what {kind} costs, which is not known here"
    month = count * (hourly * HOURS + fixed)
    most = "at most " if spot else ""
    return f"{most}USD {month:.0f} a month ({source})"
