"""The state store: keys with values, scopes, versions and expiry."""

from clove.kernel.state.interface import Found, IStateStore
from clove.kernel.state.limits import StateLimits
from clove.kernel.state.store import StateStore

__all__ = ["Found", "IStateStore", "StateLimits", "StateStore"]
