"""`clove status`, `clove machines` and `clove tokens`."""

from __future__ import annotations

from pathlib import Path

from tests.integration.relay.commands import Commands
from tests.integration.relay.relay_process import RelayProcess


def test_machines_are_listed_labelled_drained_and_removed(clove: Commands) -> None:
    clove.out("tokens", "create", "--kind", "machine", "--machine", "m1")
    assert "m1" not in [each["machine_id"] for each in clove.json("machines", "list")]
    joined = clove("machines", "join", "m1", "--expires", "10m")
    assert joined.stdout.startswith("clove_join_")
    assert "on m1: clove tunnel join ws://127.0.0.1:" in joined.stderr
    made = [each for each in clove.json("tokens", "list") if each["machine_id"] == "m1"]
    assert sorted(str(each["type"]) for each in made) == ["join", "machine"]
    assert not any(each["last_used"] for each in made)


def test_a_registered_machine_is_changed(clove: Commands, shared_relay: RelayProcess) -> None:
    assert shared_relay.ask("POST", "/api/v1/machines", {"machine_id": "m2"})[0] == 201
    clove.out("machines", "label", "m2", "env=prod", "zone=a")
    clove.out("machines", "label", "m2", "zone=")
    clove.out("machines", "rename", "m2", "front")
    clove.out("machines", "drain", "m2")
    assert "draining" in clove.out("machines", "list", "--label", "env=prod")
    again = clove("machines", "drain", "m2")
    assert "clove machines drain m2 --off" in again.stderr
    assert "m2" not in clove.out("machines", "list", "--label", "env=test")
    [shown] = clove.json("machines", "show", "m2")
    assert (shown["labels"], shown["name"], shown["draining"]) == ({"env": "prod"}, "front", True)
    clove.out("machines", "drain", "m2", "--off")
    assert clove.json("machines", "show", "m2")[0]["draining"] is False
    assert clove.out("machines", "remove", "m2") == "removed m2\n"
    result = clove("machines", "remove", "m2")
    assert (result.exit_code, "no such machine" in result.stderr) == (1, True)
    assert "clove machines list" in result.stderr
    assert "clove tokens list" in clove("tokens", "revoke", "80d249da0c2f77cb").stderr


def test_what_was_refused_is_listed_of_every_kind_or_of_one(clove: Commands) -> None:
    assert clove("status", CLOVE_RELAY_TOKEN="wrong").exit_code == 1
    rows = [line for line in clove.out("machines", "denials").splitlines() if " token " in line]
    assert "127.0.0.1" in rows[-1]
    assert {each["kind"] for each in clove.json("machines", "denials", "--kind", "token")} == {
        "token"
    }
    others = clove.json("machines", "denials", "--kind", "site")
    assert "token" not in {each["kind"] for each in others}


def test_tokens_are_made_once_and_revoked(clove: Commands) -> None:
    made = clove(
        "tokens",
        "create",
        "--kind",
        "agent",
        "--label",
        "env=x",
        "--permissions",
        '{"level": "minimal"}',
    )
    assert made.exit_code == 0
    assert made.stdout.startswith("clove_agent_")
    token_id = made.stderr.split()[2].rstrip(",")
    assert token_id in clove.out("tokens", "list")
    assert clove.out("tokens", "revoke", token_id) == f"revoked {token_id}\n"
    assert token_id not in clove.out("tokens", "list")
    assert "revoked" in clove.out("tokens", "list", "--all")
    assert clove.out("tokens", "create", "--kind", "admin", "--expires", "1h").startswith(
        "clove_admin_"
    )


def test_a_wrong_line_is_said(clove: Commands) -> None:
    assert clove("tokens", "create", "--kind", "agent", "--permissions", "{").exit_code == 2
    assert clove("machines", "list", "--label", "x").exit_code == 2
    assert clove("machines", "label", "m1", "x").exit_code in (1, 2)
    assert clove("tokens", "create", "--kind", "agent").exit_code == 2
    assert "did you mean remove?" in clove("machines", "rm", "m1").stderr
    assert "did you mean revoke?" in clove("tokens", "delete", "x").stderr


def test_the_token_comes_from_a_file_or_is_a_secret_of_ones_own(
    clove: Commands, shared_relay: RelayProcess, tmp_path: Path
) -> None:
    own = {"CLOVE_RELAY_TOKEN": None, "XDG_CONFIG_HOME": str(tmp_path), "PATH": ""}
    missing = clove("status", **own)
    assert (missing.exit_code, "relay-token" in missing.stderr) == (1, True)
    secret = tmp_path / "clove" / "secrets" / "relay-token"
    secret.parent.mkdir(parents=True)
    secret.write_text(shared_relay.admin + "\n")
    secret.chmod(0o600)
    assert clove("status", **own).exit_code == 0
    assert clove("status", "--token-file", str(secret), CLOVE_RELAY_TOKEN="wrong").exit_code == 0
    secret.chmod(0o644)
    assert "chmod 600" in clove("status", **own).stderr
