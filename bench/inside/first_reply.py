"""A measured agent: makes one NOOP and tells the bench when its reply had come.

Arguments: the socket, a number to report, `stay` (until it is ended) or `go`.
"""

from __future__ import annotations

import sys
import time

from clove.client.blocking import CloveClient

client = CloveClient(sys.argv[1])
client.noop()
report = {"number": int(sys.argv[2]), "at": time.time_ns()}
client.send_message(report, to_name="bench")
if sys.argv[3] == "stay":
    client.recv_messages(wait=3600)
