"""What the fake Gemini does next, and what it was asked: plain data. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "STATUS",
    "Behaviour",
    "Recorded",
    "error_body",
    "merged",
    "pieces",
    "responses",
]

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""google.rpc.Code of an HTTP status."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one request is answered.

    @ivar text: the answer; None: it repeats the prompt.
    @ivar thought: a thought part ahead of the answer.
    @ivar function_call: {name, args} instead of text.
    @ivar chunks: pieces that a stream comes in.
    @ivar delay: seconds before the answer begins.
    @ivar pause: seconds before each piece of a stream but the first.
    @ivar status: an HTTP status other than 200 makes an error of it.
    @ivar retry_delay: seconds in the error's RetryInfo.
    @ivar cut_after: the connection is cut after so many pieces (0: before any).
    @ivar unfinished: the answer ends well, but without a finishReason.
    @ivar block_reason: the prompt is blocked.
    @ivar redirect: a Location to send the client to.
    @ivar raw: the body, whatever it is.
    """

    text: str | None = None
    thought: str = ""
    function_call: dict[str, Any] | None = None
    chunks: int = 4
    delay: float = 0.0
    pause: float = 0.0
    status: int = 200
    message: str = "scripted error"
    retry_delay: float | None = None
    cut_after: int | None = None
    unfinished: bool = False
    finish_reason: str = "STOP"
    block_reason: str = ""
    redirect: str = ""
    raw: str | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came.

    @ivar headers: names in lower case.
    @ivar body: the JSON, with Google's names in camelCase whichever form they came in.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


def error_body(status: int, behaviour: Behaviour, reason: str = "") -> dict[str, Any]:
    """An error as Google's APIs give it (google.rpc.Status)."""
    error: dict[str, Any] = {
        "code": status,
        "message": behaviour.message,
        "status": STATUS.get(status, "UNKNOWN"),
    }
    rpc = "type.googleapis.com/google.rpc"
    if behaviour.retry_delay is not None:
        delay = f"{behaviour.retry_delay:g}s"
        error["details"] = [{"@type": f"{rpc}.RetryInfo", "retryDelay": delay}]
    if reason:
        info = {"@type": f"{rpc}.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
        error["details"] = [info]
    return {"error": error}


def responses(model: str, body: dict[str, Any], behaviour: Behaviour) -> list[dict[str, Any]]:
    """The pieces of an answer; usage comes with each, counted up, as Gemini does it.

    Tokens are words here, which makes them easy to foresee in a test.
    """
    given = words(body.get("contents")) + words(body.get("systemInstruction"))
    base = {"modelVersion": model, "responseId": "fake-response"}
    if behaviour.block_reason:
        feedback = {"promptFeedback": {"blockReason": behaviour.block_reason}}
        return [{**base, **feedback, "usageMetadata": _usage(given, 0, 0)}]
    text = f"You said: {last_text(body)}" if behaviour.text is None else behaviour.text
    most = body.get("generationConfig", {}).get("maxOutputTokens")
    ending = behaviour.finish_reason
    if most is not None and len(text.split()) > most:
        text, ending = " ".join(text.split()[:most]), "MAX_TOKENS"
    thoughts = len(behaviour.thought.split())
    made: list[dict[str, Any]] = [{"text": piece} for piece in pieces(text, behaviour.chunks)]
    if behaviour.function_call is not None:
        made = [{"functionCall": behaviour.function_call, "thoughtSignature": "c2lnbmVk"}]
    if behaviour.thought:
        made.insert(0, {"text": behaviour.thought, "thought": True})
    answers, count = [], 0
    for index, part in enumerate(made):
        count += 0 if part.get("thought") else len(str(part.get("text", "call")).split())
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
        if index == len(made) - 1 and not behaviour.unfinished:
            candidate["finishReason"] = ending
        usage = _usage(given, count, thoughts)
        answers.append({"candidates": [candidate], "usageMetadata": usage, **base})
    return answers


def merged(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The pieces of a stream as the one answer of generateContent."""
    whole = dict(answers[-1])
    if "candidates" in whole:
        parts = [part for a in answers for part in a["candidates"][0]["content"]["parts"]]
        content = {"parts": parts, "role": "model"}
        whole["candidates"] = [{**whole["candidates"][0], "content": content}]
    return whole


def pieces(text: str, most: int) -> list[str]:
    """A text in at most so many pieces, cut before spaces; joined they are the text."""
    split = text.split(" ")
    each = max(1, -(-len(split) // max(1, most)))
    groups = [" ".join(split[at : at + each]) for at in range(0, len(split), each)]
    return [group if index == 0 else f" {group}" for index, group in enumerate(groups)]


def last_text(body: dict[str, Any]) -> str:
    """The text of the last turn."""
    parts = (body.get("contents") or [{}])[-1].get("parts", [])
    return " ".join(part["text"] for part in parts if "text" in part)


def words(value: Any) -> int:
    """Words in every `text` of a piece of JSON."""
    if isinstance(value, dict):
        own = len(value["text"].split()) if isinstance(value.get("text"), str) else 0
        return own + sum(words(inner) for key, inner in value.items() if key != "text")
    return sum(words(inner) for inner in value) if isinstance(value, list) else 0


def _usage(given: int, made: int, thoughts: int) -> dict[str, int]:
    usage = {"promptTokenCount": given, "candidatesTokenCount": made}
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return {**usage, "totalTokenCount": given + made + thoughts}
