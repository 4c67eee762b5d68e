"""What THINK through the kernel costs, beside LiteLLM's proxy in front of the same model.

The model is our fake of Gemini's interface, on loopback, which answers at once; what is measured is
what lies between. Both keep their connections to it, both count tokens; the kernel also meters, shares
fairly among agents and writes its audit log, the proxy runs without a key and a data base.
"""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, Spread
from bench.peers import found
from bench.plan import Plan
from bench.servers import Unavailable, kernel, started, workplace
from clove.client.blocking import CloveClient

__all__ = ["thinking"]

MODEL = "gemini-flash-latest"
PROMPT = "Say in one sentence what a kernel does."
AT_ONCE = 16
READY_SECONDS = 90.0
KERNEL = '[llm]\nprovider = "gemini"\nbase_url = "http://127.0.0.1:{}"\nkey_file = "{}"\n'
PROXY = """
model_list:
  - model_name: bench
    litellm_params:
      model: gemini/{}
      api_key: k
      api_base: http://127.0.0.1:{}/v1beta
litellm_settings:
  telemetry: false
"""
ALONE = {
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""The proxy's environment: no key on loopback, and no look at the Internet when it starts."""
Ask = Callable[[], object]


@dataclass(frozen=True)
class Way:
    """One way to the model.

    @ivar connect: gives what asks once, on a connection of its own, and what closes that.
    """

    name: str
    connect: Callable[[], tuple[Ask, Callable[[], object]]]


def thinking(plan: Plan) -> Iterator[Figure]:
    """One after the other, and sixteen at once, on every way in turn."""
    with ExitStack() as stack:
        directory = stack.enter_context(workplace())
        port = stack.enter_context(_fake())
        ways = [_direct(port), _through_kernel(stack.enter_context(_kernel(directory, port)))]
        try:
            ways.append(_through_proxy(stack.enter_context(_proxy(plan, directory, port))))
        except Unavailable as error:
            yield Figure("THINK through LiteLLM", None, "", note=str(error))
        singles: dict[str, list[float]] = {way.name: [] for way in ways}
        crowds: dict[str, list[float]] = {way.name: [] for way in ways}
        seconds = max(plan.seconds, 0.2)
        for _ in range(plan.rounds):
            for way in ways:
                times, _ = plan.sample(
                    f"THINK, {way.name}",
                    lambda: _asked(way, 1, seconds),  # noqa: B023
                )
                singles[way.name].append(Spread.of(times).p50)
                times, _ = plan.sample(
                    f"THINK, {way.name}, {AT_ONCE} at once",
                    lambda: _asked(way, AT_ONCE, seconds),  # noqa: B023
                )
                crowds[way.name].append(len(times) / seconds)
    yield from _figures(singles, crowds)


def _figures(singles: dict[str, list[float]], crowds: dict[str, list[float]]) -> Iterator[Figure]:
    direct, ours, *proxies = singles
    for name in (ours, *proxies):
        added = [a - b for a, b in zip(singles[name], singles[direct], strict=True)]
        rate = statistics.median(crowds[name])
        yield Figure.of(
            f"THINK through {name}: added latency", added, "ms",
            details={f"per second, {AT_ONCE} at once": rate},
        )  # fmt: skip
    for name in proxies:
        ratios = [a / b for a, b in zip(crowds[ours], crowds[name], strict=True)]
        yield Figure.of(f"THINK, {AT_ONCE} at once: {ours} / {name}", ratios, at_least=True)


def _asked(way: Way, count: int, seconds: float) -> list[float]:
    """Milliseconds of each question that so many clients ask for a while, each after the other."""
    times: list[float] = []
    problems: list[Exception] = []

    def ask_on() -> None:
        try:
            ask, close = way.connect()
            ask()
            ready.wait()
            end = time.perf_counter() + seconds
            while (began := time.perf_counter()) < end:
                ask()
                times.append((time.perf_counter() - began) * 1e3)
            close()
        except Exception as error:
            problems.append(error)
            ready.abort()

    ready = threading.Barrier(count)
    threads = [threading.Thread(target=ask_on) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return times


def _direct(port: int) -> Way:
    path = f"/v1beta/models/{MODEL}:generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
    return Way("nothing", lambda: _poster(port, path, body))


def _through_kernel(path: str) -> Way:
    def connect() -> tuple[Ask, Callable[[], object]]:
        client = CloveClient(path)
        return (lambda: client.think(PROMPT)), client.close

    return Way("Clove", connect)


def _through_proxy(port: int) -> Way:
    body = {"model": "bench", "messages": [{"role": "user", "content": PROMPT}]}
    return Way("LiteLLM", lambda: _poster(port, "/v1/chat/completions", body))


def _poster(port: int, path: str, body: object) -> tuple[Ask, Callable[[], object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = json.dumps(body)
    headers = {"Content-Type": "application/json", "x-goog-api-key": "k"}

    def ask() -> None:
        connection.request("POST", path, data, headers)
        reply = connection.getresponse()
        said = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status} {said[:300]!r}")

    return ask, connection.close


@contextmanager
def _fake() -> Iterator[int]:
    """The model; its port."""
    command = [sys.executable, "-m", "clove.testing.fake_gemini", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.terminate()


@contextmanager
def _kernel(directory: Path, port: int) -> Iterator[str]:
    key = directory / "key"
    key.write_text("k")
    key.chmod(0o600)
    with kernel(directory, model=KERNEL.format(port, key)) as (path, _):
        yield path


@contextmanager
def _proxy(plan: Plan, directory: Path, upstream: int) -> Iterator[int]:
    """LiteLLM's; its port.

    @raise Unavailable: it is not there, or does not come up.
    """
    if plan.smoke:
        raise Unavailable("not in a short run: LiteLLM takes long to start")
    program = found.environment_python("litellm").with_name("litellm")
    config = directory / "litellm.yaml"
    config.write_text(PROXY.format(MODEL, upstream))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    plan.say("LiteLLM starts")
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with started(command, directory / "litellm.log", ALONE) as process:
        end = time.monotonic() + READY_SECONDS
        while process.poll() is None and time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        else:
            raise Unavailable("LiteLLM does not come up")
        yield port
