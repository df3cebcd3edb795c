from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Self

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import contract
from merchgraph.tools.contract import Past, Recommender, Scores, fitted
from merchgraph.tools.counts import OwnFrequency, Popularity
from merchgraph.tools.data.tables import Events, Items, Shop
from tests.conftest import Checks

IDS = ["a", "b", "c"]


class Table(Recommender):
    """Scores that were given."""

    def __init__(self, rows: Sequence[Sequence[float]]) -> None:
        self.rows = np.array(rows)
        self.items = tuple(f"i{n}" for n in range(self.rows.shape[1]))
        self.asked: list[int] = []

    def fit(self, items: Items, events: Events) -> Self:
        return self

    def scores(self, pasts: Sequence[Past]) -> Scores:
        self.asked.append(len(pasts))
        return self.rows[[int(past.long_term[0]) for past in pasts]]


@given(
    st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30),
    st.integers(1, 35),
    st.sets(st.integers(0, 29)),
    st.booleans(),
)
def test_the_best_are_a_stable_sort_of_the_scores(
    row: list[float], k: int, seen: set[int], exclude_seen: bool
) -> None:
    past = Past(["0", *(f"i{n}" for n in seen)])
    (ranking,) = Table([row]).recommend([past], k, exclude_seen=exclude_seen)
    left = [n for n in range(len(row)) if not exclude_seen or n not in seen]
    best = sorted(left, key=lambda n: -row[n])[:k]
    assert ranking.items == [f"i{n}" for n in best]
    assert ranking.scores == [row[n] for n in best]


def test_many_shoppers_are_scored_some_at_a_time() -> None:
    model = Table(np.eye(150).tolist())
    rankings = model.recommend([Past([f"{n}"]) for n in range(150)], 1, exclude_seen=False)
    assert [ranking.items for ranking in rankings] == [[f"i{n}"] for n in range(150)]
    assert sum(model.asked) == 150
    assert max(model.asked) < 100


class Blind(Popularity):
    """Breaks the contract in one way: what was seen comes back."""

    def recommend(
        self, pasts: Sequence[Past], k: int, *, exclude_seen: bool = True
    ) -> list[contract.Ranking]:
        return super().recommend(pasts, k, exclude_seen=False)


def test_the_shared_checks_see_a_broken_contract(keeps_the_contract: Checks) -> None:
    with pytest.raises(AssertionError):
        keeps_the_contract(Blind(), learns="nothing")
    with pytest.raises(AssertionError):
        keeps_the_contract(Popularity(), learns="own")
    with pytest.raises(AssertionError):
        keeps_the_contract(OwnFrequency(), learns="alike")


@pytest.fixture
def store() -> Iterator[Shop]:
    """a is bought on days 1 to 3, b on day 2, c is looked at every day."""
    log = [(1, "a", "purchase"), (2, "a", "purchase"), (3, "a", "purchase"), (2, "b", "purchase")]
    log += [(day, "c", "view") for day in range(1, 10)]
    rows = [("ann", f"{day}", datetime(2026, 1, day), kind, item) for day, item, kind in log]
    columns = ["user", "session", "time", "behaviour", "item"]
    items = Items(pl.DataFrame({"item": IDS, "title": IDS}))
    events = Events(pl.DataFrame(rows, schema=columns, orient="row"))
    yield Shop("abc", items, events)
    contract._fitted.clear()


@pytest.mark.parametrize(
    ("before", "counts"),
    [
        (None, [3, 1, 0]),
        (datetime(2026, 1, 3), [2, 1, 0]),
        (datetime(2026, 1, 3, 1), [3, 1, 0]),
        (datetime(2026, 1, 1), [0, 0, 0]),
    ],
)
def test_a_model_is_fitted_on_the_purchases_before_the_time(
    store: Shop, before: datetime | None, counts: list[float]
) -> None:
    assert fitted(Popularity, store, before).of(Past(), IDS) == counts


def test_a_log_without_purchases_counts_with_all_its_events(store: Shop) -> None:
    views = Events(store.events.frame.filter(pl.col("behaviour") == "view"))
    looked = Shop("views", store.items, views)
    # the log has none at all: that it has none before a time would not do
    assert fitted(Popularity, looked, datetime(2026, 1, 3)).of(Past(), IDS) == [0, 0, 2]
    assert fitted(Popularity, store, datetime(2026, 1, 1)).of(Past(), IDS) == [0, 0, 0]


def test_a_time_with_a_zone_is_refused(store: Shop) -> None:
    with pytest.raises(SetupError, match="has a time zone"):
        fitted(Popularity, store, datetime(2026, 1, 3, tzinfo=UTC))


def test_a_model_is_fitted_once_per_kind_shop_and_time(store: Shop) -> None:
    first = fitted(Popularity, store)
    assert fitted(Popularity, store) is first
    assert isinstance(fitted(OwnFrequency, store), OwnFrequency)
    assert fitted(Popularity, store, datetime(2026, 1, 3)) is not first
    assert fitted(Popularity, Shop("other", store.items, store.events)) is not first


def test_of_a_kind_the_two_latest_used_are_kept(store: Shop) -> None:
    days = [datetime(2026, 1, day) for day in (1, 2, 3)]
    one, two = (fitted(Popularity, store, day) for day in days[:2])
    assert fitted(Popularity, store, days[0]) is one
    fitted(Popularity, store, days[2])
    assert fitted(Popularity, store, days[0]) is one
    assert fitted(Popularity, store, days[1]) is not two


def test_threads_that_ask_at_once_get_one_model(
    store: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = []
    fit = Popularity.fit

    def counted(self: Popularity, items: Items, events: Events) -> Popularity:
        fits.append(self)
        return fit(self, items, events)

    monkeypatch.setattr(Popularity, "fit", counted)
    got: list[Popularity] = []
    asks = [threading.Thread(target=lambda: got.append(fitted(Popularity, store))) for _ in "12345"]
    for ask in asks:
        ask.start()
    for ask in asks:
        ask.join()
    assert len(got) == 5
    assert len({id(model) for model in got}) == len(fits) == 1
