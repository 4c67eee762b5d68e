"""An agent that is connected and does nothing: `idle.py SOCKET`."""

import signal
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
while True:
    signal.pause()
