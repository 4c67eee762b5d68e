"""Commands about this host: they offer no machine of a relay, and refuse one."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from clove.cli.main import main

KERNEL = (
    "up", "down", "tunnel join ws://127.0.0.1:1 m", "tunnel status", "tunnel callers", "tunnel leave",
)  # fmt: skip
HOST = (
    "completion bash", "workspace list", "workspace path x", "workspace rm x", "cache list", "cache prune",
    "profile list", "profile show coding", "profile check coding",
)  # fmt: skip
OTHER = ("doctor", "relay up", "relay status", "relay down", "relay backup x")


@pytest.mark.parametrize("call", [*KERNEL, *HOST, *OTHER])
def test_their_help_offers_no_context(call: str) -> None:
    shown = CliRunner().invoke(main, [*call.split(), "--help"])
    assert shown.exit_code == 0
    assert "--context" not in shown.output
    assert ("--socket" in shown.output) == (call in KERNEL)


@pytest.mark.parametrize("call", [*KERNEL, *HOST, *OTHER])
def test_they_refuse_one_that_stands_before_them(call: str) -> None:
    refused = CliRunner().invoke(main, ["--context", "prod/m1", *call.split()])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "leave --context out" in refused.stderr


@pytest.mark.parametrize("call", [*KERNEL, *HOST])
def test_they_refuse_one_that_stands_behind_them(call: str) -> None:
    refused = CliRunner().invoke(main, [*call.split(), "--context", "prod/m1"])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "leave --context out" in refused.stderr
