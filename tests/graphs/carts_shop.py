"""A corner shop for CARTS, and a script in which every agent does its work."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from langchain_core.messages import BaseMessage
from numpy.typing import NDArray

from merchgraph.graphs import carts
from merchgraph.runtime.scripted import Always, Answer, Replies
from merchgraph.tools.data.tables import Events, Items, Shop

ROWS = {
    "rye": ("Rye bread", "Bakery > Bread > Dark bread"),
    "roll": ("Seeded rolls", "Bakery > Bread > Rolls"),
    "bun": ("Soft buns", "Bakery > Bread > Rolls"),
    "jam": ("Plum jam", "Grocery > Spreads > Jam"),
    "honey": ("Forest honey", "Grocery > Spreads > Honey"),
    "tea": ("Green tea", "Grocery > Drinks > Tea"),
}
ITEMS = list(ROWS)
GOOD = ["Bread & Spreads", "Fresh Bread & Jam", "Bakery & Grocery", "Rolls & Honey", "Bread & Tea"]
"""Titles that keep every hard rule but the second, whose "fresh" no feature says."""


def corner_shop(more: dict[str, str] | None = None) -> Shop:
    """Six items, and more ones by id and title."""
    rows = {item: (title, "") for item, title in (more or {}).items()} | ROWS
    items = pl.DataFrame(
        {
            "item": list(rows),
            "title": [title for title, _ in rows.values()],
            "category": [category for _, category in rows.values()],
        }
    )
    event = pl.DataFrame(
        {"user": ["ann"], "session": ["1"], "time": [datetime(2026, 1, 1)],
         "behaviour": ["purchase"], "item": ["rye"]}
    )  # fmt: skip
    return Shop("corner", Items(items), Events(event))


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """(N, 64) float32 — one unit vector per text; two texts are alike only if they are equal."""
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) for text in texts]
    rows = np.stack([np.random.default_rng(seed).normal(size=64) for seed in seeds])
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("f4")
    return unit


def titles_of(reply: Sequence[str]) -> str:
    """The writer's reply."""
    return json.dumps({"titles": list(reply)})


def extraction(messages: Sequence[BaseMessage]) -> Answer:
    """The title's last word is what the product is, the first one a feature of it."""
    title = field(messages, "Title").split()
    feature = {"quote": title[0], "feature": title[0], "kind": "style", "salience": "middle"}
    return json.dumps({"product_type": title[-1], "features": [feature]})


def true_of(messages: Sequence[BaseMessage]) -> Answer:
    """Yes if title and product have a word in common."""
    text = str(messages[-1].content)
    title = re.findall(r"<title>(.*)</title>", text)[0]
    product = text.split("<product>")[1]
    same = {w for w in words(title) if w in words(product)}
    return {"Yes": 0.9, "No": 0.1} if same else {"Yes": 0.2, "No": 0.8}


def first_label(messages: Sequence[BaseMessage]) -> Answer:
    """An arbiter that likes what stands first best."""
    return {"A": 0.6, "B": 0.3, "C": 0.1}


def field(messages: Sequence[BaseMessage], name: str) -> str:
    """A line of the product in a prompt."""
    found = re.search(rf"^{name}: (.*)$", str(messages[-1].content), flags=re.MULTILINE)
    assert found is not None
    return found[1]


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.casefold())) - {"and", "title", "category", "details"}


def script(drafts: Sequence[str] = GOOD, **changed: Always | Sequence[Answer]) -> Replies:
    """Every agent answers well; each can be replaced."""
    return {
        "extract": Always(extraction),
        "draft": Always(titles_of(drafts)),
        "relevance": Always(true_of),
        "refine": Always('{"title": "Bread, Spreads & Tea"}'),
        "arbitrate": Always(first_label),
        **{key.replace("__", "@"): answer for key, answer in changed.items()},
    }


@pytest.fixture
def corner_carts(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The shop that CARTS finds under every name, with vectors that need no model."""
    store = corner_shop()
    monkeypatch.setattr(carts, "shop", lambda name: store)
    monkeypatch.setattr(carts, "_embed", vectors)
    return store
