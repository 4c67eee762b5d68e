"""An agent's output as bytes, over the wire: by offset, and for the one who is attached."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import AlreadyExists, InvalidRequest, NotFound
from tests.integration.conftest import BOTH, KernelProcess
from tests.integration.exposed import Host, kill_all
from tests.integration.wire_v1 import ask
from tests.waiting import until

FLOOD = "import sys\nfor n in range(3000): sys.stdout.write(f'{n:07}' + 'x' * 993)\n"
_numbers = itertools.count()


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    yield kernel_host
    kill_all(kernel_host.client)


def spawn(here: Host, text: str, **fields: Any) -> int:
    name = f"writes-{next(_numbers)}"
    script = Path(here.kernel.directory, f"{name}.py")
    script.write_text(text)
    return int(here.client.spawn(name, str(script), **fields)["id"])


def read(client: CloveClient, agent: int, **fields: Any) -> tuple[bytes, int]:
    """All output until the agent has ended, and how many bytes of it were lost."""
    found, since, lost = b"", 0, 0
    while True:
        page = client.read_output(agent, since=since, wait=20, **fields)
        found += page["data"]
        since = page["next"]
        lost += page["lost"]
        if page["ended"]:
            return found, lost


@BOTH
def test_bytes_come_as_they_were_written(here: Host, sandboxed: bool) -> None:
    agent = spawn(
        here,
        "import os\nos.write(1, b'\\xff\\xfe\\0one')\nos.write(1, b'\\r50%')\nos.write(1, b'end')\n",
        sandboxed=sandboxed,
    )
    assert read(here.client, agent) == (b"\xff\xfe\0one\r50%end", 0)


def test_a_piece_without_a_newline_is_there_at_once(here: Host) -> None:
    agent = spawn(here, "import os, time\nos.write(1, b'name? ')\ntime.sleep(100)\n")
    page = here.client.read_output(agent, wait=20)
    assert (page["data"], page["next"], page["ended"]) == (b"name? ", 6, False)
    assert page["pieces"] == [{"stream": "stdout", "size": 6}]
    assert here.client.logs(agent)["lines"] == []


@pytest.mark.parametrize("way", [{}, {"warm": False}, {"sandboxed": False}], ids=str)
def test_outputs_can_be_opened_by_their_names(here: Host, way: dict[str, Any]) -> None:
    text = "for name in ('out', 'err'): print(name, file=open(f'/dev/std{name}', 'w'))\n"
    agent = spawn(here, text, **way)
    assert here.client.wait(agent, timeout=20)["exit_code"] == 0
    assert sorted(read(here.client, agent)[0].split()) == [b"err", b"out"]


def test_commands_too(here: Host) -> None:
    text = (
        "from clove import CloveClient\n"
        "print(CloveClient().exec('echo out > /dev/stdout; echo err > /dev/stderr'))\n"
    )
    agent = spawn(here, text)
    assert b"'stdout': 'out\\n', 'stderr': 'err\\n'" in read(here.client, agent)[0]


def test_both_streams_have_one_order(here: Host) -> None:
    agent = spawn(
        here,
        "import os, time\nfor n in range(3):\n os.write(1, b'out')\n time.sleep(0.1)\n"
        " os.write(2, b'err')\n time.sleep(0.1)\n",
    )
    here.client.wait(agent)
    page = here.client.read_output(agent)
    assert page["data"] == b"outerr" * 3
    assert [piece["stream"] for piece in page["pieces"]] == ["stdout", "stderr"] * 3


def test_an_onlooker_is_told_how_many_bytes_it_has_missed(here: Host) -> None:
    agent = spawn(here, FLOOD)
    here.client.wait(agent)
    found, lost = read(here.client, agent)
    assert len(found) + lost == 3_000_000
    assert len(found) == 256 << 10
    assert found.endswith(b"0002999" + b"x" * 993)


@BOTH
def test_one_who_is_attached_loses_nothing_however_slow(here: Host, sandboxed: bool) -> None:
    agent = spawn(here, FLOOD, attach=True, sandboxed=sandboxed)
    with here.client.hold_output(agent) as held:
        assert next(held)["offset"] == 0
        until(lambda: here.client.read_output(agent)["next"] >= 256 << 10, "the output is held")
        assert here.client.list_agents()
        found, lost = read(here.client, agent, attached=True)
        assert held.finish()["ended"]
    assert (len(found), lost) == (3_000_000, 0)
    assert found == b"".join(b"%07d" % n + b"x" * 993 for n in range(3000))


def test_an_agent_that_ends_at_once_is_read_by_one_who_attaches_after(here: Host) -> None:
    agent = spawn(here, "print('gone')", attach=True)
    here.client.wait(agent)
    with here.client.hold_output(agent) as held:
        assert read(here.client, agent, attached=True) == (b"gone\n", 0)
        assert held.finish()["ended"]


def test_an_agent_goes_on_when_the_one_who_was_attached_is_gone(here: Host) -> None:
    agent = spawn(here, FLOOD, attach=True)
    with CloveClient(here.kernel.socket) as other:
        next(other.hold_output(agent))
        with pytest.raises(AlreadyExists, match="attached"):
            next(here.client.hold_output(agent))
    assert here.client.wait(agent, timeout=20)["exit_code"] == 0


def test_output_is_held_over_a_restart(here: Host) -> None:
    script = (
        "import os, sys, time\nprint('run', flush=True)\n"
        "sys.exit(os.path.exists('again') or open('again', 'w').close() or 3)\n"
    )
    agent = spawn(here, script, attach=True, restart_policy="on-failure", max_restarts=1)
    with here.client.hold_output(agent):
        found, lost = read(here.client, agent, attached=True)
    assert (found, lost) == (b"run\nrun\n", 0)


def test_only_the_attached_connection_takes(here: Host) -> None:
    agent = spawn(here, "print('mine')", attach=True)
    with pytest.raises(InvalidRequest, match="not attached"):
        here.client.read_output(agent, since=5, attached=True)
    with here.client.hold_output(agent):
        assert read(here.client, agent, attached=True)[0] == b"mine\n"


def test_writes_to_a_closed_output_fail_as_in_a_pipeline(here: Host) -> None:
    agent = spawn(
        here,
        "import os, signal, sys, time\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "print('up', flush=True)\nwhile True: os.write(1, b'x'); time.sleep(0.01)\n",
    )
    here.client.read_output(agent, wait=20)
    assert here.client.close_stream("stdout", agent)["closed"]
    assert here.client.wait(agent, timeout=20)["signal"] == 13


def test_another_stream_stays_open(here: Host) -> None:
    agent = spawn(
        here,
        "import os, sys, time\nos.write(1, b'up')\n"
        "try:\n while True: os.write(1, b'x'); time.sleep(0.01)\n"
        "except BrokenPipeError: os.write(2, b'closed')\n",
    )
    here.client.read_output(agent, wait=20)
    here.client.close_stream("stdout", agent)
    assert read(here.client, agent)[0].endswith(b"closed")


def test_an_agent_does_not_reach_the_output_of_others(here: Host) -> None:
    other = spawn(here, "print('secret')")
    agent = spawn(
        here,
        "from clove import CloveClient\nfrom clove.errors import CloveError\n"
        "client = CloveClient()\n"
        f"for ask in (client.read_output, client.hold_output):\n"
        f"  try: print(*ask({other}))\n"
        "  except CloveError as error: print(error.code)\n",
    )
    assert read(here.client, agent)[0] == b"permission_denied\n" * 2


def test_an_agent_gets_no_descriptors_not_even_of_its_child(here: Host) -> None:
    agent = spawn(
        here,
        "import sys\nfrom clove import CloveClient\nfrom clove.errors import CloveError\n"
        "client = CloveClient()\n"
        "open('child.py', 'w').write('print(1)')\n"
        "child = client.spawn('kin', '/workspace/child.py', attach=True)['id']\n"
        "try: client.attach(child)\n"
        "except CloveError as error: print(error.code, error.rule)\n"
        "held = client.hold_output(child)\nnext(held)\n"
        "client.wait(child)\n"
        "print(client.read_output(child, wait=20, attached=True)['data'])\n",
        permissions={"can_spawn": True},
    )
    assert read(here.client, agent)[0] == b"permission_denied operator\nb'1\\n'\n"


@pytest.mark.parametrize("call", ["read_output", "hold_output"])
def test_an_agent_that_is_not_known_is_an_error(here: Host, call: str) -> None:
    with pytest.raises(NotFound):
        next(iter(getattr(here.client, call)("nothing")))


def test_lines_say_whether_they_are_partial(here: Host) -> None:
    agent = spawn(here, "print('x' * 10_000)\nprint('whole')\nprint('end', end='')\n")
    here.client.wait(agent)
    lines = here.client.logs(agent)["lines"]
    assert [(len(line["text"]), line["partial"]) for line in lines] == [
        (8192, True),
        (1808, False),
        (5, False),
        (3, True),
    ]


def test_a_connection_of_version_1_gets_bytes_as_base64(kernel: KernelProcess) -> None:
    with CloveClient(kernel.socket) as client:
        script = Path(kernel.directory, "plain.py")
        script.write_text("import os\nos.write(1, b'\\xff')\n")
        agent = client.spawn("plain", str(script), sandboxed=False)["id"]
        client.wait(agent)
    page = ask(kernel.socket, 0x18, id=agent)
    assert (page["data"], page["next"], page["ended"]) == ("/w==", 1, True)
    assert ask(kernel.socket, 0x18, id=agent, binary=True)["code"] == "invalid_request"
    assert ask(kernel.socket, 0x1A, id=agent, descriptors=True)["code"] == "invalid_request"
    assert ask(kernel.socket, 0x1A, id=agent)["ended"]
