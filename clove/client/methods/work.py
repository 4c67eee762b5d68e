"""Thinking, commands, files, HTTP, and the connection itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from clove.client.call import Call, Reply, StreamCall, optional
from clove.framing import Opcode

if TYPE_CHECKING:
    from clove.client.results import (
        AsyncPollReply,
        ExecReply,
        HttpReply,
        LLMReportReply,
        ReadReply,
        ThinkReply,
        WriteReply,
    )

__all__ = [
    "exec",
    "exec_stream",
    "exit",
    "http",
    "llm_report",
    "noop",
    "poll_async",
    "read_file",
    "think",
    "think_stream",
    "write_file",
]

T = TypeVar("T")
_THINKING = 600.0
"""Seconds that a model's answer may take, queue included."""


def noop(data: bytes = b"") -> Call[bytes]:
    """Send bytes; the kernel sends the same bytes back."""
    return Call(Opcode.NOOP, data, raw=True, idempotent=True)


def think(
    prompt: str = "",
    *,
    image: Mapping[str, str] | None = None,
    system_instruction: str | None = None,
    thinking_level: str | None = None,
    temperature: float | None = None,
    model: str | None = None,
    max_tokens: int | None = None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    async_: bool | None = None,
    request_id: str | int | None = None,
) -> Call[ThinkReply]:
    """Ask the model.

    @param image: `{"data": base64 text, "mime_type": ...}`.
    @param thinking_level: low, medium or high.
    @param async_: answer at once; `poll_async` gives the result later.
    @return: success, content, tokens, input_tokens, output_tokens, model,
        provider, queued_ms, error.
    @raise QuotaExceeded, PermissionDenied, LimitExceeded, Unavailable:
    """
    fields = optional(
        prompt=prompt,
        image=image,
        system_instruction=system_instruction,
        thinking_level=thinking_level,
        temperature=temperature,
        model=model,
        max_tokens=max_tokens,
        messages=messages,
        tools=tools,
        request_id=request_id,
        **{"async": async_},
    )
    return Call(Opcode.THINK, fields, patience=_THINKING)


def think_stream(
    prompt: str = "",
    *,
    image: Mapping[str, str] | None = None,
    system_instruction: str | None = None,
    thinking_level: str | None = None,
    temperature: float | None = None,
    model: str | None = None,
    max_tokens: int | None = None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> StreamCall[ThinkReply, str]:
    """Ask the model; its text comes in pieces (str) as it is written.

    The last reply is that of `think`, with the whole text.
    """
    call = think(
        prompt,
        image=image,
        system_instruction=system_instruction,
        thinking_level=thinking_level,
        temperature=temperature,
        model=model,
        max_tokens=max_tokens,
        messages=messages,
        tools=tools,
    )
    return StreamCall(_streaming(call), _text)


def exec(
    command: str | Sequence[str],
    *,
    cwd: str | None = None,
    timeout: float = 30.0,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    async_: bool | None = None,
    request_id: str | int | None = None,
) -> Call[ExecReply]:
    """Run a command (a string by the shell, a list of words directly).

    @param timeout: seconds; then it is killed and `timed_out` is true.
    @return: success (exit code 0), stdout, stderr, exit_code, timed_out,
        truncated. A command that fails is a result, not an exception.
    @raise PermissionDenied, InvalidRequest, NotFound:
    """
    fields = optional(
        command=command,
        cwd=cwd,
        timeout=timeout,
        stdin=stdin,
        env=env,
        request_id=request_id,
        **{"async": async_},
    )
    return Call(Opcode.EXEC, fields, patience=timeout)


def exec_stream(
    command: str | Sequence[str],
    *,
    cwd: str | None = None,
    timeout: float = 30.0,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
) -> StreamCall[ExecReply, tuple[str, str]]:
    """Run a command; its output comes in pieces ("stdout" or "stderr", text).

    The last reply is that of `exec`.
    """
    call = exec(command, cwd=cwd, timeout=timeout, stdin=stdin, env=env)
    return StreamCall(_streaming(call), _output)


def read_file(
    path: str,
    *,
    offset: int | None = None,
    limit: int | None = None,
    encoding: str | None = None,
    agent: str | int | None = None,
) -> Call[ReadReply]:
    """Read a file, as the caller's own view has it.

    @param agent: as this agent's view has it (name or id; for operators).
    @param offset: bytes.
    @param limit: bytes.
    @param encoding: utf-8 (default) or base64.
    @return: success, content, size.
    @raise NotFound, PermissionDenied, InvalidRequest, LimitExceeded:
    """
    fields = optional(path=path, offset=offset, limit=limit, encoding=encoding, agent=agent)
    return Call(Opcode.READ, fields, idempotent=True)


def write_file(
    path: str,
    content: str,
    *,
    mode: str | None = None,
    encoding: str | None = None,
    agent: str | int | None = None,
) -> Call[WriteReply]:
    """Write a file.

    @param agent: one of this agent's (name or id; for operators).

    @param mode: write (default: replaces what is there) or append.
    @param encoding: of `content`: utf-8 (default) or base64.
    @return: success, bytes_written.
    @raise NotFound, PermissionDenied, InvalidRequest:
    """
    fields = optional(path=path, content=content, mode=mode, encoding=encoding, agent=agent)
    return Call(Opcode.WRITE, fields)


def http(
    url: str,
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    timeout: float = 30.0,
    async_: bool | None = None,
    request_id: str | int | None = None,
) -> Call[HttpReply]:
    """Make an HTTP request through the kernel.

    @param timeout: seconds for all of it, redirects and body included.
    @return: success (status 200 to 399), status_code, headers, body, encoding,
        truncated. A status such as 404 is a result, not an exception.
    @raise PermissionDenied, InvalidRequest, TimedOut, Unavailable:
    """
    fields = optional(
        url=url,
        method=method,
        headers=headers,
        body=body,
        timeout=timeout,
        request_id=request_id,
        **{"async": async_},
    )
    return Call(Opcode.HTTP, fields, patience=timeout)


def poll_async(max: int | None = None) -> Call[AsyncPollReply]:
    """Collect results of `async_` requests.

    @return: success, count, results: a list of {request_id, opcode,
        opcode_name, payload (the JSON text of the normal reply)}.
    """
    return Call(Opcode.ASYNC_POLL, optional(max=max))


def llm_report(tokens: int, *, success: bool | None = None) -> Call[LLMReportReply]:
    """Charge tokens of a model call of one's own to one's quota.

    @return: success, tokens, quota_exceeded.
    """
    return Call(Opcode.LLM_REPORT, optional(tokens=tokens, success=success))


def exit() -> Call[str]:
    """Say goodbye; name, mailbox and keys of an unspawned client end with it."""
    return Call(Opcode.EXIT, pick=_decoded, raw=True)


def _decoded(payload: bytes) -> str:
    return payload.decode("utf-8", "replace")


def _streaming(call: Call[T]) -> Call[T]:
    assert isinstance(call.payload, dict)
    call.payload["stream"] = True
    return call


def _text(reply: Reply) -> Iterable[str]:
    return (reply["content"],) if reply.get("content") else ()


def _output(reply: Reply) -> Iterable[tuple[str, str]]:
    return [(name, reply[name]) for name in ("stdout", "stderr") if reply.get(name)]
