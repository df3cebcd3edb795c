"""The pairwise judge of a model among the judges of headlines."""

import polars as pl
import pytest

from merchgraph.evals.baselines.headlines import of_model
from merchgraph.evals.suites.headlines import evaluate
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import Always, scripted

PAIRS = [("a cat", "a dog"), ("rain", "sun"), ("tea", "coffee")]


def test_each_pair_is_asked_once_and_told() -> None:
    told: list[tuple[int, int]] = []
    with scripted(
        {"headline": [{"A": 0.9, "B": 0.1}, {"A": 0.2, "B": 0.8}, {"A": 0.5, "B": 0.5}]}
    ) as name:
        judge = of_model(chat_model(name), lambda done, total: told.append((done, total)))
        assert judge(PAIRS) == pytest.approx([0.9, 0.2, 0.5])
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_model_that_likes_the_first_place_is_at_chance_and_its_bias_is_shown() -> None:
    pairs = pl.DataFrame(
        {
            "test": ["1", "2", "3"], "first": [a for a, _ in PAIRS],
            "second": [b for _, b in PAIRS], "z": [3.0, -3.0, 4.0],
        }
    )  # fmt: skip
    with scripted({"headline": Always({"A": 0.8, "B": 0.2})}) as name:
        report = evaluate(pairs, {"model": of_model(chat_model(name))})
    [row] = report.rows
    assert (row.means["accuracy"].mean, row.means["place"].mean) == (0.5, 1.0)
