"""What a lock pins."""

from __future__ import annotations

from pathlib import Path

import pytest

from clove.deploy.bundle.lock import Pin, read_pins
from clove.deploy.bundle.maker import bundle_pins
from clove.errors import Internal

ROOT = Path(__file__).parents[4]
HASH = "sha256:" + "a" * 64


def test_a_pin_has_its_marker_and_all_its_hashes_and_comments_are_left_out() -> None:
    text = f"# made\none-b==1.2 ; python_full_version < '3.13' \\\n    --hash={HASH} \\\n"
    text += f"    --hash={HASH}\n    # via two\ntwo==3 \\\n    --hash={HASH}\n"
    one, two = read_pins(text)
    assert one == Pin("one-b", "1.2", "python_full_version < '3.13'", (HASH, HASH))
    assert two == Pin("two", "3", "", (HASH,))
    assert one.requirement() == f"one-b==1.2 \\\n    --hash={HASH} \\\n    --hash={HASH}\n"
    assert read_pins(two.requirement()) == [two]


@pytest.mark.parametrize("line", ["one>=1", "-e .", "one==1", f"    --hash={HASH}"])
def test_a_line_that_is_not_understood_is_an_error(line: str) -> None:
    with pytest.raises(Internal, match="line 2"):
        read_pins(f"# made\n{line}\n")


def test_what_a_bundle_brings_is_the_lock_of_the_tree() -> None:
    pins = bundle_pins()
    assert pins == read_pins((ROOT / "requirements-bundle.lock").read_text())
    assert {"pip", "psycopg-binary", "twisted"} <= {pin.name for pin in pins}
    assert all(pin.hashes for pin in pins)
