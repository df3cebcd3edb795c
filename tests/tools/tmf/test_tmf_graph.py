from __future__ import annotations

from datetime import datetime

import numpy as np

from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import Log, Trail, log
from merchgraph.tools.tmf.goods import Goods, goods
from merchgraph.tools.tmf.graph import Relations, relations
from tests.tools.gmvo.toy import START, events, items

DAY0 = float((START - datetime(1970, 1, 1)).days)


def clubs() -> tuple[Log, Goods]:
    """Even households buy teas and odd ones soaps, some of them again; all have a look at soap 0."""
    rows = []
    for house in range(20):
        kind = "soap" if house % 2 else "tea"
        for day in range(6):
            rows.append((f"h{house:02}", day, f"{kind} {(house + 2 * day) % 10}", "purchase"))
            rows.append((f"h{house:02}", day, "soap 0", "view"))
    kept = goods(items(), events(rows), 1, 3)
    return log(events(rows), kept), kept


def learned(steps: int = 30) -> tuple[Relations, Log, Goods]:
    past, kept = clubs()
    config = Config(graph_steps=steps, graph_width=8)
    return relations(past, len(kept), DAY0 + 5, config), past, kept


def test_a_household_is_near_what_households_like_it_bought() -> None:
    found, past, kept = learned()
    bought = past.behaviours.index("purchase")
    teas = [n for n, item in enumerate(kept.items) if item.startswith("tea")]
    soaps = [n for n, item in enumerate(kept.items) if item.startswith("soap") and item != "soap 0"]
    own = np.array(teas[:2])
    trail = Trail(own, np.full(2, bought), np.arange(2))
    others = np.array([*teas[2:], *soaps])
    scores = found.affinities(trail, others)[bought]
    assert scores[: len(teas) - 2].min() > scores[len(teas) - 2 :].max()


def test_edges_are_counted_by_behaviour_and_the_window_is_kept() -> None:
    found, past, kept = learned(steps=1)
    view, bought = past.behaviours.index("view"), past.behaviours.index("purchase")
    soap0 = kept.items.index("soap 0")
    assert found.degrees[view, soap0] == 20
    early = past.day < DAY0 + 5
    pairs = {(u, i) for u, i, b in zip(past.user[early], past.item[early], past.behaviour[early],
                                       strict=True) if b == bought}  # fmt: skip
    assert found.degrees[bought].sum() == len(pairs)
    trail = Trail(np.array([3, 3, 3, 5]), np.array([bought, bought, view, bought]), np.arange(4))
    edges = found.edges(trail, np.array([3, 4, 5]))
    np.testing.assert_allclose(edges[bought], np.log1p([2, 0, 1]), rtol=1e-6)
    np.testing.assert_allclose(edges[view], np.log1p([1, 0, 0]), rtol=1e-6)


def test_a_household_without_a_past_has_numbers_of_zero() -> None:
    found, _, _ = learned(steps=1)
    nothing = np.zeros(0, np.int64)
    mine = found.mine(Trail(nothing, nothing, nothing), np.arange(4))
    assert mine.shape == (4, 6)
    assert not mine.any()


def test_columns_are_standardised_and_two_trainings_are_equal() -> None:
    first, _, kept = learned(steps=2)
    again, _, _ = learned(steps=2)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    table = first.table
    assert table.shape == (len(kept), 2 * (8 + 1))
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-5)
    assert first.known.all()
