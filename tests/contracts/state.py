"""What every implementation of L{IStateStore} must do: scopes, versions, expiry, and bounds."""

from __future__ import annotations

from tests.contracts.state_bounds import BoundsContract
from tests.contracts.state_scopes import ScopesContract
from tests.contracts.state_versions import VersionsContract

__all__ = ["StateContract"]


class StateContract(ScopesContract, VersionsContract, BoundsContract):
    """For a test class that says how its store is made."""
