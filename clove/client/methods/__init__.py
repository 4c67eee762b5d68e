"""Everything that can be asked of the kernel, each once, as a pure function.

A function here takes a caller's arguments and gives a `Call`, a value: its signature and its
docstring are written here and nowhere else. `table.Methods` lists the functions, also once; each
client inherits that list. Standard library only.

Where a method takes an agent it is its name or its id; `name` and `agent_id`
by keyword say which. Replies are the JSON objects of `docs/wire.md`.
"""

__all__: list[str] = []
