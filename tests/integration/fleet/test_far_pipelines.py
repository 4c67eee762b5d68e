"""A program on a machine, in a pipeline here."""

from __future__ import annotations

import signal
import subprocess

from clove.client.remote import RemoteClient
from tests.integration.fleet.fleet_processes import Fleet
from tests.integration.fleet.machine_user import started


def test_an_output_that_nothing_reads_here_ends_the_program_there(
    fleet: Fleet, admin: RemoteClient
) -> None:
    admin.spawn("beside", command=["sleep", "1000"])
    words = ["agent", "exec", "--machine", "build-7", "beside"]
    with started(fleet, *words, "yes", stdin=subprocess.DEVNULL) as ran:
        assert ran.stdout is not None
        assert ran.stdout.readline() == "y\n"
        ran.stdout.close()
        assert ran.wait(60) == 128 + signal.SIGPIPE
