from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from merchgraph.evals.suite import Case
from merchgraph.evals.suites import arag_recall
from merchgraph.evals.suites.arag_recall import recall_of_sources
from merchgraph.runtime.errors import SetupError
from merchgraph.tools import candidates
from merchgraph.tools.candidates import Past, Source
from merchgraph.tools.data.tables import Events, Items, Shop
from merchgraph.tools.retrieval import Hit

BEFORE = datetime(2026, 1, 9)
NAMES = [f"i{n}" for n in range(10)]


@pytest.fixture
def store() -> Shop:
    """Ten items, of which i8 and i9 share a text."""
    text = [f"text {min(n, 8)}" for n in range(10)]
    items = Items(pl.DataFrame({"item": NAMES, "title": NAMES, "text": text}))
    row = {"user": "a", "session": "1", "time": datetime(2026, 1, 1), "behaviour": "purchase"}
    return Shop("toy", items, Events(pl.DataFrame([{**row, "item": "i0"}])))


def case(target: str, long_term: Sequence[str] = ("i0",)) -> Case:
    request = {
        "user": "a",
        "session": ["i1"],
        "long_term": list(long_term),
        "candidates": [target],
        "before": BEFORE.isoformat(),
    }
    return Case(id=target, request=request, truth={"relevant": [target]})


def use(monkeypatch: pytest.MonkeyPatch, **sources: Source) -> Any:
    monkeypatch.setattr(candidates, "SOURCES", sources)
    return list(sources)


def listing(*items: str) -> Source:
    """Gives these items to every shopper; checks what it was told."""

    def source(store: Shop, past: Past, k: int) -> list[Hit]:
        assert (past.session, past.before) == (["i1"], BEFORE)
        return [Hit(item, -place) for place, item in enumerate(items)][:k]

    return source


def test_recall_counts_the_targets_among_the_first_k(
    monkeypatch: pytest.MonkeyPatch, store: Shop
) -> None:
    names = use(monkeypatch, near=listing("i2", "i3", "i8"), often=listing("i5", "i2", "i6"))
    some = [case(target) for target in ("i2", "i3", "i6", "i7")]
    near, often, union = recall_of_sources(store, some, sources=names, depths=(1, 2, 3, 5))
    assert (near.source, often.source, union.source, union.n) == ("near", "often", "union", 4)
    assert near.items == {1: 0.25, 2: 0.5, 3: 0.5, 5: 0.5}
    assert often.items == {1: 0.0, 2: 0.25, 3: 0.5, 5: 0.5}
    # in turn: i2, i5, i3, i8, i6
    assert union.items == {1: 0.25, 2: 0.25, 3: 0.5, 5: 0.75}


def test_another_item_of_the_targets_text_counts_for_the_text_only(
    monkeypatch: pytest.MonkeyPatch, store: Shop
) -> None:
    names = use(monkeypatch, near=listing("i2", "i8"))
    near, _ = recall_of_sources(store, [case("i9")], sources=names, depths=(1, 2))
    assert near.items == {1: 0.0, 2: 0.0}
    assert near.texts == {1: 0.0, 2: 1.0}


def test_a_source_may_know_nothing_of_one_shopper_but_not_of_all(
    monkeypatch: pytest.MonkeyPatch, store: Shop
) -> None:
    def own(store: Shop, past: Past, k: int) -> list[Hit]:
        return [Hit(item, 1.0) for item in past.long_term]

    names = use(monkeypatch, own=own)
    known, unknown = case("i2", ["i2"]), case("i3", [])
    row, _ = recall_of_sources(store, [known, unknown], sources=names, depths=(5,))
    assert row.items == {5: 0.5}
    with pytest.raises(SetupError, match="own found no candidate"):
        recall_of_sources(store, [unknown], sources=names)
    with pytest.raises(SetupError, match="at least 1 case"):
        recall_of_sources(store, [], sources=names)


def test_progress_is_told_after_each_case(monkeypatch: pytest.MonkeyPatch, store: Shop) -> None:
    names, told = use(monkeypatch, near=listing("i2")), list[tuple[int, int]]()
    some = [case("i2"), case("i3")]
    recall_of_sources(
        store, some, sources=names, progress=lambda done, all_: told.append((done, all_))
    )
    assert told == [(1, 2), (2, 2)]


def test_an_unknown_source_is_refused_and_trained_ones_are_not_asked_by_default(
    monkeypatch: pytest.MonkeyPatch, store: Shop
) -> None:
    trained = {"complement", "similar", "grace", "tmf"}
    assert {*arag_recall.UNTRAINED} | trained == set(candidates.SOURCES)
    use(monkeypatch, near=listing("i2"))
    with pytest.raises(SetupError, match="There is no source 'far'; there are near; name some"):
        recall_of_sources(store, [case("i2")], sources=["far"])  # type: ignore[list-item]
