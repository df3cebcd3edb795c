"""Titles of CARTS by code, in a shop in which every item has a brand: what all items have is no title."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from merchgraph.graphs.carts_choice import _merit
from merchgraph.graphs.carts_module import brief_of, by_code, goods_of, plain_clusters
from merchgraph.graphs.carts_state import Brief, Context
from merchgraph.graphs.carts_titles import by_template, shots
from merchgraph.graphs.versions import Finding, Refined, Round
from merchgraph.tools.data.tables import Items, Shop
from merchgraph.tools.features import Feature, cover, telling
from tests.graphs.carts_shop import corner_shop

ROWS = [
    ("Cheddar cheese, 12 oz", "Grocery > Cheese > Cheddar cheese"),
    ("Cottage cheese, 1 gal", "Grocery > Cheese > Cottage cheese"),
    ("Cottage cheese, 24 oz", "Grocery > Cheese > Cottage cheese"),
    ("Rye bread, 500 g", "Bakery > Bread > Rye bread"),
    ("White bread, 500 g", "Bakery > Bread > White bread"),
]
MODULE = [str(n) for n in range(len(ROWS))]


def branded(rows: list[tuple[str, str]] = ROWS, others: int = 200) -> Shop:
    """A shop whose other items are groceries of the same brand class."""
    every = [*rows, *[("Soap", "Grocery > Household > Soap")] * others]
    frame = pl.DataFrame(
        {
            "item": [*map(str, range(len(every) - 1)), "rye"],  # which the log knows
            "title": [title for title, _ in every],
            "category": [category for _, category in every],
            "brand": ["national brand"] * len(every),
        }
    )
    return Shop("branded", Items(frame), corner_shop().events)


def planned(store: Shop, items: list[str] = MODULE) -> tuple[Brief, list[Feature]]:
    """The brief by code, and its features."""
    goods = goods_of(store, items)
    features = [feature for one in goods for feature in by_code(one)]
    every = plain_clusters(features, dict.fromkeys(items, 1.0))
    chosen = cover(telling(every), dict.fromkeys(items, 1.0), 4)
    return brief_of(goods, features, every, chosen, Context()), features


def test_what_the_whole_shop_has_is_neither_evidence_nor_cue() -> None:
    brief, _ = planned(branded())
    said = {cluster.text for cluster in brief.clusters}
    assert {"Cheese", "Bread", "Cottage cheese"} <= said
    assert not said & {"national brand", "Grocery"}
    assert "national" not in brief.about
    assert not [source for source in brief.sources if "oz" in source.split()]
    assert any("national brand" in source for source in brief.sources)  # true, and may be said


def test_the_writer_is_told_the_most_common_types_first() -> None:
    brief, _ = planned(branded())
    assert brief.cues[0] == "Cottage cheese"
    assert len(brief.cues) == len(set(brief.cues))
    assert "- cottage cheese (types of product)" in brief.about


def test_a_template_names_the_themes_of_a_mixed_module() -> None:
    brief, features = planned(branded())
    (title,) = by_template(brief, features, Context(), count=1)
    assert ("Bread" in title, "Cheese" in title) == (True, True)
    assert len(title) <= Context().limit


def test_a_template_says_the_shared_category_where_types_would_leave_items_out() -> None:
    milks = ["Fluid milk", "Fluid milk", "Buttermilk", "Coffee creamer"]
    rows = [(kind, f"Grocery > Milk products > {kind}") for kind in milks]
    rows += [(f"{kind} dogs", "Meat > Hot dogs > Hot dogs") for kind in ("Kosher", "Premium")]
    brief, features = planned(branded(rows), [str(n) for n in range(6)])
    (title,) = by_template(brief, features, Context(), count=1)
    assert ("Milk Products" in title, "Dogs" in title) == (True, True)


def test_where_all_is_common_the_features_are_what_they_were() -> None:
    store = branded([("Soap", "Grocery > Household > Soap")] * 2)
    brief, features = planned(store, ["0", "1"])
    assert {feature.rarity for feature in features} == {0.0}
    assert "Soap" in {cluster.text for cluster in brief.clusters}
    assert by_template(brief, features, Context(), count=1)


def finished(title: str, evidence: float) -> Refined:
    found = [
        Finding(rule="evidence", passed=True, score=evidence),
        Finding(rule="relevance", passed=False, score=0.0),
    ]
    return Refined.of(title, [Round(number=0, text={"title": title}, findings=found)], "passed")


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (("Cheese & Bread", 1.0), ("Cottage cheese", 0.4)),
        (("Cheese & Bread for You", 1.0), ("National brand", 1.0)),
        (("Cottage cheese", 0.4), ("Cheddar or White", 0.4)),
        (("Cheese & Bread", 1.0), ("Cheese & Bread for You", 1.0)),
    ],
)
def test_of_titles_of_equal_evidence_the_specific_one_wins_and_then_the_short_one(
    better: tuple[str, float], worse: tuple[str, float]
) -> None:
    brief, _ = planned(branded())
    assert _merit(finished(*better), brief) > _merit(finished(*worse), brief)


def test_shots_mend_titles_that_code_has_spoilt() -> None:
    brief, features = planned(branded())
    drafts = by_template(brief, features, Context(), count=2)
    first, second = shots(brief, Context(), drafts)
    assert not {first.better["title"], second.better["title"]} & set(drafts)
    assert by_template(brief, features, Context(), count=4)[2:] == [
        second.better["title"], first.better["title"],
    ]  # fmt: skip
    assert first.faults[0].startswith("Title has ")
    assert any("exclusive" in fault for fault in second.faults)
    assert len(first.text["title"]) > Context().limit >= len(first.better["title"])


def test_shots_tell_nothing_that_is_withheld() -> None:
    brief, _ = planned(branded())
    withheld: Any = {"feedback": ["relevance"]}
    assert shots(brief, Context(**withheld), []) == []
    assert shots(brief.model_copy(update={"clusters": []}), Context(), []) == []
