"""The TOML files of kernel, relay and tunnel: what is not understood is refused with the near name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clove.errors import InvalidRequest
from clove.kernel.config import load as load_kernel
from clove.relay.config import load as load_relay
from clove.tunnel.config import load as load_tunnel

NEEDED = 'relay_url = "wss://a"\nkernel_socket = "/s"\n'
Load = Callable[[str], Any]


@pytest.mark.parametrize(
    ("load", "text", "near"),
    [
        (load_kernel, "stat_dir = 'x'", "state_dir"),
        (load_kernel, "[limits.agents]\nmemry = 1", "memory"),
        (load_kernel, "[tunnel]\nrelay_ur = 'x'", "relay_url"),
        (load_relay, "stat_dir = 'x'", "state_dir"),
        (load_relay, "[hub]\nlissten = 'x'", "listen"),
        (load_relay, "[limits.lockout]\nfailure = 1", "failures"),
        (load_tunnel, f"{NEEDED}machine = 'x'", "machine_id"),
        (load_tunnel, f"{NEEDED}proxy_credential_file = 'x'", "proxy_credentials_file"),
    ],
)
def test_an_unknown_key_is_refused_with_the_near_one(
    tmp_path: Path, load: Load, text: str, near: str
) -> None:
    file = tmp_path / "clove.toml"
    file.write_text(text)
    with pytest.raises(InvalidRequest, match="unknown field") as refused:
        load(str(file))
    assert str(file) in refused.value.message
    assert refused.value.hint.startswith(f"did you mean {near}? docs/")


@pytest.mark.parametrize("load", [load_kernel, load_relay, load_tunnel])
def test_a_key_that_is_like_none_is_refused_with_the_page_that_lists_them(
    tmp_path: Path, load: Load
) -> None:
    file = tmp_path / "clove.toml"
    file.write_text(f"{NEEDED if load is load_tunnel else ''}qqq = 1")
    with pytest.raises(InvalidRequest, match="qqq") as refused:
        load(str(file))
    assert refused.value.hint.startswith("docs/")


def test_a_wrong_word_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    file = tmp_path / "clove.toml"
    file.write_text("compiled = 'never'")
    with pytest.raises(InvalidRequest) as refused:
        load_kernel(str(file))
    assert refused.value.hint.startswith("known are auto, off, required; docs/")


@pytest.mark.parametrize("load", [load_kernel, load_relay, load_tunnel])
def test_a_file_that_is_no_toml_is_refused_with_its_line(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "clove.toml"
    file.write_text("a b")
    with pytest.raises(InvalidRequest, match=r"is not TOML: .*line 1") as refused:
        load(str(file))
    assert refused.value.hint.startswith("docs/")
