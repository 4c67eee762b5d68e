"""Two relays on one PostgreSQL, with links to each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.integration.fleet.fleet_processes import CONFIG, Fleet
from tests.postgresql import PostgreSQL

__all__ = ["Relays", "shared_config", "two_relays"]

Relays = tuple[Fleet, Fleet]

LINK = """
[link]
port = 0
url = "ws://127.0.0.1"
"""


def shared_config(server: PostgreSQL, more: str = "", link: str = LINK) -> str:
    """The configuration of relays of a new database."""
    return f'{CONFIG}{more}{link}\n[store]\npostgresql = "{server.new_database()}"\n'


@contextlib.contextmanager
def two_relays(
    server: PostgreSQL, more: str = "", link: str = LINK, ca_file: str = ""
) -> Iterator[Relays]:
    """Both run.

    @param ca_file: signs the certificate that they have in common; "": they have none.
    """
    config = shared_config(server, more, link)
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(2):
            fleet = Fleet(config, ca_file)
            stack.callback(fleet.stop)
            fleet.start()
            made.append(fleet)
        made[1].admin = made[0].admin  # the second has found it in the database
        yield made[0], made[1]
