from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.contract import Past
from merchgraph.tools.copurchase import LATEST, CoPurchase, Pair, Weighting
from merchgraph.tools.data.tables import Events, Items
from tests.conftest import Checks

IDS = ["tea", "jam", "milk", "salt", "ham"]
ITEMS = Items(pl.DataFrame({"item": IDS, "title": [item.capitalize() for item in IDS]}))
BASKETS = [["tea", "jam"], ["tea", "jam", "milk", "salt"], ["tea"], ["milk", "salt"]]


def log(baskets: Sequence[Sequence[str]]) -> Events:
    day = datetime(2026, 1, 1)
    rows = [("ann", f"{n}", day, "purchase", i) for n, basket in enumerate(baskets) for i in basket]
    schema = dict.fromkeys(["user", "session", "time", "behaviour", "item"], pl.String())
    return Events(pl.DataFrame(rows, schema=schema | {"time": pl.Datetime("us")}, orient="row"))


def fitted(baskets: Sequence[Sequence[str]] = BASKETS, **settings: Any) -> CoPurchase:
    return CoPurchase(**settings).fit(ITEMS, log(baskets))


def by_hand(baskets: Sequence[Sequence[str]], weighting: Weighting, session: list[str]) -> Any:
    """(I,) float64 — the definition, on a dense table."""
    table = np.array([[float(item in basket) for item in IDS] for basket in baskets if basket])
    if weighting == "size":
        table /= np.sqrt(table.sum(axis=1, keepdims=True))
    lengths = np.sqrt((table**2).sum(axis=0))
    cosines = table.T @ table / np.maximum(np.outer(lengths, lengths), 1e-12)
    np.fill_diagonal(cosines, 0)
    return cosines[[IDS.index(item) for item in dict.fromkeys(session)]].sum(axis=0)


@pytest.mark.parametrize("weighting", ["size", "equal"])
@pytest.mark.parametrize("least", [1, 2])
def test_co_purchase_keeps_the_contract(
    keeps_the_contract: Checks, weighting: Weighting, least: int
) -> None:
    keeps_the_contract(CoPurchase(weighting=weighting, least=least))


def test_an_unknown_weighting_is_refused() -> None:
    unknown: Any = "tfidf"
    with pytest.raises(SetupError, match="weighting is 'tfidf', but 'size' or 'equal'"):
        CoPurchase(weighting=unknown)
    with pytest.raises(SetupError, match="least is 0, but at least 1 basket"):
        CoPurchase(least=0)


def test_each_basket_counts_by_its_weight() -> None:
    # tea stands in 3 baskets and jam in 2, together in both; by size they weigh 1/2, 1/4 and 1
    assert fitted(weighting="equal").of(Past(session=["tea"]), ["jam"]) == [
        pytest.approx(2 / np.sqrt(3 * 2), rel=1e-6)
    ]
    assert fitted(weighting="size").of(Past(session=["tea"]), ["jam"]) == [
        pytest.approx(0.75 / np.sqrt(1.75 * 0.75), rel=1e-6)
    ]


basket_lists = st.lists(st.lists(st.sampled_from(IDS), min_size=1, max_size=7), max_size=9)


@given(
    basket_lists.filter(bool), st.lists(st.sampled_from(IDS)), st.sampled_from(["size", "equal"])
)
def test_scores_are_the_sums_of_cosines(
    baskets: list[list[str]], session: list[str], weighting: Weighting
) -> None:
    model = fitted(baskets, weighting=weighting)
    expected = by_hand(baskets, weighting, session)
    past = Past(session=session)
    np.testing.assert_allclose(model.scores([past])[0], expected, atol=1e-6)
    # the two ways of adding up must not part, or a replayed slate could turn around
    assert model.of(past, IDS) == model.scores([past])[0].tolist()


@given(basket_lists)
def test_rare_pairs_are_no_neighbours(baskets: list[list[str]]) -> None:
    every, often = fitted(baskets), fitted(baskets, least=2)
    for one in IDS:
        near = every.neighbours(one, len(IDS))
        kept = [item for item in near.items if every.pair(one, item).together >= 2]
        assert often.neighbours(one, len(IDS)).items == kept
        assert often.of(Past(session=[one]), kept) == every.of(Past(session=[one]), kept)


@given(basket_lists)
def test_pairs_are_counted_once_per_basket(baskets: list[list[str]]) -> None:
    model = fitted(baskets)
    for one, other in product(IDS, IDS):
        both = sum(one in basket and other in basket for basket in baskets)
        first, second = (sum(item in basket for basket in baskets) for item in (one, other))
        assert model.pair(one, other) == Pair(both, first, second, len(baskets))


def test_lift_says_how_many_times_as_often_as_by_chance() -> None:
    pair = fitted().pair("milk", "salt")
    assert pair == Pair(together=2, first=2, second=2, baskets=4)
    assert pair.lift == 2
    assert fitted().pair("tea", "ham").lift == 0


def test_one_session_name_of_two_users_is_two_baskets() -> None:
    frame = log([["tea"], ["jam"]]).frame
    events = frame.with_columns(session=pl.lit("1"), user=pl.Series(["ann", "bob"]))
    assert CoPurchase().fit(ITEMS, Events(events)).pair("tea", "jam") == Pair(0, 1, 1, 2)
    events = events.with_columns(user=pl.lit("ann"))
    assert CoPurchase().fit(ITEMS, Events(events)).pair("tea", "jam") == Pair(1, 1, 1, 1)


def test_neighbours_are_what_was_bought_with_an_item_best_first() -> None:
    model = fitted()
    near = model.neighbours("jam", 9)
    assert near.items == ["tea", "milk", "salt"]
    assert near.scores == model.of(Past(session=["jam"]), near.items)
    assert model.neighbours("jam", 1).items == ["tea"]
    assert model.neighbours("ham", 3).items == []
    with pytest.raises(SetupError, match=r"'hem'.*did you mean 'ham'"):
        model.neighbours("hem", 3)
    with pytest.raises(SetupError, match="k is 0"):
        model.neighbours("ham", 0)


def test_the_long_term_stands_in_for_a_missing_session_only() -> None:
    model = fitted()
    assert model.of(Past(["milk"]), IDS) == model.of(Past(session=["milk"]), IDS)
    assert model.of(Past(["milk"], ["tea"]), IDS) == model.of(Past(session=["tea"]), IDS)
    assert model.of(Past(["milk"], ["unknown"]), IDS) == [0] * len(IDS)
    assert model.context(Past(["milk", "tea", "milk", "unknown"])) == ["tea", "milk"]


def test_of_a_long_history_the_latest_items_count() -> None:
    ids = [f"{n}" for n in range(LATEST + 5)]
    items = Items(pl.DataFrame({"item": ids, "title": ids}))
    model = CoPurchase().fit(items, log([ids]))
    assert model.context(Past(ids)) == ids[5:]
    assert model.context(Past(session=ids)) == ids


def test_a_second_fit_forgets_the_first() -> None:
    model = fitted()
    assert model.fit(ITEMS, log([["tea", "ham"]])).pair("tea", "ham") == Pair(1, 1, 1, 1)
    assert model.neighbours("jam", 3).items == []


def test_a_missing_scipy_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "scipy"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(SetupError, match=r"scipy, which is not installed: pip install"):
        fitted()


def test_importing_it_loads_no_scipy() -> None:
    code = "import sys, merchgraph.tools.copurchase; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
