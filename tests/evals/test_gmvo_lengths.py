from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from merchgraph.evals.suites.gmvo_lengths import EPOCHS, TITLE, Earlier, choose, earlier, table
from merchgraph.evals.suites.gmvo_systems import Trained, trained
from merchgraph.tools.data.tables import Events
from merchgraph.tools.gmvo.learn import day_of, history
from tests.evals.gmvo_toy import BEFORE, TINY
from tests.tools.gmvo.toy import toy_shop


@dataclass
class Curve:
    """A trainer and its judge, for whom a training's NDCG depends on its epochs alone."""

    values: dict[int, float]

    def scores(self, system: Trained, seed: int) -> float:
        return self.values[system.config.epochs]

    def judge(self, score: float) -> dict[str, Any]:
        return {"NDCG@8": np.array([score])}

    def earlier(self) -> Earlier:
        both = cast(Any, self)
        return Earlier(both, both)


def slow_system() -> Trained:
    return next(system for system in trained(TINY) if system.config.parts == "graph")


@pytest.mark.parametrize(
    ("values", "chosen", "tried"),
    [
        ([0.3, 0.4, 0.35, 0.9], 40, 3),
        ([0.4, 0.3, 0.9], 20, 2),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 320, 5),
        ([0.3, 0.3, 0.2], 20, 3),
    ],
)
def test_epochs_double_until_more_make_it_worse(
    values: list[float], chosen: int, tried: int
) -> None:
    curve = Curve(dict(zip(EPOCHS, values, strict=False)))
    found = choose(slow_system(), curve.earlier(), 0)
    assert found.system.config.epochs == chosen
    assert [*found.tried] == [*EPOCHS[:tried]]
    assert found.system.config.model_copy(update={"epochs": 20}) == slow_system().config
    shown = table([found])
    assert shown.title == TITLE
    assert shown.rows[0][:3] == [found.system.name, str(chosen), f"{values[0]:.4f}"]
    assert len(shown.rows[0]) == len(shown.columns)
    assert shown.rows[0][2:].count(None) == len(EPOCHS) - tried


def test_epochs_are_chosen_without_what_comes_after_the_cut() -> None:
    store = toy_shop()
    cut = store.events.frame.filter(pl.col("time") < BEFORE)
    assert 0 < len(cut) < len(store.events)
    found = [
        earlier(history(store.items, events, TINY, day_of(BEFORE)), TINY, "toy")
        for events in (store.events, Events(cut))
    ]
    whole, past = found
    day = day_of(BEFORE - timedelta(days=TINY.horizon_days))
    assert whole.cases.window.past.day == past.cases.window.past.day == day
    assert len(whole.cases) == len(past.cases) > 0
    assert (whole.cases.query == past.cases.query).all()
    assert (whole.cases.place == past.cases.place).all()
    for one, other in zip(whole.trainer.windows, past.trainer.windows, strict=True):
        assert one[0].past.day < day
        assert (one[1] == other[1]).all()
        assert (one[0].signals == other[0].signals).all()
