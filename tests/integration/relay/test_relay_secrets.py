"""No token is in a log, a metric, a list, an error, or what other users see of the process."""

from __future__ import annotations

import http.client
from pathlib import Path

from tests.integration.relay.relay_process import RelayProcess, relay_process


def text(relay: RelayProcess, path: str, token: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    found = connection.getresponse().read().decode()
    connection.close()
    return found


def test_tokens_stand_in_the_one_answer_that_makes_them(tmp_path: Path) -> None:
    with relay_process(tmp_path) as relay:
        made = [relay.ask("POST", "/api/v1/tokens/admin", {"name": "x"})[1]["token"]]
        made.append(relay.ask("POST", "/api/v1/machines", {"machine_id": "m1"})[1]["token"])
        tokens = [relay.admin, *made]
        for token in tokens:
            relay.ask("GET", "/api/v1/machines", token=token)
            relay.ask("GET", "/api/v1/machines", token=token[:-3] + "zzz")
            relay.ask("DELETE", f"/api/v1/tokens/{token}")  # by mistake instead of its id
            relay.ask("GET", f"/api/v1/machines/{token}?token={token}")
        seen = [
            text(relay, path, relay.admin)
            for path in ("/metrics", "/api/v1/tokens", "/api/v1/machines", "/api/v1/status")
        ]
        assert relay.process is not None
        for name in ("cmdline", "environ"):
            seen.append(Path(f"/proc/{relay.process.pid}/{name}").read_text())
        relay.stop()
        seen.append(relay.log)
        assert relay.log.count("clove_") >= 6  # redacted
        for path in (tmp_path / "state").iterdir():
            seen.append(path.read_bytes().decode("latin-1"))
        for token in tokens:
            secret = token.split("_")[2]
            assert not [each for each in seen if secret in each or secret[:12] in each]
