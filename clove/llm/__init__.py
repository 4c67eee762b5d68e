"""The service that talks to models: a process of its own, JSON lines in and out.

`python -m clove.llm.service` runs it; `docs/thinking.md` describes the exchange.
Nothing here is imported by the kernel except `exchange` and `lines`, which are pure.
"""
