"""The relay: where kernels behind NAT and those that want to reach them meet (docs/fleet.md).

`tokens` says what a token may do, `store` keeps what must outlive the process, `machines` is the
registry, `rest` serves people; `service` puts them together.
"""

__all__: list[str] = []
