"""Backups of what a relay keeps, and their way back."""

from clove.relay.backup.archive import Manifest
from clove.relay.backup.backup import Restored, back_up, restore

__all__ = ["Manifest", "Restored", "back_up", "restore"]
