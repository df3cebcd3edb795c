from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.contract import Past
from merchgraph.tools.counts import OwnFrequency, Popularity
from merchgraph.tools.data.tables import Events, Items
from tests.conftest import Checks

CATALOGUE = Items(pl.DataFrame({"item": ["tea", "jam", "milk"], "title": ["Tea", "Jam", "Milk"]}))
BOUGHT = ["jam", "milk", "milk", "ham"]  # the catalogue has no ham


@pytest.fixture
def log() -> Events:
    rows = [("ann", f"s{n}", datetime(2026, 1, 1 + n), "purchase", i) for n, i in enumerate(BOUGHT)]
    columns = ["user", "session", "time", "behaviour", "item"]
    return Events(pl.DataFrame(rows, schema=columns, orient="row"))


def test_popularity_keeps_the_contract(keeps_the_contract: Checks) -> None:
    keeps_the_contract(Popularity(), learns="nothing")


def test_own_frequency_keeps_the_contract(keeps_the_contract: Checks) -> None:
    keeps_the_contract(OwnFrequency(), learns="own")


def test_popularity_counts_events_of_the_catalogue(log: Events) -> None:
    model = Popularity().fit(CATALOGUE, log)
    assert model.items == ("tea", "jam", "milk")
    assert model.scores([Past(), Past(["tea"])]).tolist() == [[0, 1, 2], [0, 1, 2]]


def test_scores_can_be_written_to_without_harm(log: Events) -> None:
    model = Popularity().fit(CATALOGUE, log)
    model.scores([Past()])[0, 0] = 99
    assert model.of(Past(), ["tea"]) == [0]


def test_own_purchases_count_before_the_popularity_of_all(log: Events) -> None:
    model = OwnFrequency().fit(CATALOGUE, log)
    past = Past(["tea", "jam", "tea", "ham"], ["milk"])
    assert model.of(past, ["milk", "tea", "jam"]) == [2 / 3, 2, 1 + 1 / 3]
    (ranking,) = model.recommend([past], 3, exclude_seen=False)
    assert ranking.items == ["tea", "jam", "milk"]
    (ranking,) = model.recommend([Past()], 3)
    assert ranking.items == ["milk", "jam", "tea"]


def test_a_catalogue_without_items_counts_as_not_fitted(log: Events) -> None:
    with pytest.raises(SetupError, match="Popularity was not fitted"):
        Popularity().fit(Items(CATALOGUE.frame.clear()), log).scores([Past()])
