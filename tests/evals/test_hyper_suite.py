"""The LLM-HYPER suite on a toy shop, recorded and replayed: the same report without shop and model."""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import BaseMessage

from merchgraph.evals.metrics import ctr
from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.replay import Replay, replay_file
from merchgraph.evals.report import Report
from merchgraph.evals.session import run_suite
from merchgraph.evals.suites import hyper, hyper_launches
from merchgraph.evals.suites.hyper import EDITED, REFERENCE, Hyper, make, seeds_of
from merchgraph.evals.suites.hyper_edits import EDITS
from merchgraph.evals.suites.hyper_launches import BASELINES, BOUNDS
from merchgraph.evals.suites.hyper_lists import intercepts
from merchgraph.evals.suites.hyper_plans import METHOD, PLANS
from merchgraph.graphs import hyper as graph
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.scripted import Always, Answer, Replies, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.trace_file import read
from merchgraph.tools.ctr import weights as steps
from merchgraph.tools.data import shops
from merchgraph.tools.data.tables import Shop
from tests.evals.toy_suite import use_letters
from tests.graphs.hyper_ads import READING, reply
from tests.tools.ctr.toy_mailers import NEW_ADS, small, toy_shop


def good(messages: Sequence[BaseMessage]) -> Answer:
    """The aisle that the ad names counts most, and every other feature a little."""
    text = str(messages[-1].content)
    own = re.findall(r"Aisle: ([a-z, ]+)", text)[-1]
    names = re.findall(r"^- ((?:aisle: )?[^:]+):", text, flags=re.MULTILINE)
    weights = {name: 60 if name == f"aisle: {own}" else 3 for name in names}
    because = {"feature": names[0], "direction": "+", "strength": 1, "because": "so"}
    return reply(weights, because)


REPLIES: Replies = {
    "read": Always(json.dumps(READING)),
    "write": Always(good),
    "level": Always({"--": 0.1, "-": 0.1, "0": 0.2, "+": 0.4, "++": 0.2}),
}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return toy_shop()


@pytest.fixture(autouse=True)
def _cheap(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_letters(monkeypatch)
    small(monkeypatch)
    monkeypatch.setitem(shops._shops, "complete_journey", shop)
    monkeypatch.setattr(ctr, "FEWEST_OFFERED", 2)  # of the toy's six new ads
    with use_settings(cache=tmp_path / "cache"):
        yield


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl.zst"


def record(
    file: Path, limit: int | None = None, replies: Replies = REPLIES, **params: Any
) -> tuple[Report, int]:
    """The report, and how many requests reached the model."""
    with scripted(replies, name="e") as model:
        suite = make({"model": model, **params})
        report = asyncio.run(run_suite(suite, limit=limit, path=file))
        return report, len(model.script.asked)


def play(file: Path) -> Replay:
    return asyncio.run(replay_file(file))


def test_a_replay_gives_the_same_report_without_model_and_shop(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, asked = record(file, limit=3)
    assert [row.system for row in report.rows] == [*BASELINES, *PLANS, EDITED, *BOUNDS]
    assert not any(row.failed for row in report.rows)
    assert report.metrics[0] == "AUC"

    def gone(*args: Any, **more: Any) -> Any:
        raise AssertionError("a replay asked for a shop")

    monkeypatch.setattr(hyper_launches, "launch", gone)
    monkeypatch.setattr(graph, "pool_of", gone)
    monkeypatch.setattr(shops, "shop", gone)
    replay = play(file)
    assert replay.report is not None
    assert replay.report.model_dump_json() == report.model_dump_json()
    assert (replay.same, replay.unfinished) == (True, False)
    calls = [call for run in read(file).runs.values() for call in run.calls]
    assert replay.calls == len(calls) > asked == sum(not call.same_as for call in calls)
    assert len(read(file).runs) == replay.runs + 1, "the lists are one run of all"


def test_one_generation_serves_every_lambda(file: Path) -> None:
    report, asked = record(file, limit=2)
    by_system = {row.system: row for row in report.rows}
    generations = {json.dumps(plan.asks) for plan in PLANS.values()}
    assert len(generations) == 5
    alone = by_system["5 shots lambda 1"]
    assert by_system[METHOD].calls == alone.calls > 0
    own = sum(by_system[name].calls for name, plan in PLANS.items() if plan.share == 1)
    edits = by_system[EDITED].calls
    assert edits == 4 * 4, "features by texts"
    assert asked <= 2 * (own + edits - 50), "a reading and levels are asked once"
    assert all(row.calls == 0 for row in report.rows if row.system not in {*PLANS, EDITED})


def test_lambda_mixes_what_the_model_wrote_with_the_neighbours(file: Path) -> None:
    record(file, limit=2)
    runs = read(file).runs
    for case in read(file).cases:
        names = (METHOD, "5 shots lambda 1", "5 shots lambda 0.3")
        answers = [runs[f"{case}/{name}"].end.answer for name in names]
        most, whole, least = (np.array(answer["made"]["weights"]) for answer in answers)
        near = np.array(answers[1]["generated"]["neighbours"])
        np.testing.assert_allclose(most, 0.7 * whole + 0.3 * near, atol=2e-6)
        assert np.abs(whole - least).max() > 0.01


def test_a_model_that_knows_the_tastes_beats_random_ads_and_bounds_beat_the_median(
    file: Path,
) -> None:
    report, _ = record(file)
    means = {row.system: row.metrics["AUC"].mean for row in report.rows if row.system != EDITED}
    assert report.n == NEW_ADS
    assert means["popularity"] == 0.5
    assert means["5 shots lambda 1"] > means["5 random ads"]
    assert means["LR_warm"] > means["LR_cold"]
    assert means[REFERENCE] > means["LR_cold"], "the toy's tastes are those of aisles"
    rows = {row.system: row for row in report.rows}
    assert rows[METHOD].metrics["consistency"].mean == 1
    assert rows[METHOD].metrics["written"].mean == 1
    assert set(rows["ridge"].metrics) == {"AUC"}


def test_lists_are_measured_with_the_same_intercepts_for_all(file: Path) -> None:
    report, _ = record(file)
    [gains, lists, _] = report.tables
    names = [row.system for row in report.rows]
    assert [row[0] for row in gains.rows] == [name for name in names if name != EDITED]
    recovered = {row[0]: row[-1] for row in gains.rows}
    assert (recovered["LR_cold"], recovered["LR_warm_EB"]) == (0, 1)
    cells = {(row[0], row[1]): row[2:] for row in lists.rows}
    kinds = {system: {kind for name, kind in cells if name == system} for system, _ in cells}
    assert kinds["ridge"] == {"nearest", "true rate"}
    assert kinds["LR_warm"] == kinds[METHOD] == {"nearest", "true rate", "own"}
    # a constant that all ads share cannot rank one above another
    assert cells["LR_cold", "nearest"][:2] == cells["popularity", "nearest"][:2]
    assert all(isinstance(row[0], Estimate) for row in cells.values())
    assert cells["LR_warm", "true rate"][4] == pytest.approx(1, abs=0.15)
    assert cells["popularity", "true rate"][4] == pytest.approx(1)


def test_a_sitting_that_is_resumed_asks_nothing_twice(file: Path) -> None:
    first, asked = record(file, limit=2)
    again, more = record(file, limit=2)
    assert asked > more == 0
    assert again.model_dump() == first.model_dump()
    wider, more = record(file, limit=4)
    assert 0 < more <= asked
    assert wider.n == 4
    assert play(file).same


def test_a_recording_that_was_broken_off_replays_without_its_lists(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as cut:
        cut.setattr(hyper, "listed", None)
        with pytest.raises(TypeError):
            record(file, systems="ridge")
    replay = play(file)
    assert (replay.same, replay.unfinished) == (True, True)
    assert replay.report is not None
    assert replay.report.n == NEW_ADS
    assert replay.report.tables[1].rows == []
    report, asked = record(file, systems="ridge")
    assert report.tables[1].rows != []
    assert asked == 0


def test_without_a_model_only_baselines_and_bounds_run(file: Path) -> None:
    suite = make({"seeds": "0, 1"})
    report = asyncio.run(run_suite(suite, path=file))
    assert [row.system for row in report.rows] == [*BASELINES, *BOUNDS]
    assert report.n == 2 * NEW_ADS
    assert [part.name for part in report.segments] == ["seed 0", "seed 1"]
    replay = play(file)
    assert replay.same
    assert replay.report is not None
    assert replay.report.tables == report.tables


def test_a_model_that_writes_nothing_usable_falls_back_on_the_neighbours(file: Path) -> None:
    report, _ = record(file, limit=2, replies={**REPLIES, "write": Always(reply({}))})
    rows = {row.system: row for row in report.rows}
    for name in (METHOD, "0 shots lambda 1"):
        near = rows["5 nearest by cosine"].metrics["AUC"].mean
        assert rows[name].metrics["AUC"].mean == pytest.approx(near, abs=1e-4)
        assert rows[name].metrics["written"].mean == 0


def levels(messages: Sequence[BaseMessage]) -> Answer:
    """Hears one sentence about children, and nothing else."""
    text = str(messages[-1].content)
    if "families with children" in text and "(1 if children" in text:
        return {"--": 0.0, "-": 0.0, "0": 0.1, "+": 0.2, "++": 0.7}
    return {"--": 0.1, "-": 0.1, "0": 0.6, "+": 0.1, "++": 0.1}


def test_edits_tell_whether_words_move_their_weight_the_right_way(file: Path) -> None:
    report, _ = record(file, limit=2, replies={"level": Always(levels)}, systems=EDITED)
    [row] = [row for row in report.rows if row.system == EDITED]
    assert {name: one.mean for name, one in row.metrics.items()} == {"edits": pytest.approx(1 / 6)}
    table = {cells[0]: cells[1] for cells in report.tables[-1].rows}
    shares = {kind: cell.mean for kind, cell in table.items() if isinstance(cell, Estimate)}
    assert shares == {"strengthened": 0.25, "weakened": 0, "neutralised": 0.25}
    assert report.metrics == ["AUC", "edits"]
    runs = [run for run in read(file).runs.values() if run.begin.system == EDITED]
    answers = [run.end.answer["edits"] for run in runs]
    assert len(answers) == 2
    for edits in answers:
        own, *rest = edits
        assert own.startswith("aisle: ")
        assert rest == [*EDITS]
        expected = {"plain": 0, "strengthened": 1.6, "weakened": 0, "neutralised": 0}
        assert edits["children"] == pytest.approx(expected, abs=1e-4)
    assert play(file).same


def test_systems_are_chosen_by_name_with_what_they_need() -> None:
    suite = make({"model": "scripted/e", "systems": f"{METHOD}, ridge"})
    names = [system.name for system in suite.systems()]
    assert names == ["ridge", REFERENCE, "5 shots lambda 1", METHOD]
    assert isinstance(suite, Hyper)
    assert suite.at_once == 8
    assert make({"model": "embedded/smollm2-135m"}).at_once == 1


def test_unknown_systems_and_seeds_are_refused() -> None:
    with pytest.raises(
        SetupError, match="There is no system 'luck'; there are all, baselines, pop"
    ):
        make({"systems": "luck"}).systems()
    with pytest.raises(SetupError, match=f"There is no system '{METHOD}' without a model"):
        make({"systems": METHOD}).systems()
    for wrong in ("", "a", "1, 1", "-1", "0; 1"):
        with pytest.raises(SetupError, match="expected whole numbers with commas"):
            seeds_of(wrong)
    assert seeds_of(" 2, 0 ,") == [2, 0]


def test_intercepts_of_all_ads_are_those_of_the_graph_one_by_one() -> None:
    rng = np.random.default_rng(0)
    logits, wanted = rng.normal(size=(300, 4)), np.array([0.001, 0.03, 0.5, 0.99])
    alone = [steps.intercept(logits[:, ad], float(wanted[ad])) for ad in range(4)]
    found = intercepts(logits.astype(np.float32), wanted)
    np.testing.assert_allclose(found, alone, atol=1e-3)
