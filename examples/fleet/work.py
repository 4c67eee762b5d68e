"""What the fleet's demo runs on machines: says where it is, and what it can see there."""

import os
import socket
import sys

print(f"process {os.getpid()} of user {os.getuid()}, asked for {sys.argv[1:]}")
print(f"network interfaces: {[name for _, name in socket.if_nameindex()]}")
