"""A model on loopback for agents from npm: has them run one command, and says what came of it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["COMMAND", "coding_model"]

COMMAND = "echo made > made.txt; echo ran as $(id -u)"


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _claude(asked: dict[str, Any]) -> list[bytes]:
    """The Messages API: a call of Bash, or what the last one gave."""
    parts = [
        part
        for one in asked["messages"]
        if isinstance(one["content"], list)
        for part in one["content"]
    ]
    results = [part["content"] for part in parts if part["type"] == "tool_result"]
    if results or not any(tool["name"] == "Bash" for tool in asked.get("tools", ())):
        block: dict[str, Any] = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": f"done: {json.dumps(results)}"}
        stop = "end_turn"
    else:
        block = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}
        given = json.dumps({"command": COMMAND, "description": "try"})
        delta = {"type": "input_json_delta", "partial_json": given}
        stop = "tool_use"
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    ended = {"stop_reason": stop, "stop_sequence": None}
    return [
        _event("message_start", message=message),
        _event("content_block_start", index=0, content_block=block),
        _event("content_block_delta", index=0, delta=delta),
        _event("content_block_stop", index=0),
        _event("message_delta", delta=ended, usage={"output_tokens": 1}),
        _event("message_stop"),
    ]


def _codex(asked: dict[str, Any]) -> list[bytes]:
    """The Responses API: a call of exec_command, or what the last one gave."""
    results = [one["output"] for one in asked["input"] if one["type"] == "function_call_output"]
    if results:
        text = {"type": "output_text", "text": f"done: {json.dumps(results)}"}
        item = {"type": "message", "role": "assistant", "id": "m1", "content": [text]}
    else:
        call = {"name": "exec_command", "arguments": json.dumps({"cmd": COMMAND})}
        item = {"type": "function_call", "id": "f1", "call_id": "c1", **call}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    usage |= {"input_tokens_details": None, "output_tokens_details": None}  # type: ignore[dict-item]
    response = {"id": "r1", "status": "completed", "output": [item], "usage": usage}
    return [
        _event("response.created", response={"id": "r1"}),
        _event("response.output_item.done", item=item, output_index=0),
        _event("response.completed", response=response),
    ]


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("application/json", b"{}")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        answers = {"/v1/messages": _claude, "/v1/responses": _codex}
        if path not in answers:
            self._answer("application/json", b"{}")
        else:
            self._answer("text/event-stream", b"".join(answers[path](json.loads(body))))

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was cut off is no error."""


@contextlib.contextmanager
def coding_model() -> Iterator[int]:
    """Its port, while it runs."""
    server = _Server(("127.0.0.1", 0), _Requests)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
