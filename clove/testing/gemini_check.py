"""What the real Gemini refuses, as far as Clove's requests could get it wrong. Pure."""

from __future__ import annotations

from typing import Any

__all__ = ["Wrong", "camel", "check_body"]

_FREE = {"args", "response", "parametersJsonSchema"}
"""Fields with content that is the client's own JSON."""

_BODY = {
    "contents",
    "systemInstruction",
    "generationConfig",
    "tools",
    "toolConfig",
    "safetySettings",
    "cachedContent",
}
_CONFIG = {
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "thinkingConfig",
    "responseMimeType",
    "responseSchema",
    "seed",
}
_PARTS = {"text", "inlineData", "functionCall", "functionResponse"}
_BESIDES = {"thought", "thoughtSignature"}


class Wrong(Exception):
    """The request is refused.

    @ivar status: HTTP's.
    @ivar reason: of google.rpc.ErrorInfo, or "".
    """

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


def camel(value: Any) -> Any:
    """A message with its fields' names in camelCase; Google's JSON takes both forms."""
    if isinstance(value, list):
        return [camel(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    named = {_camel(name): inner for name, inner in value.items()}
    return {name: inner if name in _FREE else camel(inner) for name, inner in named.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def check_body(body: Any) -> None:
    """Check a generateContent body with names in camelCase.

    @raise Wrong: status 400, with Google's wording where it matters.
    """
    if not isinstance(body, dict):
        raise Wrong(400, "Invalid JSON payload received.")
    _known(body, _BODY, "")
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise Wrong(400, "* GenerateContentRequest.contents: contents is not specified")
    for turn in contents:
        if turn.get("role") not in ("user", "model"):
            raise Wrong(400, "Please use a valid role: user, model.")
        _check_parts(turn.get("parts"))
    if "systemInstruction" in body:
        _check_parts(body["systemInstruction"].get("parts"))
    _check_config(body.get("generationConfig", {}))
    for tool in body.get("tools", ()):
        for declared in tool.get("functionDeclarations", ()):
            if not declared.get("name"):
                raise Wrong(400, "function_declarations[0].name: Invalid function name.")


def _check_parts(parts: Any) -> None:
    if not isinstance(parts, list) or not parts:
        raise Wrong(400, "* GenerateContentRequest.contents.parts: must not be empty")
    for part in parts:
        _known(part, _PARTS | _BESIDES, " at 'contents.parts'")
        if len(_PARTS & part.keys()) != 1:
            raise Wrong(400, "required oneof field 'data' must have one initialized field")
        blob = part.get("inlineData")
        if blob is not None and not (blob.get("mimeType") and blob.get("data")):
            raise Wrong(400, "Unable to process input image.")


def _check_config(config: dict[str, Any]) -> None:
    _known(config, _CONFIG, " at 'generation_config'")
    if not 0 <= config.get("temperature", 1) <= 2:
        raise Wrong(400, "temperature must be in the range [0.0, 2.0].")
    if config.get("maxOutputTokens", 1) < 1:
        raise Wrong(400, "max_output_tokens must be positive.")


def _known(value: dict[str, Any], names: set[str], where: str) -> None:
    for name in value:
        if name not in names:
            raise Wrong(400, f'Invalid JSON payload received. Unknown name "{name}"{where}')
