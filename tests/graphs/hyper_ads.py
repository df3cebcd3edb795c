"""A new tea ad over the small pool, and a script in which every agent of the graph answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import BaseMessage

from merchgraph.graphs import hyper
from merchgraph.graphs.hyper import Context, Request, Result
from merchgraph.runtime.scripted import Always, Answer, Replies, ScriptedModel, scripted
from merchgraph.tools.ctr.pool import Ad
from merchgraph.tools.vectors import Floats
from tests.tools.ctr.small_pool import NAMES, small_pool

AD = Request(id="new", text="an advertisement for green tea")
GOOD = {"aisle: tea": 50, "aisle: baby": -10, "trips": 10, "price tier": 5, "children": -2}
REASON = {"feature": "aisle: tea", "direction": "+", "strength": 3, "because": "they drink tea"}
READING = {
    "visual": "", "offer": "green tea", "audience": "tea drinkers", "intercept": -3.5, "confidence": 0.7,
}  # fmt: skip


class Vectors:
    """In place of the embedding: one axis per kind, and a little of each ad's own."""

    def __init__(self, clip: str = "") -> None:
        self.clip = clip

    def of(self, ads: Sequence[Ad]) -> Floats:
        rows = [[kind in ad.text for kind in ("tea", "baby", "soap")] for ad in ads]
        whole = np.array(rows, np.float32) + 0.1
        own = [[len(ad.text) % 7 / 50, 0, 0] for ad in ads]
        whole = whole + np.array(own, np.float32)
        return np.asarray(whole / np.linalg.norm(whole, axis=1, keepdims=True), np.float32)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool that the graph finds under every name."""
    monkeypatch.setattr(hyper, "pool_of", lambda shop_name, seed=0: small_pool())
    monkeypatch.setattr(hyper, "AdVectors", Vectors)


def reply(weights: Mapping[str, Any], *reasons: Mapping[str, Any]) -> str:
    """A writer's reply; NaN and Infinity are written as Python writes them."""
    return json.dumps({"reasoning": list(reasons or [REASON]), "weights": dict(weights)})


def named(messages: Sequence[BaseMessage]) -> list[str]:
    """The features of a prompt."""
    return re.findall(r"^- (.+?): how much", str(messages[-1].content), flags=re.MULTILINE)


def good(messages: Sequence[BaseMessage]) -> Answer:
    """Every feature that was asked for has its good weight."""
    return reply({name: GOOD[name] for name in named(messages)})


def replies(**changed: Always | Sequence[Answer]) -> Replies:
    """Every agent answers well unless `changed` says otherwise ("write__trips": lane)."""
    given = {key.replace("__", "@"): answer for key, answer in changed.items()}
    return {"read": Always(json.dumps(READING)), "write": Always(good), **given}


def run(
    script: Replies | None = None, request: Request = AD, **context: Any
) -> tuple[Result, ScriptedModel]:
    with scripted(script or replies()) as model:
        result = hyper.run(request, Context(model=model, **context))
    return result, model


def kept(result: Result) -> dict[str, float]:
    """Feature -> weight as it is kept."""
    assert [weight.feature for weight in result.weights] == NAMES
    return {weight.feature: weight.weight for weight in result.weights}
