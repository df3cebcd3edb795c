from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.fairness.data import REST
from merchgraph.tools.fairness.duals import Goal
from merchgraph.tools.fairness.tool import FairRanker
from merchgraph.tools.fairness.train import Config, train
from tests.tools.fairness.market_toy import FIRST, WEEKS, market_shop

TARGETS = {"acme": 1.0, "zeta": 0.5}
ASKED = (["a", "b", "c"], [0.5, 0.4, 0.3], [2.0, 2.0, 2.0], ["acme", "acme", "zeta"])
SMALL = Config(least_item=3, least_seller=100, trips=100, others=10, places=4)


def ranker(strength: float = 0.3) -> FairRanker:
    return FairRanker(Goal(strength=strength, pace=2, horizon=100), TARGETS)


def test_strength_0_ranks_by_expected_sales() -> None:
    found = ranker(0).rerank(*ASKED, k=2)
    assert found.items == ["a", "b"]
    assert found.scores == pytest.approx([1.0, 0.8])
    assert found.outcomes == pytest.approx({"acme": 1.8})
    assert found.lost == 0


def test_a_seller_that_falls_short_comes_forward() -> None:
    fair = ranker()
    assert fair.rerank(*ASKED, k=1).items == ["a"]
    before = fair.subsidies()
    for trip in range(30):
        fair.observe(f"{trip}", {"acme": 1.8})
    after = fair.subsidies()
    assert after["acme"] < before["acme"]
    assert after["zeta"] > before["zeta"]
    fair = ranker(3)
    for trip in range(300):
        fair.observe(f"{trip}", {"acme": 1.8})
    assert fair.rerank(*ASKED, k=1).items == ["c"]


@pytest.mark.parametrize("start", [{"acme": 0.1}, {"acme": 0.1, "zeta": 0.0, "cora": 0.1}])
def test_a_start_of_other_sellers_is_refused(start: dict[str, float]) -> None:
    with pytest.raises(SetupError, match="start and the targets are of other sellers"):
        FairRanker(Goal(), TARGETS, start=start)


def test_a_loop_of_showing_and_observing_lifts_the_worst_share() -> None:
    shares = []
    for strength in (0.0, 1.0):
        fair = ranker(strength)
        for trip in range(400):
            fair.observe(f"{trip}", fair.rerank(*ASKED, k=1).outcomes)
        sums, _, trips = fair.ledger.snapshot()
        shares.append(min(sums[seller] / trips / TARGETS[seller] for seller in TARGETS))
    assert shares[0] == 0
    assert shares[1] > 0.4


def test_a_budget_is_spent_and_no_more() -> None:
    for begin in (0.02, 0.5, 5.0):
        fair = FairRanker(Goal(strength=begin, budget=0.1, horizon=2_000, pace=3), TARGETS)
        best = 0.0
        for trip in range(2_000):
            found = fair.rerank(*ASKED, k=1)
            best += sum(found.outcomes.values()) + found.lost
            fair.observe(f"{trip}", found.outcomes, found.lost)
        assert 0.07 < fair.ledger.lost / best < 0.11


def test_a_restart_goes_on_where_it_stood(tmp_path: Path) -> None:
    path = tmp_path / "fair.jsonl"
    first = FairRanker(Goal(), TARGETS, ledger=path)
    first.observe("one", {"acme": 3.0})
    told = first.subsidies()
    first.ledger.close()
    again = FairRanker(Goal(), TARGETS, ledger=path)
    assert again.subsidies() == told
    assert not again.observe("one", {"acme": 3.0})
    again.ledger.close()


def test_an_unknown_seller_is_the_rest_or_refused() -> None:
    with pytest.raises(SetupError, match="'nobody' has no target"):
        ranker().rerank(["a"], [0.5], [1.0], ["nobody"])
    fair = FairRanker(Goal(), {**TARGETS, REST: 1.0})
    assert fair.rerank(["a"], [0.5], [1.0], ["nobody"]).outcomes == {REST: 0.5}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((["a"], [0.5], [1.0], []), "0 sellers"),
        ((["a"], [1.5], [1.0], ["acme"]), "the chance 1.5"),
        ((["a"], [float("nan")], [1.0], ["acme"]), "the chance nan"),
        ((["a"], [0.5], [0.0], ["acme"]), "the price 0.0"),
        ((["a"], [0.5], [float("inf")], ["acme"]), "the price inf"),
    ],
)
def test_candidates_that_cannot_be_are_refused(
    given: tuple[list[str], list[float], list[float], list[str]], told: str
) -> None:
    with pytest.raises(SetupError, match=told):
        ranker().rerank(*given)


def test_no_candidates_give_an_empty_list() -> None:
    assert ranker().rerank([], [], [], []).items == []
    with pytest.raises(SetupError, match="k is 0"):
        ranker().rerank(*ASKED, k=0)


def test_the_langchain_tool_reranks() -> None:
    tool = ranker(0).as_tool()
    given = dict(zip(("items", "chances", "prices", "sellers"), ASKED, strict=True))
    assert tool.invoke({**given, "k": 1})["items"] == ["a"]
    assert tool.name == "fair_rerank"


def test_training_keeps_what_the_ranker_loads(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    cut = FIRST + timedelta(weeks=WEEKS - 1)
    kept = train(
        market_shop(), SMALL, tmp_path / "m", before=cut, progress=lambda *a: told.append(a)
    )
    assert [done for done, _, _ in told] == [1, 2, 3, 4]
    fair = FairRanker.load(tmp_path / "m")
    assert fair.sellers == kept.market.sellers
    np.testing.assert_allclose(fair.plan.targets, kept.targets)
    _, tensors = checkpoint.load(tmp_path / "m", Config, "")
    assert set(tensors) == {"sellers", "targets", "subsidies"}
    assert sum(kept.targets) == pytest.approx(kept.greedy)
    assert "2312.03253" in (tmp_path / "m" / checkpoint.CARD).read_text()
    again = train(market_shop(), SMALL, tmp_path / "m", before=cut)
    np.testing.assert_array_equal(again.subsidies, kept.subsidies)
    with pytest.raises(SetupError, match="trained with other settings"):
        train(market_shop(), SMALL.model_copy(update={"ridge": 2.0}), tmp_path / "m")


def test_a_missing_model_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="merchgraph train fairness"):
        FairRanker.load(tmp_path)
