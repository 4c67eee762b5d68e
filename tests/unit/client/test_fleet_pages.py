"""Lists of a relay, page by page, whatever the relay says."""

from __future__ import annotations

from typing import Any

import pytest

from clove.client.fleet_plan import Asked, Item, Plan, advance, counted_pages, pages
from clove.errors import CloveError


def entries_of(plan: Plan[dict[str, Any]], replies: list[Any]) -> list[Any]:
    """What a caller gets where these come back in turn."""
    found: list[Any] = []
    step = advance(plan)
    while step is not None:
        if isinstance(step, Item):
            found.append(step.value)
            step = advance(plan)
        else:
            assert isinstance(step, Asked)
            step = advance(plan, replies.pop(0))
    return found


def test_a_list_goes_on_until_nothing_follows() -> None:
    replies = [{"machines": [{"a": 1}], "next": "m1"}, {"machines": [{"a": 2}], "next": ""}]
    assert entries_of(pages("/x", "machines"), replies) == [{"a": 1}, {"a": 2}]


LISTS = {"pages": lambda: pages("/x", "entries"), "counted": lambda: counted_pages("/x", {}, 99)}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("page", [{}, {"entries": 7}, {"entries": [7]}, {"entries": None}])
def test_what_is_no_page_is_an_error_of_ours(kind: str, page: dict[str, Any]) -> None:
    with pytest.raises(CloveError, match="no relay's answer"):
        entries_of(LISTS[kind](), [page])


@pytest.mark.parametrize("kind", LISTS)
def test_a_page_that_leads_to_itself_ends_the_list(kind: str) -> None:
    with pytest.raises(CloveError, match="no relay's answer"):
        entries_of(LISTS[kind](), [{"entries": [], "next": 7}] * 3)
