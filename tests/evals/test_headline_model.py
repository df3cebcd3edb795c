"""The pairwise judge of a model among the judges of headlines."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from langchain_core.messages import BaseMessage

from merchgraph.evals.baselines.headline_model import kept, of_model
from merchgraph.evals.suites.headlines import evaluate
from merchgraph.runtime.errors import ModelReplyError, SetupError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import Always, Answer, Text, scripted
from merchgraph.runtime.trace_file import read

PAIRS = [("a cat", "a dog"), ("rain", "sun"), ("tea", "coffee")]
ODDS = [0.9, 0.2, 0.6]


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


def says(messages: Sequence[BaseMessage]) -> Answer:
    p = next(
        p for p, (first, _) in zip(ODDS, PAIRS, strict=True) if f"A: {first}" in messages[-1].text
    )
    return {"A": p, "B": 1 - p}


def breaks_at_tea(messages: Sequence[BaseMessage]) -> Answer:
    return (
        says(messages)
        if any(f"A: {first}" in messages[-1].text for first, _ in PAIRS[:2])
        else Text("-")
    )


def test_what_was_answered_before_a_fault_is_not_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl.zst"
    broken = scripted({"headline": Always(breaks_at_tea)})
    with broken as name, pytest.raises(ModelReplyError), kept(file, "m") as recorder:
        of_model(chat_model(name), recorder=recorder)(PAIRS)
    assert not read(file).closed
    left = 3 - sum(not run.end.error for run in read(file).runs.values())
    assert 1 <= left < 3
    for asked in (left, 0):
        with scripted({"headline": Always(says)}) as name, kept(file, "m") as recorder:
            found = of_model(chat_model(name), recorder=recorder)([*PAIRS, PAIRS[0]])
            assert len(name.script.asked) == asked
        assert found == pytest.approx([*ODDS, ODDS[0]])
    assert (len(read(file).runs), read(file).closed) == (3, True)


def test_another_model_may_not_go_on_in_a_trace(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl.zst"
    with kept(file, "m"):
        pass
    told = "was recorded with model = 'm', now it is 'other'"
    with pytest.raises(SetupError, match=told), kept(file, "other"):
        pass
