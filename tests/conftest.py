"""`keeps_the_contract`: the checks that every recommender passes, on a log with a known answer.

No property test has a deadline of Hypothesis's: tests are not timed, since machines are busy.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.contract import Past, Recommender
from merchgraph.tools.data.tables import Events, Items

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

COFFEES = [f"coffee {n}" for n in range(6)]
SOAPS = [f"soap {n}" for n in range(6)]
Learns = Literal["nothing", "own", "alike"]


class Checks(Protocol):
    """What the fixture returns; see `_keeps_the_contract`."""

    def __call__(self, model: Recommender, *, learns: Learns = "alike") -> None: ...


@pytest.fixture
def keeps_the_contract() -> Checks:
    """A function that is given an unfitted recommender, fits it on a checkerboard and checks it."""
    return _keeps_the_contract


@pytest.fixture
def checkerboard() -> tuple[Items, Events]:
    """Drinkers buy coffees only and washers soaps only, all equally often; titles say which is which.

    Shoppers 0, 2, 4 ... are drinkers. Each has three sessions, and misses one item of the kind.
    """
    return _checkerboard()


def _checkerboard() -> tuple[Items, Events]:
    # kinds in turn, so that the order of the columns is no answer
    ids = [item for pair in zip(COFFEES, SOAPS, strict=True) for item in pair]
    items = pl.DataFrame(
        {
            "item": ids,
            "title": [f"{item.split()[0].capitalize()}, blend {item.split()[1]}" for item in ids],
            "category": [f"Shop > {item.split()[0]}" for item in ids],
        }
    )
    rows = []
    for user in range(12):
        kind = SOAPS if user % 2 else COFFEES
        bought = [item for n, item in enumerate(kind) if n != user // 2]
        for day in range(3):
            basket = [item for n, item in enumerate(bought) if n != day]
            time = datetime(2026, 1, 1 + day)
            rows += [(f"{user}", f"{user}/{day}", time, "purchase", item) for item in basket]
    columns = ["user", "session", "time", "behaviour", "item"]
    return Items(items), Events(pl.DataFrame(rows, schema=columns, orient="row"))


def _keeps_the_contract(model: Recommender, *, learns: Learns = "alike") -> None:
    """Check all that the contract promises.

    Args:
        model: not fitted.
        learns: what its scores depend on: "alike", coffees for who bought any coffee; "own", only
            the very items of the past; "nothing", the same kinds for all.
    """
    _refuses_before_it_is_fitted(model)
    items, events = _checkerboard()
    assert model.fit(items, events) is model
    assert model.items == tuple(items.frame["item"])
    pasts = [
        Past(COFFEES[:4], COFFEES[2:4]),
        Past(SOAPS[:4], SOAPS[2:4]),
        Past(long_term=SOAPS[:2]),
        Past(session=COFFEES[:1]),
        Past(),
        Past(["unknown", COFFEES[0]], ["unknown"]),
    ]
    _scores_are_a_table(model, pasts)
    _ranks_by_score(model, pasts)
    _refuses_what_it_cannot_answer(model, pasts[0])
    if learns != "nothing":
        _finds_the_answer(model, alike=learns == "alike")
    # nothing to learn is no fault: a strict time cut may leave no event
    scores = model.fit(items, Events(events.frame.clear())).scores(pasts)
    assert np.isfinite(scores).all()


def _refuses_before_it_is_fitted(model: Recommender) -> None:
    for ask in (
        lambda: model.scores([Past()]),
        lambda: model.recommend([Past()], 1),
        lambda: model.of(Past(), ["coffee 0"]),
    ):
        with pytest.raises(SetupError, match=rf"{type(model).__name__} was not fitted; call fit"):
            ask()


def _scores_are_a_table(model: Recommender, pasts: list[Past]) -> None:
    scores = model.scores(pasts)
    assert scores.shape == (len(pasts), len(model.items))
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert model.scores([]).shape == (0, len(model.items))
    np.testing.assert_array_equal(model.scores(pasts), scores)
    slate = [SOAPS[5], COFFEES[0], SOAPS[0]]
    for past, row in zip(pasts, scores, strict=True):
        np.testing.assert_allclose(model.scores([past])[0], row, rtol=1e-9, atol=1e-12)
        expected = [row[model.items.index(item)] for item in slate]
        np.testing.assert_allclose(model.of(past, slate), expected, rtol=1e-9, atol=1e-12)
    assert model.of(pasts[0], []) == []


def _ranks_by_score(model: Recommender, pasts: list[Past]) -> None:
    """`recommend` is a plain sort of `scores`: equal scores in the order of `items`."""
    for k in (1, 3, len(model.items), len(model.items) + 9):
        for exclude_seen in (True, False):
            rankings = model.recommend(pasts, k, exclude_seen=exclude_seen)
            assert len(rankings) == len(pasts)
            for past, ranking, row in zip(pasts, rankings, model.scores(pasts), strict=True):
                seen = {*past.long_term, *past.session} if exclude_seen else set()
                left = [n for n, item in enumerate(model.items) if item not in seen]
                best = sorted(left, key=lambda n: (-row[n], n))[:k]
                assert ranking.items == [model.items[n] for n in best]
                assert ranking.scores == [row[n] for n in best]


def _refuses_what_it_cannot_answer(model: Recommender, past: Past) -> None:
    for k in (0, -1):
        with pytest.raises(SetupError, match=f"k is {k}, but at least 1"):
            model.recommend([past], k)
    with pytest.raises(SetupError, match=r"'coffee 9'.*did you mean 'coffee \d'"):
        model.of(past, ["coffee 0", "coffee 9"])


def _finds_the_answer(model: Recommender, *, alike: bool) -> None:
    for kind, other in ((COFFEES, SOAPS), (SOAPS, COFFEES)):
        whole = Past([*kind, *kind[:3]], kind[3:5])
        (ranking,) = model.recommend([whole], k=len(kind), exclude_seen=False)
        assert set(ranking.items) == set(kind)
        if alike:
            for past in (Past(kind[:4], kind[2:4]), Past(session=kind[:4]), Past(kind[:4])):
                (ranking,) = model.recommend([past], k=2)
                assert set(ranking.items) == set(kind[4:])
                assert min(model.of(past, kind[4:])) > max(model.of(past, other))
