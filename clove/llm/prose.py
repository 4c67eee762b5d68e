"""Plain paragraphs made of a prompt's own words, always the same for the same prompt. Pure.

This is no model and knows nothing: it finds what a prompt is about, what it
asks for and which material it brings, and puts that into sentences which claim
no facts of their own. Enough to run every program of Clove without a key.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter

__all__ = ["cut", "paragraph", "subject", "summary", "terms"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STOP = _words(
    """a about above after again all also an and any are as at be because been before being
    below between both but by can could did do does doing down during each few for from further
    give had has have having he her here hers him his how i if in into is it its just let may me
    might more most must my no nor not now of off on once only or other our out over own please
    same shall she should so some such than that the their them then there these they this those
    through to too under until up us very was we were what when where which while who whom why
    will with would you your one two three four five six seven eight nine ten first second third"""
)
_ASKING = _words(
    """answer article brief briefly describe draft essay explain explore facts find findings form
    information investigate key list make material notes outline overview paragraph paragraphs
    plan points produce provide report reports research researched review sentence sentences short
    source sources study summaries summarise summarize summary team tell text topic using word
    words write writer writing researcher assistant general audience
    json bullet bullets"""
)
_WORD = re.compile(r"[^\W_][\w'-]*")
_ABOUT = (
    re.compile(r"\b(?:topic|subject|theme)\s*[:=]\s*([^\n.;]+)", re.I),
    re.compile(r"[\"\u201c\u00ab]([^\"\u201d\u00bb\n]{3,80})[\"\u201d\u00bb]"),
    re.compile(
        r"\b(?:about|regarding|concerning|on the (?:topic|subject) of|on)\s+([^\n.;:!?]+)", re.I
    ),
    re.compile(
        r"\b(?:summari[sz]e|research|explain|describe|investigate|explore|study|what (?:is|are))"
        r"\s+([^\n.;:!?]+)",
        re.I,
    ),
)
_TAIL = re.compile(
    r"\s*(?:,|\b(?:and (?:write|give|list|report|explain|summari[sz]e)|in (?:one|two|three|four|\d+)"
    r"|for (?:a|an|the)|using|based on|from (?:the|these)|as (?:a|an)|with)\b).*",
    re.I | re.S,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_SCANNED = 65536
"""Characters of a prompt that are looked at."""

_OPEN = {
    "research": (
        "Research on {topic} begins with what the term covers, whom it concerns and how its "
        "progress is measured.",
        "The first finding on {topic} is a map: what it includes, what it leaves out, and which "
        "questions stay open.",
        "{Topic} is best studied from three sides: how it works, what it costs, and who depends "
        "on it.",
    ),
    "write": (
        "{Topic} deserves a clear account, because its parts are easier to judge once they are "
        "seen together.",
        "This report looks at {topic}: what it is, why it matters, and what follows from it.",
        "To understand {topic}, it helps to begin with the problem that it answers.",
    ),
    "summarise": ("In short, {topic} comes down to a few points.",),
    "plan": (
        "A plan for {topic} has a goal, an order of work, and a way to tell that each step is done.",
        "Work on {topic} goes best in small steps, each with a result that can be checked.",
    ),
    "answer": (
        "The question of {topic} has a short answer and a longer one.",
        "{Topic} can be answered by taking its parts in turn.",
    ),
}
_BODY = (
    "What {topic} can do today has to be kept apart from what is promised of it.",
    "Its strength shows in practice: small trials with {topic} say more than general claims.",
    "Its limits are as instructive, because they show where effort on {topic} would be wasted.",
    "Cost and benefit rarely arrive together, so both should be counted over the same time.",
    "Those who depend on {topic} see other questions than those who study it, and both are right.",
    "Evidence comes in three kinds here: measurements, experience, and comparison with what came before.",
    "A fair comparison names the alternative to {topic} and judges both by the same measure.",
)
_TERMS = (
    "The points to watch are {terms}.",
    "Particular attention goes to {terms}.",
    "The account turns on {terms}.",
)
_CLOSE = (
    "What matters next is to test these points on {topic} against a small, concrete case.",
    "The open question about {topic} is less what is possible than what is worth doing first.",
    "Taken together, this gives {topic} a firm starting point and a short list of things to verify.",
)


def subject(prompt: str) -> str:
    """What a prompt is about, in at most ten words of its own."""
    for pattern in _ABOUT:
        found = pattern.search(prompt)
        if found:
            name = _TAIL.sub("", found.group(1)).strip(" \t'\"-,:")
            if name:
                return " ".join(name.split()[:10])
    words = [word for word in _WORD.findall(prompt) if word.lower() not in _STOP | _ASKING]
    return " ".join(words[:5]) or "the request"


def terms(text: str, besides: str = "") -> list[str]:
    """The words that a text uses most, first used first among equals; not those in `besides`."""
    skip = _STOP | _ASKING | {word.lower() for word in _WORD.findall(besides)}
    count = Counter(word.lower() for word in _WORD.findall(text) if len(word) > 3)
    return [word for word, _ in count.most_common() if word not in skip][:12]


def summary(text: str, most: int) -> list[str]:
    """The sentences of a text whose words it uses most, in their own order."""
    sentences = [part.strip(" -*\t") for part in _SENTENCE.split(text)]
    sentences = [part for part in sentences if len(part.split()) >= 4][:400]
    weight = Counter(word.lower() for word in _WORD.findall(text) if word.lower() not in _STOP)

    def worth(index: int) -> float:
        words = [word.lower() for word in _WORD.findall(sentences[index])]
        return sum(weight[word] for word in words) / (len(words) + 3)

    best = sorted(range(len(sentences)), key=lambda index: (-worth(index), index))[:most]
    return [_ended(sentences[index]) for index in sorted(best)]


def paragraph(prompt: str, context: str = "", sentences: int = 5) -> str:
    """A paragraph of about so many sentences that does what the prompt asks for.

    @param context: system instruction and earlier turns: their words may appear too.
    """
    prompt = prompt[:_SCANNED]
    topic = subject(prompt)
    task, _, material = prompt.partition("\n") if "\n" in prompt else prompt.partition(": ")
    kind = _kind(task)
    notes = summary(material, max(1, sentences - 2)) if len(material.split()) >= 12 else []
    said = [_pick(_OPEN[kind], prompt, topic)]
    said += notes or _body(prompt, context[:_SCANNED], topic, sentences - 2)
    if sentences > 2:
        said.append(_pick(_CLOSE, prompt, topic))
    return " ".join(said[:sentences])


def cut(text: str, tokens: int) -> str:
    """At most so many tokens (of 4 bytes each) of a text, ending at a word if that is possible."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= tokens * 4:
        return text
    kept = data[: tokens * 4].decode("utf-8", "ignore")
    words = kept.rpartition(" ")[0]
    return words or kept


def _kind(task: str) -> str:
    lower = task.lower()
    for kind, signs in (
        ("summarise", ("summar", "condense", "tl;dr", "shorten")),
        ("write", ("write", "draft", "report", "article", "essay", "compose")),
        ("research", ("research", "investigat", "findings", "explore", "study", "facts")),
        ("plan", ("plan", "steps", "outline", "schedule")),
    ):
        if any(sign in lower for sign in signs):
            return kind
    return "answer"


def _body(prompt: str, context: str, topic: str, most: int) -> list[str]:
    said = []
    words = terms(prompt, topic) + terms(context, f"{topic} {prompt}")
    if len(words) >= 3 and most > 1:
        listed = (
            f"{', '.join(words[:3])} and {words[3]}" if len(words) > 3 else " and ".join(words[:2])
        )
        said.append(_pick(_TERMS, prompt, topic).replace("{terms}", listed))
    first = _seed(prompt + context) % len(_BODY)
    forms = (_BODY * 2)[first : first + max(0, most - len(said))]
    return (
        [form.replace("{topic}", topic) for form in forms[:1]]
        + said
        + [form.replace("{topic}", topic) for form in forms[1:]]
    )


def _pick(forms: tuple[str, ...], prompt: str, topic: str) -> str:
    form = forms[_seed(prompt) % len(forms)]
    return form.replace("{topic}", topic).replace("{Topic}", _upper(topic))


def _seed(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data).digest()[:4], "big")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ended(text: str) -> str:
    text = _upper(text)
    return text if text[-1] in ".!?" else f"{text}."
