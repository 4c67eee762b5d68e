"""~/.clove/config.yaml, and which relay, token and machine a command means by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from clove.cli.fleet.config_file import MOST, read_config
from clove.cli.fleet.context import chosen_context, read_contexts
from clove.errors import CloveError, InvalidRequest, NotFound, PermissionDenied, Unavailable

PROD = "https://relay.example.org:8766"
TEXT = f"""\
current: prod
contexts:
  prod:
    relay: {PROD}
    token: clove_admin_x  # a comment
    ca_file: ~/authority.pem
  m1:
    relay: https://other.example.org
    hub: wss://hub.example.org:1
    token_command: printf from-command
    machine: m1
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home without anything of the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in ("CONTEXT", "RELAY", "RELAY_TOKEN", "RELAY_CA_FILE", "MACHINE"):
        monkeypatch.delenv(f"CLOVE_{name}", raising=False)
    return tmp_path


def write(home: Path, text: str = TEXT, mode: int = 0o600) -> Path:
    path = home / ".clove" / "config.yaml"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_without_a_file_it_is_the_relay_here_and_the_users_own_secret(home: Path) -> None:
    context = chosen_context()
    assert (context.name, context.relay) == ("", "http://127.0.0.1:8766")
    assert (context.hub, context.machine, context.ca_file) == ("ws://127.0.0.1:8765", None, None)
    with pytest.raises(NotFound, match="no token for the relay"):
        context.token()
    secret = home / "xdg" / "clove" / "secrets" / "relay-token"
    secret.parent.mkdir(parents=True)
    secret.write_text("own\n")
    secret.chmod(0o600)
    assert context.token() == "own"
    assert read_contexts().contexts == {}


def test_the_current_context_counts_if_none_is_named(home: Path) -> None:
    write(home)
    context = chosen_context()
    assert (context.name, context.relay, context.token()) == ("prod", PROD, "clove_admin_x")
    assert context.hub == "wss://relay.example.org:8765"
    assert context.ca_file == str(home / "authority.pem")


def test_a_context_is_named_with_or_without_a_machine(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home)
    other = chosen_context("m1")
    assert (other.machine, other.token(), other.hub) == (
        "m1",
        "from-command",
        "wss://hub.example.org:1",
    )
    assert chosen_context("m1/m2").machine == "m2"
    assert chosen_context("/m3").name == "prod"
    assert chosen_context("/m3").machine == "m3"
    monkeypatch.setenv("CLOVE_CONTEXT", "m1/m4")
    assert (chosen_context().name, chosen_context().machine) == ("m1", "m4")
    assert chosen_context("prod").machine is None


def test_the_environment_overrides_what_was_not_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home)
    monkeypatch.setenv("CLOVE_RELAY_TOKEN", "of-environment\n")
    monkeypatch.setenv("CLOVE_RELAY_CA_FILE", "/ca.pem")
    monkeypatch.setenv("CLOVE_MACHINE", "m9")
    context = chosen_context()
    assert (context.name, context.token(), context.ca_file, context.machine) == (
        "prod",
        "of-environment",
        "/ca.pem",
        "m9",
    )
    named = chosen_context("m1")
    assert (named.token(), named.ca_file, named.machine) == ("from-command", None, "m1")


def test_a_contexts_token_goes_to_no_other_relay(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home)
    same = chosen_context(relay=f"{PROD}/")
    assert (same.name, same.token()) == ("prod", "clove_admin_x")
    for other in (chosen_context(relay="https://evil.example"), None):
        if other is None:
            monkeypatch.setenv("CLOVE_RELAY", "https://evil.example")
            other = chosen_context()
        assert (other.name, other.relay, other.ca_file) == ("", "https://evil.example", None)
        with pytest.raises(NotFound):
            other.token()
    assert chosen_context("prod").relay == PROD


def test_an_unknown_context_is_refused_with_the_near_one(home: Path) -> None:
    with pytest.raises(NotFound) as caught:
        chosen_context("prd")
    assert "clove login" in caught.value.hint
    write(home)
    with pytest.raises(NotFound) as caught:
        chosen_context("prd")
    assert caught.value.hint == "did you mean prod?"


def test_a_file_that_others_may_use_is_refused_with_what_helps(home: Path) -> None:
    for mode in (0o640, 0o604, 0o620):
        path = write(home, mode=mode)
        with pytest.raises(PermissionDenied) as caught:
            read_config()
        assert (caught.value.rule, caught.value.hint) == ("config-mode", f"chmod 600 {path}")


def test_a_file_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(home)
    owner = path.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    with pytest.raises(PermissionDenied, match="another user") as caught:
        read_config()
    assert caught.value.rule == "config-owner"


def test_what_is_no_file_is_refused(home: Path) -> None:
    path = write(home)
    path.unlink()
    path.mkdir()
    with pytest.raises((Unavailable, InvalidRequest)):
        read_config()


ONE = f"contexts:\n  a:\n    relay: {PROD}\n"


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("contexs: {}", "no key 'contexs'", "did you mean contexts?"),
        (
            f"{ONE}    token-file: x",
            "contexts.a has no key 'token-file'",
            "did you mean token_file",
        ),
        (f"{ONE}    token: x\n    token_file: y", "has token and token_file", "keep one of them"),
        ("contexts:\n  a:\n    token: x", "contexts.a has no relay", "add `relay:"),
        (f"current: b\n{ONE}", "current: no context 'b'", "known are a"),
        ("contexts:\n  a/b:\n    relay: x", "is no name of a context", ""),
        (f"{ONE}    machine: 17", "contexts.a.machine is a text", ""),
        ("contexts:\n  7:\n    relay: x", "'7' is a text", ""),
        ("contexts:\n  a:\n    relay: ftp://x", "relay begins with https:// or http://", ""),
        ("contexts:\n  a:\n    relay: https://u:secret@x", "a user or a password", ""),
        (f"{ONE}    hub: https://x", "hub begins with wss:// or ws://", ""),
        ("[1]", "the file has keys with values", ""),
        ("contexts: [a]", "contexts has keys with values", ""),
        ("current: [a\n", "line 2: ", ""),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor", ""),
        ("[" * 20000, "", ""),
        (f"{ONE}    token: !!bool x", "it is no YAML", ""),
        (f"{ONE}    token: !!int ''", "it is no YAML", ""),
        (f"{ONE}    token: !!timestamp x", "it is no YAML", ""),
        (f"{ONE}    token: x\n    token: y", "line 5: 'token' is there twice", "keep one of them"),
        (f"{ONE}  a:\n    relay: https://y", "line 4: 'a' is there twice", "keep one of them"),
        ("{[a]: b}", "found unhashable key", ""),
        ("x" * (MOST + 1), f"more than {MOST} bytes", ""),
    ],
)
def test_a_wrong_file_is_refused_with_where_and_what_was_meant(
    home: Path, text: str, what: str, hint: str
) -> None:
    write(home, text)
    with pytest.raises(CloveError) as caught:
        read_config()
    assert what in caught.value.message
    assert hint in caught.value.hint


def test_no_error_shows_a_token(home: Path) -> None:
    for text in (
        f"{ONE}    token: {{clove_admin_hidden\n",
        f"{ONE}    token: clove_admin_hidden: x\n",
        f'{ONE}    token: "clove_admin_hidden\\n"\n',
        f"{ONE}    token: [clove_admin_hidden]\n",
    ):
        write(home, text)
        with pytest.raises(CloveError) as caught:
            read_config()
        assert "hidden" not in f"{caught.value.message} {caught.value.hint}"


def test_a_machines_name_in_place_of_a_context_is_told_how_it_is_named(home: Path) -> None:
    write(home)
    with pytest.raises(NotFound, match="no context 'build-7'") as caught:
        chosen_context("build-7")
    assert caught.value.hint == "known are prod, m1; a machine of prod is --context /build-7"
    with pytest.raises(NotFound) as caught:
        chosen_context("prd")
    assert caught.value.hint == "did you mean prod?"
