from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from merchgraph.evals.baselines.headlines import Judge, Length, Pairs, Ridge, chance
from merchgraph.evals.suites.headlines import Params, evaluate, run
from merchgraph.evals.suites.headlines_report import MEASURES, HeadlineReport
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import settings, use_settings
from merchgraph.tools.data import upworthy
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.vectors import Floats

WORDS = ("watch", "report", "cats", "soil", "taxes", "joy")


class Words:
    """A model that counts a few words."""

    fingerprint, width = "few words", len(WORDS)

    def encode(self, texts: Sequence[str]) -> Floats:
        rows = [[text.lower().count(word) for word in WORDS] for text in texts]
        return np.array(rows, dtype=np.float32) + 0.01


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path) -> Iterator[None]:
    with use_settings(cache=tmp_path / "cache"):
        yield


def experiments(weeks: Sequence[int], *, better: str = "watch") -> pl.DataFrame:
    """A test a week: "watch" or "report", whichever is better, has twice the clicks on each topic."""
    rows = []
    for n, week in enumerate(weeks):
        topic, base = WORDS[2 + n % 4], (40, 200, 80, 400)[n % 4]
        for word in ("watch", "report"):
            clicks = 2 * base if word == better else base
            rows.append((f"{week}/{n}", week, "tree", f"{word} {topic} {n}", 4_000, clicks))
    columns = ["test", "week", "image", "headline", "shows", "clicks"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def pairs_of(*z: float) -> pl.DataFrame:
    """One pair per value, whose first headline is "a<n>" and won where the value is above 0."""
    names = [f"{n}" for n in range(len(z))]
    return pl.DataFrame(
        {
            "test": [f"t{n // 2}" for n in range(len(z))],
            "first": [f"a{name}" for name in names],
            "second": [f"b{name}" for name in names],
            "z": z,
        }
    )


def means(judge: Judge, pairs: pl.DataFrame) -> dict[str, float]:
    (row,) = evaluate(pairs, {"judge": judge}).rows
    return {measure: round(row.means[measure].mean, 9) for measure in MEASURES}


def test_a_judge_that_knows_is_always_right() -> None:
    pairs = pairs_of(3, 4, -3, 5)

    def knows(asked: Pairs) -> list[float]:
        won = {"a0", "a1", "b2", "a3"}
        return [0.51 if first in won else 0.49 for first, _ in asked]

    assert means(knows, pairs) == {"accuracy": 1, "once": 1, "place": 0.5, "agrees": 1}


def test_a_judge_that_likes_the_first_place_is_shown_to() -> None:
    found = means(lambda asked: [0.9] * len(asked), pairs_of(3, 4, -3, 5))
    assert found == {"accuracy": 0.5, "once": 0.75, "place": 1, "agrees": 0}


def test_both_orders_together_undo_a_liking_for_a_place() -> None:
    def leans(asked: Pairs) -> list[float]:
        return [0.9 if first.startswith("a") else 0.6 for first, _ in asked]

    found = means(leans, pairs_of(3, 4, 3, 5))
    assert found == {"accuracy": 1, "once": 1, "place": 1, "agrees": 0}


def test_a_judge_is_asked_once_with_each_pair_in_both_orders() -> None:
    asked: list[Any] = []

    def spy(pairs: Pairs) -> list[float]:
        asked.append(list(pairs))
        return [0.5] * len(pairs)

    assert means(spy, pairs_of(3, -3))["accuracy"] == 0.5
    assert asked == [[("a0", "b0"), ("a1", "b1"), ("b0", "a0"), ("b1", "a1")]]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ([0.5, 0.5, 0.5, 1.01], "'odd' gave 1.01 for 4 pairs"),
        ([0.5, -0.1, 0.5, 0.5], "gave -0.1"),
        ([0.5, float("nan"), 0.5, 0.5], "gave nan"),
        ([0.5], "gave 1 values for 4 pairs"),
    ],
)
def test_what_is_no_probability_is_refused(answer: list[float], problem: str) -> None:
    with pytest.raises(SetupError, match=problem):
        evaluate(pairs_of(3, 4), {"odd": lambda _: answer})


@pytest.mark.parametrize(("tests", "shown"), [(19, "not shown"), (20, "better")])
def test_what_is_shown_counts_tests_and_not_pairs(tests: int, shown: str) -> None:
    pairs = pairs_of(*[3.0] * 60).with_columns(test=pl.Series([f"t{n % tests}" for n in range(60)]))

    def knows(asked: Pairs) -> list[float]:
        return [1.0 if first.startswith("a") else 0.0 for first, _ in asked]

    report = evaluate(pairs, {"length": chance, "knows": knows})
    knowing = report.rows[1]
    assert knowing.difference is not None
    assert (report.n, report.tests, knowing.difference.n) == (60, tests, tests)
    *_, difference, told = report.markdown().splitlines()[3].strip("| ").split(" | ")
    assert (difference, told) == (".500 [.500 .500]", shown)


def test_no_pair_is_a_sentence() -> None:
    with pytest.raises(SetupError, match="at least 1 clear pair"):
        evaluate(pairs_of(3).clear(), {"chance": chance})


def test_length_learns_which_side_won_before() -> None:
    weeks = range(201403, 201423)
    shorter, longer = (
        Length().fit(experiments(weeks, better=word)) for word in ("watch", "report")
    )
    assert (shorter.longer, longer.longer) == (False, True)
    asked = [("ab", "abc"), ("abc", "ab"), ("ab", "cd")]
    assert longer.judge(asked) == [0, 1, 0.5]
    assert shorter.judge(asked) == [1, 0, 0.5]


def test_the_ridge_learns_words_and_not_the_topic_of_a_test() -> None:
    ridge = Ridge(Embedder(Words())).fit(experiments(range(201403, 201443)))
    watch, report, cats, *_ = ridge.weights
    assert watch > 0 > report
    assert abs(cats) < 0.05 * watch
    p, swapped = ridge.judge([("watch soil", "report soil"), ("report soil", "watch soil")])
    assert p > 0.5
    assert swapped == pytest.approx(1 - p)


def test_the_ridge_needs_pairs_before_and_after() -> None:
    for weeks in ([], [201403], [201403, 201403]):
        with pytest.raises(SetupError, match="give more tests"):
            Ridge(Embedder(Words())).fit(experiments(weeks))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Data in which "watch" wins in the earlier weeks and loses in the later ones."""
    earlier, later = (
        experiments(range(201403, 201440)),
        experiments(range(201440, 201500), better="report"),
    )
    names = {"test": "clickability_test_id", "week": "test_week", "image": "eyecatcher_id"}
    rows = pl.concat([earlier, later]).rename({**names, "shows": "impressions"})
    (tmp_path / upworthy.FILE).parent.mkdir()
    rows.write_parquet(tmp_path / upworthy.FILE)
    with use_settings(data=tmp_path):
        yield tmp_path


def test_what_learns_has_not_seen_the_later_weeks(folder: Path) -> None:
    report = run(embedder=Embedder(Words()))
    found = {row.judge: row.means["accuracy"].mean for row in report.rows}
    assert (report.n, report.tests) == (60, 60)
    assert found == {"chance": 0.5, "length": 0, "ridge on embeddings": 0}


def test_every_pair_is_judged_without_what_learns_from_some(folder: Path) -> None:
    def likes_reports(pairs: Pairs) -> list[float]:
        return [0.5 + 0.3 * (("report" in a) - ("report" in b)) for a, b in pairs]

    report = run(Params(every=True), judges={"pairwise": likes_reports})
    assert (report.n, report.tests) == (97, 97)
    found = {row.judge: row.means["accuracy"].mean for row in report.rows}
    assert found == {"chance": 0.5, "pairwise": pytest.approx(60 / 97)}
    heads, _, first, *_ = report.markdown().splitlines()
    assert "minus length" not in heads
    assert heads.count("|") == first.count("|")
    assert "every true" in report.markdown()


def printed(report: HeadlineReport, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(report.terminal())
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_eighty_columns_cut_no_name_and_no_number(folder: Path) -> None:
    report = run(judges={"embedded/smollm2-135m": chance}, embedder=Embedder(Words()))
    text = printed(report, 80)
    assert "…" not in text
    assert text.count("embedded/smollm2-135m") == 2
    assert "shown" in text


def test_a_report_is_shown_and_kept(folder: Path) -> None:
    def likes_reports(pairs: Pairs) -> list[float]:
        return [0.5 + 0.3 * (("report" in a) - ("report" in b)) for a, b in pairs]

    params = Params(limit=6, seed=1)
    report = run(params, judges={"pairwise": likes_reports}, embedder=Embedder(Words()))
    last = report.rows[-1]
    assert (last.judge, last.means["accuracy"].mean, report.n) == ("pairwise", 1, 6)
    assert last.difference is not None
    assert last.difference.mean == 1
    for text in (printed(report, 200), report.markdown()):
        assert all(head in text for head in MEASURES.values())
        assert (
            "n = 6 pairs of 6 tests, limit 6, every false, week 201440, seed 1, longer false"
            in text
        )
        assert "ridge on embeddings" in text
    assert HeadlineReport.model_validate_json(report.model_dump_json()) == report


def test_the_limit_draws_by_the_seed(folder: Path) -> None:
    drawn: list[set[str]] = []

    def spy(pairs: Pairs) -> list[float]:
        drawn.append({first for first, _ in pairs})
        return [0.5] * len(pairs)

    for seed in (0, 0, 1):
        run(Params(limit=4, seed=seed), judges={"spy": spy}, embedder=Embedder(Words()))
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_real_later_pairs_are_judged() -> None:
    if not (settings().data / upworthy.FILE).is_file():
        pytest.skip(
            f"{settings().data / upworthy.FILE} is not there; set MERCHGRAPH_DATA to test it"
        )
    parts = upworthy.split(upworthy.load())
    length = Length().fit(parts.earlier)
    judges = {"chance": chance, "length": length.judge}
    report = evaluate(upworthy.clear_pairs(parts.later), judges)
    assert (length.longer, report.n, report.tests) == (True, 977, 364)
    assert report.rows[0].means["accuracy"].mean == 0.5
    assert report.rows[1].means["accuracy"].low > 0.5
    assert run(Params(every=True)).n == 2_760
