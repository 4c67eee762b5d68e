"""The relay's page in a real browser, before a relay with a kernel."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.client.fleet import FleetClient
from clove.errors import PermissionDenied
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.relay.browser import CHROMIUM, Page, browser
from tests.waiting import until

MARKUP = "<img src=x onerror=alert(1)>"
TALKS = """
import time
print('first', flush=True)
for number in range(1000):
    time.sleep(0.1)
    print('line', number, flush=True)
"""
HOSTILE = f"""
import sys, time
print({MARKUP!r}, '</li><script>alert(2)</script>', flush=True)
print('\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07and \\u202eturned', file=sys.stderr, flush=True)
print('end', flush=True)
time.sleep(1000)
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian's package chromium)")


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with tempfile.TemporaryDirectory(prefix="cb") as directory, browser(Path(directory)) as page:
        yield page


@pytest.fixture
def page(fleet: Fleet, tab: Page) -> Iterator[Page]:
    """The page, where one logs in. No test may make it break its policy, or fail in the console."""
    tab.show_as()
    show(tab, fleet, "")
    tab.evaluate("sessionStorage.clear()")
    for noted in (tab.console, tab.urls, tab.dialogs):
        noted.clear()
    tab.send("Page.reload")
    tab.until("document.activeElement?.id === 'token'")
    yield tab
    assert tab.dialogs == []
    assert [line for line in tab.console if "Failed to load resource" not in line] == []
    assert not [url for url in tab.urls if not url.startswith("http://127.0.0.1:")]
    assert not [url for url in tab.urls if "clove_" in url]


def show(page: Page, fleet: Fleet, view: str) -> None:
    page.open(f"http://127.0.0.1:{fleet.rest_port}/{view}")
    page.until("document.querySelector('main')")


def log_in(page: Page, token: str) -> None:
    page.type(token)
    page.press("Enter")
    page.until_text("Log out")


def log_link(agent: int) -> str:
    return f"#/machines/one/agents/{agent}"


def test_machines_agents_and_live_output_are_reached_by_keyboard_alone(
    page: Page, fleet: Fleet, admin: FleetClient
) -> None:
    made = admin.deploy("one", "work.py", TALKS, name="talker")
    log_in(page, fleet.admin)
    page.until_text("1 of 1 machine connected")
    page.press("/")
    page.type("nothing like it")
    page.until_text("None of these matches")
    page.evaluate("document.querySelector('input').select()")
    page.type("connected")
    page.until_text("one")
    page.press("Enter")
    page.until_text("talker")
    assert page.evaluate("document.title") == "one · Clove"
    page.until_text("namespace.pid")
    page.tab_to("it.innerText === 'talker'")
    page.press("Enter")
    page.until_text("line 3")
    page.until_text("live")
    page.tab_to("it.getAttribute('role') === 'log'")
    show(page, fleet, "#/machines/one")
    page.until_text("talker")
    page.tab_to("it.getAttribute('aria-label') === 'Stop talker'")
    page.press("Enter")
    page.until_text("Stop this agent?")
    page.press("Escape")
    page.until("!document.querySelector('dialog')")
    page.until("document.activeElement.getAttribute('aria-label') === 'Stop talker'")
    page.press("Enter")
    page.until_text("Stop this agent?")
    page.tab_to("it.closest('dialog') && it.innerText === 'Stop'")
    page.press("Enter")
    page.until("!document.querySelector('dialog')")
    until(
        lambda: made["agent_id"] not in [each["id"] for each in admin.machine_agents("one")],
        "it is stopped",
    )


def test_a_list_of_more_than_a_page_is_read_to_its_end(
    page: Page, fleet: Fleet, admin: FleetClient
) -> None:
    made = [admin.deploy("one", "work.py", TALKS)["agent_id"] for _ in range(3)]
    log_in(page, fleet.admin)
    found = page.evaluate(
        "import('/page/api.js').then(({askAll}) => askAll('machines/one/agents?limit=1', 'agents'))"
    )
    assert set(made) <= {each["id"] for each in found}
    for agent in made:
        admin.stop_agent("one", agent)


def test_a_wrong_token_is_refused_with_what_to_do(page: Page, fleet: Fleet) -> None:
    page.type("hunter2")
    page.press("Enter")
    page.until_text("That is no token")
    assert not [url for url in page.urls if "/api/" in url], "it was sent"
    page.evaluate("document.querySelector('#token').select()")
    page.type(f"{fleet.admin[:-1]}{'0' if fleet.admin[-1] != '0' else '1'}")
    page.press("Enter")
    page.until_text("the token is mistyped")
    page.until_text("copy all of it again")
    assert page.evaluate("sessionStorage.length") == 0


def test_what_others_name_and_print_is_text(page: Page, fleet: Fleet, admin: FleetClient) -> None:
    admin.change_machine("one", name=MARKUP, labels={"for": MARKUP})
    made = admin.deploy("one", "work.py", HOSTILE, name="hostile", labels={"for": MARKUP})
    log_in(page, fleet.admin)
    for view in ("", "#/machines/one", log_link(made["agent_id"])):
        show(page, fleet, view)
        page.until_text(MARKUP)
        assert page.evaluate("document.querySelectorAll('img[src=x], main script').length") == 0
    page.until_text("end")
    assert "</li><script>alert(2)</script>" in page.text
    assert "red and ⟨202e⟩turned" in page.text
    said = page.evaluate("document.querySelector('.err .said').textContent")
    assert said == "stderr: red and ⟨202e⟩turned"
    show(page, fleet, f"#/machines/{MARKUP.replace(' ', '%20')}")
    page.until_text("there is no such machine")
    admin.stop_agent("one", made["agent_id"])
    admin.change_machine("one", name="", labels={})


def test_output_goes_on_where_it_was_when_the_relay_comes_back(page: Page) -> None:
    with running_fleet() as fleet:
        fleet.join("one")
        made = fleet.api().deploy("one", "work.py", TALKS)
        show(page, fleet, "")
        page.until("document.activeElement?.id === 'token'")
        log_in(page, fleet.admin)
        show(page, fleet, log_link(made["agent_id"]))
        page.until_text("line 3")
        fleet.end()
        page.until_text("connecting again")
        page.until_text("the relay cannot be reached")
        fleet.restart()
        page.until_text("live")
        count = "document.querySelectorAll('.said').length"
        seen = page.evaluate(count)
        page.until(f"{count} > {seen} + 5")
        said = page.evaluate("[...document.querySelectorAll('.said')].map(each => each.innerText)")
        assert said == ["first", *(f"line {number}" for number in range(len(said) - 1))]
        assert "cannot be reached" not in page.text
        fleet.ask("POST", f"/agents/{made['agent_id']}/stop", {"machine_id": "one"})
        page.until_text("ended")


def test_a_token_is_made_shown_once_and_revoked(page: Page, fleet: Fleet) -> None:
    log_in(page, fleet.admin)
    show(page, fleet, "#/tokens")
    page.until_text("New token")
    page.tab_to("it.innerText === 'New token'")
    page.press("Enter")
    page.until("document.activeElement.name === 'kind'")
    page.tab_to("it.name === 'machine'")
    page.type("build-8")
    page.press("Enter")
    page.until_text("It is shown this once")
    assert "clove_join_" in page.text
    assert "clove tunnel join ws://127.0.0.1:8765 build-8" in page.text
    page.send("Page.reload")
    page.until_text("build-8")
    assert "clove_join_" not in page.evaluate("document.documentElement.outerHTML")
    [made] = [
        each for each in fleet.ask("GET", "/tokens")["tokens"] if each["machine_id"] == "build-8"
    ]
    page.tab_to(f"it.getAttribute('aria-label') === 'Revoke join token {made['id']}'")
    page.press("Enter")
    page.until_text("Revoke this token?")
    page.tab_to("it.closest('dialog') && it.innerText === 'Revoke'")
    page.press("Enter")
    page.until(f"!document.body.innerText.includes({json.dumps(made['id'])})")
    [made] = [each for each in fleet.ask("GET", "/tokens")["tokens"] if each["id"] == made["id"]]
    assert made["revoked_at"]


def test_a_token_that_is_revoked_logs_the_page_out(page: Page, fleet: Fleet) -> None:
    made = fleet.ask("POST", "/tokens/admin", {"name": "second"})
    log_in(page, made["token"])
    page.until_text("machine connected")
    fleet.ask("DELETE", f"/tokens/{made['id']}")
    page.until("document.querySelector('#token')")
    assert "not valid" in page.text
    assert page.evaluate("sessionStorage.length") == 0


def test_an_agents_token_reaches_its_own(page: Page, fleet: Fleet, admin: FleetClient) -> None:
    fleet.ask("POST", "/machines", {"machine_id": "other"})
    theirs = admin.deploy("one", "work.py", TALKS)["agent_id"]
    try:
        log_in(page, fleet.agent_token("one"))
        page.until_text("1 of 1 machine connected")
        assert "Tokens" not in page.text
        show(page, fleet, "#/machines/one")
        page.until_text("About")
        assert "Drain" not in page.text
        show(page, fleet, log_link(theirs))
        page.until_text("ended")
        assert "first" not in page.text
        assert page.evaluate("document.querySelector('[role=alert]').innerText")
        show(page, fleet, "#/machines/other")
        page.until_text("there is no such machine")
        show(page, fleet, "#/tokens")
        page.until_text("not with a token of kind agent")
    finally:
        admin.stop_agent("one", theirs)
        fleet.ask("DELETE", "/machines/other")


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_it_fits_400_pixels_and_follows_the_colours_that_the_user_prefers(
    scheme: str, dark: bool, page: Page, fleet: Fleet, admin: FleetClient
) -> None:
    labels = {"a" * 60: "b" * 128, "zone": "eu"}
    admin.change_machine("one", name="n" * 128, labels=labels)
    made = admin.deploy("one", "work.py", "print('x' * 4000)", name="a" * 128)
    page.show_as(width=400, scheme=scheme)
    log_in(page, fleet.admin)
    views = {"": "nnn", "#/machines/one": "aaa", log_link(made["agent_id"]): "xxx"}
    for view, text in {**views, "#/tokens": "made at a start"}.items():
        show(page, fleet, view)
        page.until_text(text)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, view
        colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (int(colour.split("(")[1].split(",")[0]) < 128) == dark
    admin.change_machine("one", name="", labels={})


def test_denials_are_shown_and_chosen_by_kind(page: Page, fleet: Fleet, admin: FleetClient) -> None:
    agent = fleet.api(fleet.agent_token("one"))
    with pytest.raises(PermissionDenied):
        next(agent.tokens())
    log_in(page, fleet.admin)
    show(page, fleet, "#/denials")
    page.until_text("not with a token of kind agent")
    page.until_text("GET /api/v1/tokens")
    page.evaluate(
        "{const s = document.querySelector('select'); s.value = 'site';"
        " s.dispatchEvent(new Event('change'))}"
    )
    page.until_text("Nothing was refused")
