"""The offline model."""

from __future__ import annotations

import asyncio
import json

from hypothesis import given
from hypothesis import strategies as st

from clove.llm.exchange import Ask, Done, count_tokens
from clove.llm.offline import Offline
from clove.llm.prose import paragraph, subject, summary
from clove.messages.think import Image, Message


def answer(ask: Ask) -> tuple[Done, list[str]]:
    heard: list[str] = []

    async def emit(text: str) -> None:
        heard.append(text)

    return asyncio.run(Offline().answer(ask, emit)), heard


def content(prompt: str, **fields: object) -> str:
    return answer(Ask(id=1, prompt=prompt, **fields))[0].content  # type: ignore[arg-type]


def test_names_itself_whatever_model_was_asked() -> None:
    done, _ = answer(Ask(id=1, prompt="hello", model="gemini-9"))
    assert (done.provider, done.model) == ("offline", "offline-1")


def test_same_question_has_the_same_answer_and_another_has_another() -> None:
    assert content("Research solar sails") == content("Research solar sails")
    assert content("Research solar sails") != content("Research tidal power")


def test_stays_with_the_topic() -> None:
    for prompt in (
        "Research the topic: solar sails. Give three key findings.",
        "Write a short report about solar sails for a general audience.",
        "Please explain solar sails.",
        'What do people say of "solar sails" nowadays?',
    ):
        assert subject(prompt) == "solar sails"
        assert "solar sails" in content(prompt).lower()


def test_summary_is_made_of_the_text_itself() -> None:
    notes = (
        "Summarise these notes on bees:\nBees pollinate flowers all over the world. "
        "The weather was nice on Tuesday. Many flowers depend on bees alone."
    )
    assert "Bees pollinate flowers all over the world." in content(notes)
    assert summary("One two three four. Five six seven eight.", 5) == [
        "One two three four.",
        "Five six seven eight.",
    ]


def test_max_tokens_bounds_the_answer_by_the_documented_rule() -> None:
    done, _ = answer(Ask(id=1, prompt="Research solar sails", max_tokens=9))
    assert done.output_tokens <= 9
    assert count_tokens(done.content) == done.output_tokens
    assert done.finish_reason == "max_tokens"


def test_tokens_are_counted_in_fours_of_bytes() -> None:
    assert [count_tokens(text) for text in ("", "a", "abcd", "abcde", "é" * 4)] == [0, 1, 1, 2, 2]


def test_streamed_words_make_the_content() -> None:
    done, heard = answer(Ask(id=1, prompt="Research solar sails", stream=True))
    assert "".join(heard) == done.content
    assert len(heard) > 20


def test_without_stream_nothing_is_emitted() -> None:
    assert answer(Ask(id=1, prompt="x"))[1] == []


def test_system_instruction_gives_role_form_and_length() -> None:
    said = content("Research solar sails", system_instruction="You are a patient teacher.")
    assert said.startswith("Speaking as a patient teacher:")
    brief = content("Research solar sails", system_instruction="Answer in one sentence.")
    assert brief.count(".") == 1
    listed = content("Research solar sails", system_instruction="Use bullet points.")
    assert all(line.startswith("- ") for line in listed.splitlines())
    form = json.loads(content("Research solar sails", system_instruction="Answer in JSON."))
    assert form["topic"] == "solar sails"


def test_thinking_level_gives_length() -> None:
    lengths = [len(content("Research bees", thinking_level=x)) for x in ("low", "medium", "high")]
    assert lengths == sorted(set(lengths))


def test_conversation_without_prompt_answers_its_last_turn() -> None:
    turns = [Message(role="user", content="Research solar sails")]
    done, _ = answer(Ask(id=1, messages=turns))
    assert "solar sails" in done.content.lower()


def test_picture_is_mentioned_and_counted() -> None:
    plain, _ = answer(Ask(id=1, prompt="x"))
    done, _ = answer(Ask(id=1, prompt="x", image=Image(data="aGk=", mime_type="image/png")))
    assert "image/png" in done.content
    assert done.input_tokens == plain.input_tokens + 1290


@given(st.text(max_size=300), st.text(max_size=100), st.integers(1, 50))
def test_any_text_gets_a_bounded_answer(prompt: str, system: str, most: int) -> None:
    ask = Ask(id=1, prompt=prompt or "x", system_instruction=system, max_tokens=most)
    done, _ = answer(ask)
    assert done.output_tokens <= most
    assert paragraph(prompt)
