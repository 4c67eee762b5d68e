"""Several questions at once, each with a time limit, then a summary as it is written.

clove run examples/asyncio_questions.py "tidal power"
"""

from __future__ import annotations

import asyncio
import sys

from clove import AsyncClient
from clove.errors import CloveError

SECONDS = 60.0
QUESTIONS = ("What is {}?", "How does {} work?", "Who needs {}, and what for?")


async def answer(client: AsyncClient, question: str) -> str:
    """One answer; or why there is none. Past the time limit the kernel is told to stop."""
    try:
        async with asyncio.timeout(SECONDS):
            reply = await client.think(question, max_tokens=200)
    except TimeoutError:
        return f"(no answer within {SECONDS:g} s)"
    except CloveError as error:
        return f"({error.message}; {error.hint})"
    return str(reply["content"])


async def main(topic: str) -> None:
    """Ask, and print what comes."""
    async with AsyncClient() as client:
        async with asyncio.TaskGroup() as group:
            asked = {
                question: group.create_task(answer(client, question.format(topic)))
                for question in QUESTIONS
            }
        answers = [task.result() for task in asked.values()]
        for question, text in zip(asked, answers, strict=True):
            print(f"## {question.format(topic)}\n\n{text}\n")
        print("## In short\n")
        async for piece in client.think_stream("Say this in one sentence:\n" + "\n".join(answers)):
            print(piece, end="", flush=True)
        print()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[-1]))
