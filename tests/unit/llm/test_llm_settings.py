"""Models and providers, as the configuration names them."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from clove.errors import (
    InvalidRequest,
    PermissionDenied,
)
from clove.kernel.llm import LLM, LLMSettings
from tests.unit.llm.llm_house import House, error, result


def test_only_offered_models_may_be_named() -> None:
    house = House(allowed_models=("good",))
    refused = error(house.think(model="other"))
    assert isinstance(refused, PermissionDenied)
    assert refused.rule == "llm.allowed_models"
    asked = house.think(model="good")
    house.service.done(1)
    assert result(asked).success


def test_gemini_without_a_key_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(InvalidRequest, match="key"):
        LLM(Clock(), LLMSettings(provider="gemini"), {})


@pytest.mark.parametrize("url", ["ftp://x", "https://", "https://u:p@x", "https://x/?key=1"])
def test_odd_addresses_are_mistakes_in_the_configuration(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        LLMSettings(base_url=url)
    with pytest.raises(InvalidRequest):
        LLM(Clock(), LLMSettings(), {"GEMINI_API_KEY": "k", "CLOVE_GEMINI_BASE_URL": url})


def test_provider_follows_from_the_key() -> None:
    def provider(**environ: str) -> str:
        [(name, service)] = LLM(Clock(), LLMSettings(), environ).services.items()
        assert name == service.provider
        return name

    assert provider() == "offline"
    assert provider(GEMINI_API_KEY=" ") == "offline"
    assert provider(GOOGLE_API_KEY="k") == "gemini"
    settings = LLMSettings(provider="offline")
    assert list(LLM(Clock(), settings, {"GEMINI_API_KEY": "k"}).services) == ["offline"]
