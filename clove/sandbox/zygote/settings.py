"""The `[zygote]` part of the configuration."""

from __future__ import annotations

from typing import Annotated

import msgspec

__all__ = ["ZygoteSettings"]


class ZygoteSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Warm start (`docs/zygote.md`)."""

    enabled: bool = True
    """False: every agent starts cold."""
    preload: list[str] = []
    """Modules that a warm agent finds loaded. They are imported in a sandbox without
    network, and must start no threads and hold no files."""
    prefork: Annotated[int, msgspec.Meta(ge=0, le=64)] = 1
    """Children in the prefork pool: forked ahead, they wait for what they are to run. 0: each is
    forked when a SPAWN asks for it."""
    renew_after: Annotated[int, msgspec.Meta(ge=1)] = 1000
    """Agents forked from one zygote; then a new one, with a hash seed and address
    layout of its own, takes its place."""
    first_wait: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    """Seconds from the start of a zygote, if none serves, until which a SPAWN waits for it; it is ready after a fifth
    of the default, and to start cold beside it takes longer than to wait."""
    start_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 30.0
    """Seconds until a zygote must be ready; else it is ended, and another one started later."""
