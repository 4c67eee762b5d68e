"""Bytes between this process and one peer, whatever carries them."""
