"""A shopper of nine purchases, ten candidates, and scripts of a model that foresees."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from langchain_core.messages import BaseMessage

from merchgraph.graphs import behavior_lens
from merchgraph.graphs.behavior_lens import Context, Request, Result
from merchgraph.runtime.scripted import Always, Answer, Replies, scripted
from merchgraph.tools.histories import History, Purchase

BOUGHT = ("Milk", "Bread", "Milk", "Tea", "Milk", "Bread", "Soap", "Milk", "Bread")
PAST = History(
    user="7",
    events=tuple(
        Purchase(item=item, when=date(2026, 1, 1) + timedelta(days=3 * n), category="Food")
        for n, item in enumerate(BOUGHT)
    ),
)
CANDIDATES = ["Soap", "Milk", "Wine", "Bread", "Rice"]
ASKED = Request(user="7", history=PAST, candidates=CANDIDATES)


def words(messages: Sequence[BaseMessage]) -> str:
    """All text of a request's last message."""
    content: Any = messages[-1].content
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


def letter(messages: Sequence[BaseMessage], item: str) -> str:
    """The letter under which an item is offered."""
    found = re.search(rf"^([A-T])\. {re.escape(item)}$", words(messages), flags=re.MULTILINE)
    assert found, item
    return found[1]


def names_milk(messages: Sequence[BaseMessage]) -> Answer:
    reason = "Milk comes back every other time."
    return json.dumps({"explanation": reason, "prediction": letter(messages, "Milk")})


def likes(item: str, p: float = 0.6) -> Callable[[Sequence[BaseMessage]], Answer]:
    """The probability p for one item, and the rest of it for the last candidate."""

    def answer(messages: Sequence[BaseMessage]) -> Answer:
        return {letter(messages, item): p, letter(messages, CANDIDATES[-1]): 1 - p}

    return answer


def replies(**changed: Always | Sequence[Answer]) -> Replies:
    whole: dict[str, Always | Sequence[Answer]] = {
        "predict": Always(names_milk),
        "weigh": Always(likes("Milk")),
        "count": Always(likes("Milk")),
    }
    return {**whole, **changed}


def run(rendering: str = "text", *, script: Replies | None = None, **context: Any) -> Result:
    """One run of the shopper with a scripted model."""
    with scripted(script or replies()) as model:
        given = Context.model_validate({"model": model, "rendering": rendering, **context})
        return behavior_lens.run(ASKED, given)
