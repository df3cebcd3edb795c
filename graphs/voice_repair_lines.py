"""What a repair line must be, and lines that are ready where no model's line is.

The rules are those of `tools/constraints.py`: length, marks, tone, and no number or promise that was not
said before. Tone is checked as far as words show it: no blame, no talk of the face, one apology.
"""

from __future__ import annotations

from collections.abc import Sequence

from merchgraph.agents.repairer import Exchange, Kind
from merchgraph.tools.constraints import Copy, Limits, Rule, quoted, size
from merchgraph.tools.copy_rules.grounding import grounded
from merchgraph.tools.copy_rules.keywords import excluded, required
from merchgraph.tools.copy_rules.style import MARKS, capitals, punctuation, visible
from merchgraph.tools.copy_rules.word_lists import FUNCTION
from merchgraph.tools.text import found, stem, stems, trim, words

OFFERED = 2
"""Options that one line names: more cannot be kept in mind by ear."""
QUOTE = 60
"""Longest quotation in a line, in characters."""
LENGTH = Limits(15, 200)
WORDS = Limits(4, 36)
SPOKEN = 15.0
"""Characters a second of speech, some 160 words a minute."""
BLAME = (
    "your fault", "your mistake", "you made a mistake", "you did not", "you didn't", "you failed",
    "you should have", "you were unclear", "you mumbled", "speak clearly", "speak up", "calm down",
    "pay attention", "listen carefully", "you are wrong", "you're wrong", "you misspoke", "obviously",
    "as I said", "I told you",
)  # fmt: skip
WATCHED = ("your face", "facial", "camera", "video", "your expression", "frown", "grimace", "smile",
           "watch you", "watching you", "I see you", "I saw you", "your eyes", "gaze")  # fmt: skip
HELPERS = ("person", "people", "colleague", "someone", "somebody", "human", "our team", "agent")
_SMALL = frozenset(map(stem, FUNCTION))


def rules(exchange: Exchange, kind: Kind) -> list[Rule]:
    """The checks of a line, all in code."""
    told = [exchange.asked, exchange.answered, *exchange.options]
    end = "." if kind == "hand over" else "?"
    listed = [
        size("line", characters=LENGTH, words=WORDS),
        (visible() & punctuation(MARKS, end=end)).named("punctuation"),
        capitals(),
        excluded((*BLAME, *WATCHED)).named("tone"),
        Rule("one apology", _apologies),
        grounded(told),
    ]
    if exchange.said:
        listed.append(_another(exchange.said))
    if kind == "offer options":
        listed.append(required(exchange.options[:OFFERED]).named("options"))
    if kind == "hand over":
        listed.append(_one_of("helper", HELPERS, "says who helps now"))
    if kind == "rephrase":
        listed.append(_one_of("topic", _content(told), "says what was understood"))
    return listed


def requirements(exchange: Exchange, kind: Kind) -> list[str]:
    """What the rules ask, as sentences for the writer."""
    end = "a full stop" if kind == "hand over" else "a question mark"
    listed = [
        f"{LENGTH.least} to {LENGTH.most} characters and at most {WORDS.most} words, to be spoken.",
        f"It ends with {end}; no quotation marks, no capitals for loudness.",
        "It is calm and friendly, says sorry once at most, and never blames the person.",
        "It says nothing of faces, cameras or being watched.",
        "It has no number and no promise that is not in the exchange.",
    ]
    if exchange.said:
        listed.append("It is another line than those said before.")
    if kind == "offer options":
        listed.append("It names, word by word, what else the person may have meant.")
    if kind == "hand over":
        listed.append("It says that a person helps now.")
    if kind == "rephrase":
        listed.append("It names what was understood.")
    return listed


def ready(exchange: Exchange, kind: Kind) -> str:
    """A line that is there without a model: the first that keeps the rules, else the plainest."""
    lines = _ready(exchange, kind)
    kept = rules(exchange, kind)
    fits = (line for line in lines if all(rule({"line": line}).passed for rule in kept))
    return next(fits, lines[-1])


def usable(options: Sequence[str]) -> tuple[str, ...]:
    """The options that a line may name, first ones first: short, and with nothing that a rule refuses."""
    able: list[str] = []
    for option in dict.fromkeys(map(str.strip, options)):
        if not 0 < len(option) <= QUOTE or not stems(option):
            continue
        told = Exchange(option, option, (*able, option))
        line = {"line": _offer(told.options)}
        if all(rule(line).passed for rule in rules(told, "offer options")):
            able.append(option)
    return tuple(able[:OFFERED])


def speech_s(line: str) -> float:
    """How long a line takes to be said, in seconds."""
    return len(line) / SPOKEN


def _ready(exchange: Exchange, kind: Kind) -> list[str]:
    asked, answered = (_quoted(text) for text in (exchange.asked, exchange.answered))
    if kind == "offer options":
        return [_offer(exchange.options[:OFFERED])]
    if kind == "rephrase":
        return [
            f"Let me check: I heard {asked}, and my answer was {answered}. Is that right?",
            "Let me check that I understood what was asked. Is that right?",
        ]
    if kind == "hand over":
        return [
            "I am sorry, I do not get this right. A person will help with it now.",
            "This is still not right. A colleague takes over from here.",
        ]
    return [
        "Sorry, did I get that wrong? Could I hear it once again?",
        "That may not be right. Could I hear it again in other words?",
    ]


def _offer(options: Sequence[str]) -> str:
    return f"Sorry, did I get that wrong? Was it {' or '.join(options)}?"


def _quoted(text: str) -> str:
    """A text as a part of a sentence: its words, without marks that would end it."""
    kept = "".join(sign if sign.isalnum() or sign in "'-" else " " for sign in text)
    line = " ".join(kept.split())
    return trim(line, QUOTE) if line else "that"


def _apologies(copy: Copy) -> str:
    count = sum(
        word in ("sorry", "apologies", "apologize", "apologise") for word in words(copy["line"])
    )
    return f"Line says sorry {count} times; allowed 1; keep one" if count > 1 else ""


def _another(said: Sequence[str]) -> Rule:
    before = {tuple(words(line)) for line in said}

    def check(copy: Copy) -> str:
        again = tuple(words(copy["line"])) in before
        return "Line was said before, word by word; say it in other words" if again else ""

    return Rule("another line", check)


def _one_of(name: str, phrases: Sequence[str], what: str) -> Rule:
    def check(copy: Copy) -> str:
        if not phrases or found(phrases, copy["line"]):
            return ""
        return f"Line has none of {quoted(phrases)}; required is one that {what}; add it"

    return Rule(name, check)


def _content(texts: Sequence[str]) -> list[str]:
    """The words that carry meaning, each once."""
    every = (word for text in texts for word in words(text))
    return [word for word in dict.fromkeys(every) if stem(word) not in _SMALL]
