"""Run the research team, kill its researcher half-way, and see the report come all the same.

    python examples/research_team/demo.py [--topic TOPIC] [--socket PATH] [--single]

Without --socket it starts a kernel of its own, and stops it at the end. With
GEMINI_API_KEY set in the kernel's environment the answers are Gemini's, else
those of the built-in offline model.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clove import CloveClient
from clove.client.results import EventPush
from clove.errors import CloveError, ConnectionLost, NotFound

HERE = Path(__file__).resolve().parent
CUSTOMER = "customer"
TEAM = ("researcher", "writer", "coordinator")
KILL_AFTER = 2
"""Findings after which the researcher is killed; it has four to make."""
DELAY = "0.6"
"""Seconds that the researcher takes for a question, so that there is time to kill it."""
STARTING = 15.0
"""Seconds that a kernel gets to start."""


class Timeline:
    """What happened, one line each, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._names: dict[int, str] = {}

    def add(self, agent: str, text: str) -> None:
        """Print one line."""
        print(f"{time.monotonic() - self._start:6.2f} s  {agent:<12} {text}", flush=True)

    def knows(self, agent_id: int, name: str) -> None:
        """Keep the name of an agent, to show it with its events."""
        self._names[agent_id] = name

    def event(self, event: EventPush) -> None:
        """Print an event of the kernel's."""
        data = event["data"] if isinstance(event["data"], dict) else {}
        agent = data.get("agent_name") or self._names.get(event["source_agent_id"], "kernel")
        text = self._words(event["type"], data)
        if text:
            self.add(agent, text)

    def _words(self, kind: str, data: dict[str, Any]) -> str:
        if kind == "CUSTOM":
            return str(data.get("text", data.get("data", "")))
        if kind == "AGENT_EXITED":
            number = data.get("signal")
            code = data.get("exit_code")
            return f"was ended by signal {number}" if number else f"has ended with code {code}"
        if kind == "AGENT_RESTARTING":
            return "is being restarted"
        if kind == "AGENT_ESCALATED":
            return "failed too often, and stays down"
        return "runs" if kind == "AGENT_SPAWNED" else ""


@contextmanager
def own_kernel() -> Iterator[str]:
    """A kernel in a temporary directory; gives its socket's path."""
    directory = Path(tempfile.mkdtemp(prefix="clove-demo-", dir="/tmp"))
    socket, log = str(directory / "clove.sock"), directory / "kernel.log"
    twistd = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile="]
    kernel = [*twistd, "clove-kernel", "--socket", socket, "--state-dir", str(directory / "state")]
    with log.open("wb") as output:
        process = subprocess.Popen(kernel, stdout=output, stderr=output, cwd=directory)
    try:
        wait_until_ready(process, socket, log)
        yield socket
    finally:
        process.terminate()
        try:
            process.wait(STARTING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(directory)


def wait_until_ready(process: subprocess.Popen[bytes], socket: str, log: Path) -> None:
    """Wait until the kernel answers; exit with its last words if it does not."""
    deadline = time.monotonic() + STARTING
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with CloveClient(socket):
                return
        except ConnectionLost:
            time.sleep(0.05)
    last_words = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    sys.exit(f"demo: the kernel did not start:\n{last_words}")


def run_team(client: CloveClient, topic: str, seconds: float, line: Timeline) -> str:
    """Start the team, kill its researcher once, and give the report."""
    deadline = time.monotonic() + seconds
    client.register_name(CUSTOMER)
    client.subscribe(all=True, push=True)
    arguments = {"researcher": [DELAY], "writer": [], "coordinator": [topic, CUSTOMER]}
    for name in TEAM:
        script = str(HERE / f"{name}.py")
        policy = "never" if name == "coordinator" else "on-failure"
        spawned = client.spawn(
            name, script, args=arguments[name], sandboxed=True, restart_policy=policy
        )
        line.knows(spawned["agent_id"], name)
    killed = False
    while time.monotonic() < deadline:
        event = client.next_event(timeout=1.0)
        if event is None:
            continue
        line.event(event)
        if event["type"] == "MESSAGE_RECEIVED":  # only our own are shown to us
            line.add(CUSTOMER, "got a message")
            for mail in client.recv_messages()["messages"]:
                return str(mail["message"]["report"])
        if has_failed(event):
            raise RuntimeError(last_words(client, event["data"]["agent_name"]))
        if not killed and is_half_way(event["data"]):
            killed = True
            kill_hard(client, "researcher", line)
    raise TimeoutError(f"no report after {seconds:g} s; see the agents' logs with `clove logs`")


def has_failed(event: EventPush) -> bool:
    """Whether an event says that there will be no report."""
    if event["type"] == "AGENT_EXITED":
        data = event["data"]
        return bool(data.get("agent_name") == "coordinator" and data["exit_code"] != 0)
    return bool(event["type"] == "AGENT_ESCALATED")


def last_words(client: CloveClient, name: str) -> str:
    """What a failed agent wrote last."""
    lines = [line["text"] for line in client.logs(name)["lines"]]
    return "\n  ".join([f"the {name} failed:", *lines[-10:]])


def is_half_way(data: Any) -> bool:
    """Whether an event says that the researcher has done half of its work."""
    return (
        isinstance(data, dict)
        and data.get("custom_type") == "finding"
        and data.get("number") == KILL_AFTER
    )


def kill_hard(client: CloveClient, name: str, line: Timeline) -> None:
    """SIGKILL, behind the kernel's back: a KILL by the kernel would be for good."""
    for agent in client.list_agents():
        if agent["name"] == name and agent["pid"]:
            # The shell's own kill: a small Debian has no such program.
            client.exec(["sh", "-c", f"kill -KILL {agent['pid']:d}"])
            line.add("demo", f"kills the {name} (process {agent['pid']})")


def run_single(client: CloveClient, topic: str, line: Timeline) -> str:
    """Run the team in one process; give the report."""
    script = str(HERE / "single_process.py")
    agent = client.spawn("single", script, args=[topic], sandboxed=True)
    line.add("single", "runs")
    output = []
    for entry in client.follow_logs(agent["agent_id"]):
        output.append(entry["text"])
    end = client.wait(agent["agent_id"])
    if end["exit_code"] != 0:
        raise RuntimeError("the team failed:\n" + "\n".join(output))
    line.add("single", "has ended")
    return "\n".join(output) + "\n"


def dismiss(client: CloveClient, names: tuple[str, ...]) -> None:
    """End what still runs of the team."""
    for name in names:
        try:
            client.kill(name)
        except NotFound:
            continue


def write_report(topic: str, text: str) -> Path:
    """Write the report where we are, or in a temporary directory if that cannot be."""
    slug = re.sub(r"[^a-z0-9]+", "-", topic.lower()).strip("-")[:40] or "report"
    here = Path.cwd()
    directory = here if os.access(here, os.W_OK) else Path(tempfile.mkdtemp(prefix="clove-"))
    path = directory / f"report-{slug}.md"
    path.write_text(text)
    return path


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--topic", default="tidal power", help="what to research")
    parser.add_argument("--socket", help="a running kernel's; default: start one")
    parser.add_argument("--single", action="store_true", help="the team in one process")
    parser.add_argument(
        "--timeout", type=float, default=50.0, help="seconds until the report must be there"
    )
    asked = parser.parse_args()
    if asked.socket:
        run(asked.socket, asked)
    else:
        with own_kernel() as socket:
            run(socket, asked)


def run(socket: str, asked: argparse.Namespace) -> None:
    """Run the team on the kernel at `socket`, and write the report."""
    line = Timeline()
    with CloveClient(socket) as client:
        print(f"Clove {client.hello().get('kernel_version', '')}: a report on {asked.topic!r}\n")
        try:
            if asked.single:
                text = run_single(client, asked.topic, line)
            else:
                text = run_team(client, asked.topic, asked.timeout, line)
        except (CloveError, TimeoutError, RuntimeError) as error:
            hint = f"\n  {error.hint}" if isinstance(error, CloveError) and error.hint else ""
            sys.exit(f"demo: {error}{hint}")
        finally:
            dismiss(client, ("single",) if asked.single else TEAM)
    line.add("demo", "has the report")
    path = write_report(asked.topic, text)
    print(f"\nThe report ({len(text.split())} words) is in {path}")


if __name__ == "__main__":
    main()
