"""The real service process: its key and environment, its bounds, and how it ends."""

from __future__ import annotations

import os
import signal

import pytest

from clove.errors import Cancelled, QuotaExceeded, TimedOut, Unavailable
from clove.kernel.llm import LLMLimits
from clove.messages.think import ThinkReply
from clove.testing.gemini_script import Behaviour
from tests.integration.gemini_house import ENVIRON, KEY, house, outcomes, quota


def contents(path: str) -> str:
    with open(path) as file:
        return file.read()


def write_private(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(text)


async def test_key_is_in_no_error_even_if_the_provider_repeats_it() -> None:
    async with house() as one:
        for status in (400, 403, 500):
            error = await one.error(*[Behaviour(status=status, message=f"bad key {KEY}!")] * 4)
            assert KEY not in repr(error.fields())
            assert "[key]" in error.message
            one.fake.script.clear()


async def test_wrong_key_is_the_operator_s_to_mend() -> None:
    async with house({**ENVIRON, "GEMINI_API_KEY": "another-key"}) as one:
        error = await one.error()
        assert isinstance(error, Unavailable)
        assert "key" in error.hint
        assert "another-key" not in repr(error.fields())


async def test_redirect_does_not_carry_the_key_away() -> None:
    async with house() as one, house() as other:
        for stream in (False, True):
            error = await one.error(Behaviour(redirect=f"{other.fake.url}/v1/x"), stream=stream)
            assert isinstance(error, Unavailable)
        assert not other.fake.requests


async def test_service_gets_the_key_and_nothing_else_of_the_environment() -> None:
    environ = {**ENVIRON, "LANG": "C.UTF-8", "HTTP_PROXY": "http://127.0.0.1:9", "OTHER": "x"}
    environ |= {"ALL_PROXY": "http://127.0.0.1:9", "PYTHONPATH": "/nowhere"}
    async with house(environ) as one:
        assert (await one.think()).success  # not through the proxy
        pid = one.llm.services["gemini"].pid
        if os.geteuid() == 0:
            entries = contents(f"/proc/{pid}/environ").split("\0")
            names = {entry.partition("=")[0] for entry in entries if entry}
            assert names == {"PATH", "LANG", "GEMINI_API_KEY"}
        assert KEY not in contents(f"/proc/{pid}/cmdline")


async def test_address_may_come_from_the_kernel_s_environment() -> None:
    environ = {**ENVIRON, "CLOVE_GEMINI_BASE_URL": "FAKE"}
    async with house(environ, base_url="", api_version="v1beta") as one:
        assert (await one.think()).success
        assert one.fake.requests[-1].path.startswith("/v1beta/")


async def test_key_may_come_from_a_file_and_be_in_no_environment(short_dir: str) -> None:
    path = os.path.join(short_dir, "key")
    write_private(path, f"{KEY}\n")
    async with house({"PATH": os.environ["PATH"]}, key_file=path) as one:
        assert (await one.think()).provider == "gemini"
        assert one.fake.requests[-1].headers["x-goog-api-key"] == KEY


async def test_no_more_questions_run_at_once_than_allowed() -> None:
    limits = LLMLimits(max_concurrent=3, max_concurrent_per_agent=2)
    async with house(limits=limits) as one:
        one.fake.default = Behaviour(delay=0.05)
        asked = [one.think(agent=number % 2) for number in range(12)]
        assert all(reply.success for reply in await outcomes(asked))
        assert one.fake.most_active == 3


async def test_fifty_at_once_against_a_quota_of_five_calls_reach_gemini_five_times() -> None:
    async with house() as one:
        asked = [one.think(permissions=quota(calls=5)) for _ in range(50)]
        results = await outcomes(asked)
        assert sum(isinstance(reply, ThinkReply) for reply in results) == 5
        assert sum(isinstance(reply, QuotaExceeded) for reply in results) == 45
        assert len(one.fake.requests) == 5


async def test_cancelled_question_ends_its_connection_and_gives_back_its_call() -> None:
    async with house() as one:
        one.fake.script.append(Behaviour(delay=30))
        asked = one.think(permissions=quota(calls=1))
        await one.until(lambda: one.fake.active == 1)
        asked.cancel()
        with pytest.raises(Cancelled):
            await asked
        await one.until(lambda: one.fake.active == 0)
        assert (await one.think(permissions=quota(calls=1))).success


async def test_slow_answer_times_out_while_others_are_served() -> None:
    async with house(limits=LLMLimits(timeout=4, max_concurrent=2)) as one:
        assert (await one.think()).success  # the service is up
        one.fake.script.append(Behaviour(delay=30))
        slow = one.think()
        await one.until(lambda: one.fake.active == 1)
        assert (await one.think()).success
        with pytest.raises(TimedOut):
            await slow
        await one.until(lambda: one.fake.active == 0)


async def test_killed_service_fails_what_it_had_and_comes_back_for_what_waits() -> None:
    async with house(limits=LLMLimits(max_concurrent=1)) as one:
        one.fake.script.append(Behaviour(delay=30))
        lost = one.think(permissions=quota(calls=1))
        waiting = one.think(permissions=quota(calls=1))
        await one.until(lambda: one.fake.active == 1)
        pid = one.llm.services["gemini"].pid
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Unavailable):
            await lost
        assert (await waiting).success
        assert one.llm.services["gemini"].pid not in (0, pid)
        assert one.llm.usage(1)["calls"] == 1


async def test_unreachable_provider_is_said_to_be() -> None:
    async with house(base_url="http://127.0.0.1:9", attempts=2) as one:
        error = await one.error()
        assert isinstance(error, Unavailable)
        assert "connection" in error.message
