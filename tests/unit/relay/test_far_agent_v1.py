"""A remote agent of another relay on a tunnel of version 1 whose kernel does not read, or says what it should not."""

from __future__ import annotations

import json
from typing import Any

from clove.channels.multiplexed import MultiplexedChannel
from clove.framing import FrameDecoder, encode
from clove.messages.relay import Caller
from clove.relay.hub.limits import HubLimits
from clove.relay.link.far_agent_v1 import FarAgentV1
from tests.unit.channels.link_pair import LinkPair, Reader
from tests.unit.relay.test_hub_v1 import FakeSocket, machine

WAITING = 8


class Site(LinkPair):
    """The agent's relay is the first end; the second one has the tunnel.

    @ivar ended: why callers have ended.
    """

    def __init__(self) -> None:
        self.tunnel, self.kernel = machine()
        self.ended: list[str] = []
        super().__init__()
        self.open()
        self.settle()
        [self.agent] = self.readers[0]

    def _accept(self, channel: MultiplexedChannel, said: dict[str, Any]) -> None:
        limits = HubLimits(waiting=WAITING)
        caller = Caller(id=1000, name="a", token_id="t")
        FarAgentV1(limits, caller, self.tunnel, channel, self.ended.append)

    def ask(self, count: int, size: int = 0) -> None:
        for number in range(count):
            self.agent.sender.send(encode(0, number, bytes(size)))
        self.settle()

    def answer(self, opcode: int) -> None:
        said = {"type": "response", "agent_id": 1000, "opcode": opcode, "payload": "eA=="}
        self.tunnel.text_received(json.dumps(said).encode())
        self.settle()


def asked(kernel: FakeSocket) -> list[int]:
    told = map(json.loads, kernel.said)
    return [said["opcode"] for said in told if said["type"] == "syscall"]


def answers(agent: Reader) -> list[tuple[int, bytes]]:
    return [(each.opcode, each.payload) for each in FrameDecoder().feed(bytes(agent.heard))]


def test_its_requests_and_their_answers_go_to_and_fro() -> None:
    site = Site()
    assert json.loads(site.kernel.said[0])["type"] == "agent_connected"
    site.ask(2)
    assert asked(site.kernel) == [0, 1]
    for opcode in (0, 1, 2):  # the last was not asked for
        site.answer(opcode)
    assert answers(site.agent) == [(0, b"x"), (1, b"x")]


def test_it_is_not_read_while_much_of_it_waits_for_answers() -> None:
    site = Site()
    count = 60
    site.ask(count, 1 << 14)  # less than what the sender of the test stops at
    assert WAITING <= len(asked(site.kernel)) < count // 2
    for opcode in range(count):
        site.answer(opcode)
    assert asked(site.kernel) == list(range(count))
    assert [opcode for opcode, _ in answers(site.agent)] == list(range(count))


def test_nor_while_its_kernel_does_not_read() -> None:
    site = Site()
    site.kernel.full = True
    site.ask(100, 1 << 16)
    assert len(asked(site.kernel)) < 20
    assert not site.kernel.aborted
    site.kernel.full = False
    site.tunnel.writable()
    site.settle()
    assert len(asked(site.kernel)) >= WAITING


def test_it_is_told_when_the_kernel_goes_and_the_kernel_when_it_goes() -> None:
    site = Site()
    site.ask(1)
    site.tunnel.closed("it was cut")
    site.settle()
    assert (site.agent.lost_times, site.agent.channel.error) == (1, "it was cut")
    assert len(site.ended) == 1
    site = Site()
    site.agent.channel.close()
    site.settle()
    assert json.loads(site.kernel.said[-1])["type"] == "agent_disconnected"
    assert site.tunnel.callers == 0
    assert len(site.ended) == 1


def test_what_is_no_request_of_version_1_ends_it_alone() -> None:
    for broken in (b"x" * 100, encode(0, 1, bytes((1 << 20) + 1))):
        site = Site()
        site.agent.sender.send(broken)
        site.settle()
        assert (site.agent.lost_times, len(site.ended)) == (1, 1)
        assert site.agent.channel.error
        assert not site.kernel.aborted
