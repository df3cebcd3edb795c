"""A corner shop of 12 items and two shoppers, and a script in which every agent does its work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime

import polars as pl
import pytest
from langchain_core.messages import BaseMessage

from merchgraph.agents.nli import Rationale
from merchgraph.agents.user_understanding import Constraints, Understanding
from merchgraph.graphs import arag
from merchgraph.runtime.scripted import Always, Answer, Replies
from merchgraph.tools import candidates
from merchgraph.tools.candidates import Past
from merchgraph.tools.data.tables import Events, Items, Shop
from merchgraph.tools.retrieval import Hit

TITLES = {
    "milk": "Oat milk", "tea": "Green tea", "cake": "Lemon cake", "soap": "Olive soap",
    "rice": "Brown rice", "beer": "Pale ale", "jam": "Plum jam", "salt": "Sea salt",
    "nuts": "Mixed nuts", "eggs": "Ten eggs", "corn": "Sweet corn", "wine": "Red wine",
}  # fmt: skip
LOG = [
    ("ann", 1, "milk"), ("ann", 1, "tea"), ("ann", 2, "milk"), ("ann", 3, "jam"),
    ("bob", 2, "beer"), ("bob", 4, "nuts"),
]  # fmt: skip

Scripting = Callable[..., Replies]


@pytest.fixture
def corner(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The shop that graphs find under every name; its one source gives the catalogue in order."""
    items = pl.DataFrame({"item": list(TITLES), "title": list(TITLES.values())})
    rows = [(user, f"{user}/{day}", datetime(2026, 1, day), item) for user, day, item in LOG]
    columns = ["user", "session", "time", "item"]
    events = pl.DataFrame(rows, schema=columns, orient="row")
    store = Shop("corner", Items(items), Events(events.with_columns(behaviour=pl.lit("purchase"))))

    def in_order(store: Shop, past: Past, k: int) -> list[Hit]:
        left = [item for item in TITLES if item not in past.session]
        return [Hit(item, 1 - place / 100) for place, item in enumerate(left[:k])]

    monkeypatch.setattr(arag, "shop", lambda name: store)
    monkeypatch.setitem(candidates.SOURCES, "semantic", in_order)
    return store


@pytest.fixture
def script() -> Scripting:
    """`script({"tea": 0.9}, rank=...)`: every agent answers well; each can be replaced."""
    return replies


def replies(fits: dict[str, float] | None = None, **changed: Always | Sequence[Answer]) -> Replies:
    """Items fit with 0.8 unless `fits` says otherwise; the ranker turns its list around."""
    lanes = {f"nli@{item}": Always(judge(fit)) for item, fit in (fits or {}).items()}
    return {
        "understand": Always(UNDERSTANDING),
        "nli": Always(judge(0.8)),
        "summarize": Always(summary),
        "rank": Always(backwards),
        **lanes,
        **{key.replace("__", "@"): answer for key, answer in changed.items()},
    }


UNDERSTANDING = Understanding(
    long_term=["breakfast"],
    session_goal="something sweet",
    constraints=Constraints(price=None, brand=None, avoid=[]),
    summary="Buys breakfast; wants something sweet.",
)


def judge(fit: float) -> Callable[[Sequence[BaseMessage]], Answer]:
    """Yes with the probability `fit`, and a reason when it is asked why."""

    def answer(messages: Sequence[BaseMessage]) -> Answer:
        asked_why = len(messages) > 2
        return Rationale(reason=f"fits {fit}") if asked_why else {"Yes": fit, "No": 1 - fit}

    return answer


def offered(messages: Sequence[BaseMessage]) -> list[str]:
    """The numbers of the products in a prompt."""
    return re.findall(r"^(\d+)\. ", str(messages[-1].content), flags=re.MULTILINE)


def summary(messages: Sequence[BaseMessage]) -> Answer:
    themes = [{"text": "treats", "numbers": offered(messages)[:2]}]
    return json.dumps({"themes": themes, "summary": "Some treats."})


def backwards(messages: Sequence[BaseMessage]) -> Answer:
    return json.dumps({"ranking": offered(messages)[::-1]})
