"""On the relay's page, in a real browser: a computer is logged in by the code that it shows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.relay.browser import CHROMIUM, Page, browser
from tests.integration.relay.relay_process import RelayProcess

MARKUP = "<img src=x onerror=alert(1)>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian's package chromium)")


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with tempfile.TemporaryDirectory(prefix="cb") as directory, browser(Path(directory)) as page:
        yield page


@pytest.fixture
def page(shared_relay: RelayProcess, tab: Page) -> Iterator[Page]:
    """Where one logs computers in, as an administrator who is not logged in yet."""
    tab.show_as()
    tab.open(f"http://127.0.0.1:{shared_relay.port}/#/login")
    tab.until("document.querySelector('main')")
    tab.evaluate("sessionStorage.clear()")
    for noted in (tab.console, tab.urls, tab.dialogs):
        noted.clear()
    tab.send("Page.reload")
    tab.until("document.activeElement?.id === 'token'")
    tab.type(shared_relay.admin)
    tab.press("Enter")
    tab.until("document.activeElement?.name === 'code'")
    yield tab
    assert tab.dialogs == []
    assert [line for line in tab.console if "Failed to load resource" not in line] == []


def type_code(page: Page, code: str) -> None:
    page.evaluate("document.querySelector('[name=code]').value = ''")
    page.evaluate("document.querySelector('[name=code]').focus()")
    page.type(code)
    page.press("Enter")


@pytest.mark.parametrize("yes", [True, False])
def test_a_code_is_looked_at_and_confirmed_or_refused(
    page: Page, shared_relay: RelayProcess, yes: bool
) -> None:
    begun = shared_relay.ask("POST", "/api/v1/logins", {"name": MARKUP})[1]
    type_code(page, begun["user_code"].lower().replace("-", " "))
    page.until_text(MARKUP)
    page.until_text("127.0.0.1")
    page.press("Enter")  # once more, by mistake
    assert page.evaluate("document.activeElement === document.body")
    page.tab_to(f"it.innerText === '{'Give it a token' if yes else 'Refuse'}'")
    page.press("Enter")
    page.until_text("gets its token now" if yes else "was refused")
    secret = {"device_code": begun["device_code"]}
    status, found = shared_relay.ask("POST", "/api/v1/logins/token", secret)
    assert status == (200 if yes else 403)
    assert not yes or found["token"]["name"] == MARKUP
    assert begun["user_code"] not in page.evaluate("location.href")


def test_what_is_no_code_that_waits_is_said(page: Page) -> None:
    type_code(page, "BCDF")
    page.until_text("A code has eight letters")
    type_code(page, "BBBB-BBBB")
    page.until_text("no computer waits with this code")
    page.until_text("run clove login --browser again")


def test_it_fits_400_pixels(page: Page, shared_relay: RelayProcess) -> None:
    begun = shared_relay.ask("POST", "/api/v1/logins", {"name": "n" * 128})[1]
    page.show_as(width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    type_code(page, begun["user_code"])
    page.until_text("nnn")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
