"""ARAG's last step: a list that is fair to sellers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from merchgraph.graphs import arag, arag_fair
from merchgraph.graphs.arag_fair import Fair, chances, fair
from merchgraph.graphs.fusion import Fused, Share
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.scripted import scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.checkpoint import as_bytes, home, save
from merchgraph.tools.data.tables import Events, Items, Shop
from merchgraph.tools.fairness.duals import Goal
from merchgraph.tools.fairness.tool import FairRanker
from merchgraph.tools.fairness.train import Config

ITEMS = ["tea", "jam", "bun"]
SELLERS = {"tea": "big", "jam": "big", "bun": "small"}


def store(**prices: float | None) -> Shop:
    rows = [
        {"item": item, "title": item, "seller": SELLERS[item], "price": prices.get(item, 1.0)}
        for item in ITEMS
    ]
    log = pl.DataFrame(
        [("ann", "s1", datetime(2026, 1, 1), "purchase", "tea", 4.0)],
        schema=["user", "session", "time", "behaviour", "item", "price"],
        orient="row",
    )
    return Shop("toy", Items(pl.DataFrame(rows)), Events(log))


@pytest.fixture
def ranker(monkeypatch: pytest.MonkeyPatch) -> FairRanker:
    """Both sellers are owed the same."""
    goal = Goal(fair="max_min", strength=10, pace=10, horizon=100)
    made = FairRanker(goal, {"big": 1.0, "small": 1.0})
    monkeypatch.setattr(arag_fair, "ranker_of", lambda *_: made)
    return made


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[None]:
    with use_settings(cache=tmp_path):
        yield


def test_sellers_who_fell_short_come_first(ranker: FairRanker) -> None:
    first = fair(store(), ITEMS, [0.4, 0.35, 0.25], 1)
    assert first.ranking == ["tea", "jam", "bun"]
    assert first.outcomes == {"big": pytest.approx(1.6)}
    for trip in range(30):
        ranker.observe(str(trip), {"big": 1.6})
    again = fair(store(), ITEMS, [0.4, 0.35, 0.25], 1)
    assert again.ranking == ["bun", "tea", "jam"]


def test_the_price_is_what_was_paid_before_the_cut_or_else_the_catalogues(
    ranker: FairRanker,
) -> None:
    assert fair(store(), ITEMS, [0.2, 0.5, 0.3], 1).ranking[0] == "tea"
    early = fair(store(), ITEMS, [0.2, 0.5, 0.3], 1, before=datetime(2025, 1, 1))
    assert early.ranking[0] == "jam"


def test_what_has_no_price_comes_last_and_costs_no_run(ranker: FairRanker) -> None:
    found = fair(store(jam=None), ITEMS, [0.1, 0.8, 0.1], 3)
    assert found.ranking == ["tea", "bun", "jam"]
    nothing = fair(store(jam=None, bun=None), ["jam", "bun"], [0.5, 0.5], 2)
    assert (nothing.ranking, nothing.outcomes) == (["jam", "bun"], {})


def test_runs_that_begin_together_share_the_ledger(tmp_path: Path) -> None:
    sellers = {"sellers": as_bytes(["big", "small"])}
    numbers = {"targets": np.ones(2), "subsidies": np.zeros(2)}
    save(home("fairness", "toy"), {**sellers, **numbers}, Config(), "")
    (tmp_path / "deep").mkdir()
    ways = [str(tmp_path / "f.jsonl"), str(tmp_path / "deep" / ".." / "f.jsonl")] * 4
    with ThreadPoolExecutor(8) as pool:
        running = [
            pool.submit(copy_context().run, arag_fair.ranker_of, store(), None, way) for way in ways
        ]
        found = [one.result() for one in running]
    assert len({id(one) for one in found}) == 1
    found[0].ledger.close()


def test_a_ranker_that_was_not_trained_is_told_with_the_command() -> None:
    with pytest.raises(SetupError, match="make it: merchgraph train fairness"):
        fair(store(), ITEMS, [0.2, 0.5, 0.3], 1)


async def test_the_graph_has_it_as_its_last_step(
    corner: Shop, script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def turned(store: Shop, ranking: list[str], odds: list[float], k: int, **_: Any) -> Fair:
        assert store is corner
        assert odds == sorted(odds, reverse=True)
        return Fair(ranking=ranking[::-1], outcomes={"small": float(k)})

    monkeypatch.setattr(arag, "ranker_of", lambda *_: None)
    monkeypatch.setattr(arag, "fair", turned)
    request, orders = arag.Request(user="ann", candidates=["tea", "cake", "soap"]), []
    with scripted(script(), name="fairly") as model:
        for fairly in (False, True):
            result = await arag.arun(request, arag.Context(model=model, k=2, fair=fairly))
            orders.append([row.item for row in result.ranking])
    assert orders[1] == orders[0][::-1]
    assert result.outcomes == {"small": 2.0}
    assert [row.item for row in result.recommendations] == orders[1][:2]


def test_chances_are_of_the_fusion_else_of_the_judge_else_of_the_place() -> None:
    adds = {"tea": 2.0, "jam": 1.0, "bun": 0.0}
    shares = {item: {"nli": Share(value=0.0, adds=adds[item])} for item in ITEMS}
    fused = chances(ITEMS, Fused.model_validate({"ranking": ITEMS, "shares": shares}), {})
    assert sum(fused) == pytest.approx(1)
    assert fused[0] / fused[1] == pytest.approx(fused[1] / fused[2])
    assert chances(ITEMS, None, {"tea": 0.7, "jam": None}) == [0.7, 0.0, 0.0]
    assert chances(ITEMS, None, {}) == [1, 1 / 2, 1 / 3]
