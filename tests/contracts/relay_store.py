"""What every implementation of L{IStore<clove.relay.store.interface.IStore>} must do."""

from __future__ import annotations

from tests.contracts.relay_store_denials import DenialStoreContract
from tests.contracts.relay_store_machines import MachineStoreContract
from tests.contracts.relay_store_repeats import RepeatStoreContract
from tests.contracts.relay_store_tokens import TokenStoreContract

__all__ = ["RelayStoreContract"]


class RelayStoreContract(
    TokenStoreContract, MachineStoreContract, RepeatStoreContract, DenialStoreContract
):
    """For a test class that says how its store is made."""
