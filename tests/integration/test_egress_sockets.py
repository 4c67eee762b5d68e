"""The sockets of a namespace without a way out, with NAT and on a Linux without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import clove

INSIDE = """
import errno, json, os, socket, sys
sys.path.insert(0, sys.argv[1])
from clove.kernel.network.gateway.listening import original_destination
from clove.sandbox.inside import namespaces, egress_sockets, nat_redirect

if os.geteuid():
    uid, gid = os.getuid(), os.getgid()
    namespaces.enter({"user"})
    namespaces.write_id_map("self", uid, gid)
namespaces.enter({"net"})
namespaces.raise_loopback()

def lacking(address, port):
    raise OSError(errno.EOPNOTSUPP, "no nf_tables")

if sys.argv[2] == "without":
    nat_redirect.redirect_tcp = lacking
made = [socket.socket(fileno=each.detach()) for each in egress_sockets.make_egress_sockets((53, 80, 443, 8443))]
found = {"sockets": len(made), "reached": [], "refused": []}
for address, port in (("192.0.2.1", 80), ("198.18.0.1", 8443), ("192.0.2.1", 25)):
    client = socket.socket()
    try:
        client.connect((address, port))
    except OSError as error:
        found["refused"].append([port, errno.errorcode[error.errno]])
        continue
    for listening in made[2:]:
        listening.setblocking(False)
        try:
            taken, _ = listening.accept()
        except BlockingIOError:
            continue
        found["reached"].append(original_destination(taken))
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("nat", "sockets", "reached", "refused"),
    [
        ("with", 3, [["192.0.2.1", 80], ["198.18.0.1", 8443], ["192.0.2.1", 25]], []),
        ("without", 5, [["192.0.2.1", 80], ["198.18.0.1", 8443]], [[25, "ECONNREFUSED"]]),
    ],
)
def test_where_each_connection_wanted_to_go_is_known(
    nat: str, sockets: int, reached: list[object], refused: list[object]
) -> None:
    library = str(Path(clove.__file__).parent.parent)
    ran = subprocess.run(
        [sys.executable, "-c", INSIDE, library, nat], capture_output=True, text=True, check=False
    )
    assert ran.stdout, ran.stderr
    found = json.loads(ran.stdout)
    if nat == "with" and found["sockets"] == 5:
        pytest.skip("no nf_tables in this Linux")
    assert found == {"sockets": sockets, "reached": reached, "refused": refused}
