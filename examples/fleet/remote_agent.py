"""An agent that is not on the machine that it works with: all it has is a token and the relay's address.

python examples/fleet/remote_agent.py ws://127.0.0.1:8765 MACHINE < token
"""

from __future__ import annotations

import sys

from clove.client.remote import RemoteClient

SCRIPT = "print('sum:', sum(range(1_000_000)))"


def main() -> None:
    """Have something computed on the machine."""
    url, machine = sys.argv[1:]
    with RemoteClient(url, machine, token=sys.stdin.read().strip(), name="planner") as kernel:
        kernel.spawn("adder", command=["python3", "-c", SCRIPT])
        for line in kernel.follow_logs("adder"):
            print(f"adder on {machine} says {line['text']!r}")
        kernel.store("result", {"by": "adder"})
        print(f"kept on {machine}: {kernel.fetch('result')['value']}")


if __name__ == "__main__":
    main()
