"""The lens suite's tables and its figure, from outcomes made by hand."""

from collections.abc import Sequence
from typing import Any

import pytest

from merchgraph.agents.explanation_judge import DIMENSIONS
from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.results import Results, Row
from merchgraph.evals.suite import Outcome
from merchgraph.evals.suites.lens_figure import figure, svg
from merchgraph.evals.suites.lens_tables import MODALITY, Kinds, p, tables
from merchgraph.evals.tables import Table
from merchgraph.runtime.errors import SetupError

KINDS = Kinds(
    renderings={"text": "text", "scatter": "picture", "both": "both"},
    baselines=("chance", "most frequent"),
)
CASES = [f"h{n}" for n in range(24)]


def answer(system: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "prediction": "Milk", "odds": {}, "usable": number % 6 > 0, "seconds": float(number),
        "explanation": f"Milk {system} {number % 2}",
        "told": {"words": 3, "guess": True, "bought": number % 2, "never": 0},
        "tokens": {"text": 900, "image": 0 if system == "text" else 500, "written": 80},
        "sees": True, "first": number % 4 == 1, **more,
    }  # fmt: skip


def outcome(system: str, number: int, right: bool, **more: Any) -> Outcome:
    metrics = {"accuracy": float(right), "similarity": 1.0 if right else 0.25}
    if not right:
        metrics["similarity on errors"] = 0.25
    value = {} if system in KINDS.baselines else answer(system, number, **more)
    return Outcome(case=CASES[number], system=system, metrics=metrics, answer=value)


def outcomes(*, rated: bool = False) -> list[Outcome]:
    """Text is right on even cases, scatter on the first 18, both never; the baselines hardly ever."""
    found = []
    for n in range(len(CASES)):
        points = {name: dict.fromkeys(DIMENSIONS, 3) for name in KINDS.renderings}
        points["scatter"]["specificity"] = 4 + n % 2
        more = {"ratings": points} if rated else {}
        found += [
            outcome("chance", n, n == 0),
            outcome("most frequent", n, n < 4),
            outcome("text", n, n % 2 == 0),
            outcome("scatter", n, n < 18),
            outcome("both", n, False, **more),
        ]
    return found


def by_title(found: Sequence[Table]) -> dict[str, dict[str, list[Any]]]:
    return {table.title: {str(row[0]): row for row in table.rows} for table in found}


def test_renderings_stand_side_by_side_with_tokens_of_text_and_image() -> None:
    rows = by_title(tables(outcomes(), KINDS))[MODALITY]
    assert list(rows) == ["text", "scatter", "both"]
    _, shown, accuracy, wrong, text, image, written, seconds, unusable = rows["scatter"]
    assert shown == "picture"
    assert (accuracy.mean, accuracy.n, wrong.mean, wrong.n) == (0.75, 24, 0.25, 6)
    assert (text, image, written, seconds, unusable) == (900, 500, 80, 11.5, 4)
    assert rows["text"][5] is None


def test_a_failed_answer_counts_as_wrong_and_as_unusable() -> None:
    failed = Outcome(case="h99", system="scatter", metrics={}, error="the server is gone")
    rows = by_title(tables([*outcomes(), failed], KINDS))[MODALITY]
    assert (rows["scatter"][2].mean, rows["scatter"][2].n) == (0.72, 25)
    assert rows["scatter"][-1] == 5


def test_pairs_count_the_cases_that_only_one_got_right() -> None:
    rows = by_title(tables(outcomes(), KINDS))["Accuracy, paired"]
    assert list(rows) == [
        "text - scatter", "text - both", "scatter - both",
        "text - most frequent", "scatter - most frequent", "both - most frequent",
    ]  # fmt: skip
    _, n, gap, first, second, raw, adjusted = rows["text - scatter"]
    assert (n, first, second) == (24, 3, 9)
    assert gap.mean == -0.25
    # the fifth of six is .125 * 2, and no later one falls below it
    assert (raw, adjusted) == (".146", ".250")
    assert rows["scatter - both"][3:] == [18, 0, "<.001", "<.001"]


def test_a_variant_is_compared_with_its_own_rendering_alone() -> None:
    more = [outcome("scatter dates", n, n < 12) for n in range(len(CASES))]
    kinds = Kinds(
        renderings={**KINDS.renderings, "scatter dates": "picture"},
        baselines=KINDS.baselines,
        variants={"scatter dates": "scatter"},
    )
    rows = by_title(tables([*outcomes(), *more], kinds))["Accuracy, paired"]
    assert [name for name in rows if "dates" in name] == ["scatter - scatter dates"]
    assert len(rows) == 7


def test_explanations_are_counted_by_code() -> None:
    rows = by_title(tables(outcomes(), KINDS))["What answers say"]
    assert rows["text"][1:] == [20, 0.3, 3, 1, 0.6, 0, 2 / 20]


def test_ratings_are_tested_by_dimension_and_then_pair_by_pair() -> None:
    found = by_title(tables(outcomes(rated=True), KINDS))
    judged = found["Explanations, judged"]
    assert list(judged) == list(DIMENSIONS)
    assert judged["specificity"][1:5] == [24, 3, 4.5, 3]
    assert judged["specificity"][-1] == "<.001"
    assert judged["causality"][-2:] == [0, "1.000"]
    pairs = [table for table in tables(outcomes(rated=True), KINDS) if "pair by" in table.title]
    assert [row[:3] for row in pairs[0].rows] == [
        ["specificity", "scatter - text", 1.5],
        ["specificity", "both - text", 0],
        ["specificity", "both - scatter", -1.5],
    ]
    assert "Explanations, judged" not in by_title(tables(outcomes(), KINDS))


def test_without_a_rendering_there_is_no_table() -> None:
    plain = [one for one in outcomes() if one.system in KINDS.baselines]
    assert tables(plain, Kinds(renderings={}, baselines=KINDS.baselines)) == []


@pytest.mark.parametrize(
    ("value", "printed"), [(0.0004, "<.001"), (0.034, ".034"), (1.0, "1.000"), (0.0, "<.001")]
)
def test_a_p_value_is_printed_without_a_zero_that_says_nothing(value: float, printed: str) -> None:
    assert p(value) == printed


def results(made: Sequence[Table]) -> Results:
    rows = [
        Row(
            system=name, kind="baseline", about="", difference={}, calls=0, prompt_tokens=0,
            completion_tokens=0, seconds=0, errors={},
            metrics={"accuracy": Estimate(mean=mean, low=mean, high=mean, n=24)},
        )
        for name, mean in (("chance", 0.1), ("most frequent", 0.11))
    ]  # fmt: skip
    return Results(
        suite="lens", params={"model": "<b>vllm/x</b>"}, reference="text", n=24,
        metrics=["accuracy"], rows=rows, comparisons=[], segments=[], notes=[], tables=list(made),
    )  # fmt: skip


def test_the_figure_has_a_point_per_rendering_and_a_line_per_baseline() -> None:
    spec = figure(results(tables(outcomes(), KINDS)))
    sets = spec.get("datasets", {})
    data = [layer["data"].get("values") or sets[layer["data"]["name"]] for layer in spec["layer"]]
    lines, points = data[0], data[2]
    assert {(one["name"], one["tokens"], one["mean"]) for one in points} == {
        ("text", 980, 0.5), ("scatter", 1480, 0.75), ("both", 1480, 0),
    }  # fmt: skip
    assert [one["name"] for one in lines] == ["chance", "most frequent"]
    # names of near lines do not overlap
    assert lines[1]["label"] - lines[0]["label"] > 0.02
    drawn = svg(results(tables(outcomes(), KINDS)))
    assert drawn.startswith("<svg")
    assert "<b>" not in drawn
    assert all(f">{name}<" in drawn for name in ("text", "scatter", "most frequent"))


def test_without_a_rendering_there_is_no_figure() -> None:
    with pytest.raises(SetupError, match="no figure without a rendering"):
        figure(results([]))
