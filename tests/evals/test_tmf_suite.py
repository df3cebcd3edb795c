from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from merchgraph.cli.eval_tmf import tmf
from merchgraph.evals.baselines.cornac_nets import Effort
from merchgraph.evals.baselines.tmf import RANKERS
from merchgraph.evals.baselines.tmf_sasrec import rows, sasrec
from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.report import Report
from merchgraph.evals.suites import tmf as suite
from merchgraph.evals.suites.tmf_systems import Trainer, systems
from merchgraph.evals.suites.tmf_tables import (
    FREE,
    FUSION,
    FUSIONS,
    GAINS,
    METRICS,
    PARTS,
    hits,
    valid,
)
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.tmf import items
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import Draw, Log, Question, Trail, log, questions
from merchgraph.tools.tmf.goods import goods
from merchgraph.tools.tmf.learn import Lesson
from tests.tools.gmvo.toy import toy_shop
from tests.tools.tmf.tmf_toy import Words, quick, tiny_llm


@pytest.fixture(scope="module", autouse=True)
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tiny model, and a cache that the tests of this file share."""
    folder, threads = tmp_path_factory.mktemp("tmf"), torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine threads wait for each other
    with pytest.MonkeyPatch.context() as patch, use_settings(cache=folder / "c", data=folder / "d"):
        patch.setattr(items, "Embedder", Words)
        patch.setattr(suite, "shop", lambda name: toy_shop())
        yield tiny_llm(folder / "llm")
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def _sasrec() -> Iterator[None]:
    """Its own training has a test; elsewhere the last candidate is best."""

    def last(past: Log, asked: list[Question], effort: Effort, seed: int) -> NDArray[np.float32]:
        return np.stack([np.arange(len(one.slate), dtype=np.float32) for one in asked])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("merchgraph.evals.suites.tmf_systems.sasrec", last)
        yield


SYSTEMS = [*RANKERS, "SASRec", *(one.name for one in systems(Config()))]


def params(llm: Path, **given: Any) -> suite.Params:
    tiny = {"fuse_steps": 1, "warm_steps": 1, "align_steps": 1, "joint_steps": 1, "graph_steps": 1}
    usual = {"data": "toy", "days": 21, "cases": 8, "generate": 2, "config": quick(llm, **tiny)}
    return suite.Params.model_validate(usual | given)


@pytest.fixture(scope="module")
def report(llm: Path) -> Report:
    return suite.run(params(llm))


def test_every_system_has_a_row_with_both_slates(report: Report, llm: Path) -> None:
    names = [row.system for row in report.rows]
    assert names[: len(RANKERS)] == [*RANKERS]
    trained = [one.name for one in systems(params(llm).config)]
    more = {"SASRec", "fusion alone", "tmf + fusion score"}
    assert set(trained) | more == set(names[len(RANKERS) :])
    assert len(trained) == 13
    for row in report.rows:
        assert set(row.metrics) == set(METRICS)
        assert all(0 <= one.mean <= 1 for one in row.metrics.values())
        assert row.system in report.markdown()
    assert (report.reference, report.n) == ("own frequency", 8)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_may_be_asked_for_by_its_name(report: Report, llm: Path, name: str) -> None:
    alone = suite.run(params(llm, systems=name))
    (first, *more) = alone.rows
    assert first.system == name
    assert [row.system for row in more] == (
        ["fusion alone", "tmf + fusion score"] * (name == "tmf")
    )
    assert first.metrics == next(row.metrics for row in report.rows if row.system == name)


def test_ablations_of_the_fusion_need_no_language_model(
    llm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = {"warm_steps": 0, "align_steps": 0, "joint_steps": 0}
    config = quick(llm, fuse_steps=2, graph_steps=1, **none)
    names = "own frequency, tmf without CMA, tmf"
    monkeypatch.setattr("merchgraph.tools.tmf.network.Network.likelihoods", None)
    found = suite.run(params(llm, systems=names, config=config))
    assert [row.system for row in found.rows] == ["own frequency", FUSION, "tmf without CMA"]
    (table,) = [table for table in found.tables if table.title == FUSIONS]
    assert [row[0] for row in table.rows] == [FUSION, "tmf without CMA"]
    whole, cut = table.rows
    assert whole[3:] == [Estimate(mean=0, low=0, high=0, n=8)] * 2
    mine = next(row for row in found.rows if row.system == "tmf without CMA")
    assert cut[1:3] == list(mine.metrics.values())


def test_a_baseline_that_was_taught_nothing_is_still_asked(llm: Path) -> None:
    none = {"warm_steps": 0, "align_steps": 0, "joint_steps": 0}
    config = quick(llm, fuse_steps=1, graph_steps=1, **none)
    ready = suite.prepare(toy_shop(), params(llm, config=config))
    (llara,) = [one for one in systems(config) if one.name == "LLaRA-style"]
    assert ready.trainer.opinions(llara, 0).likely.any()


def test_several_names_are_parted_by_commas(report: Report, llm: Path) -> None:
    names = ["own frequency", "SASRec", "tmf with mean pooling"]
    found = suite.run(params(llm, systems=", ".join(names)))
    assert [row.system for row in found.rows] == names
    assert found.reference == "own frequency"


def test_tables_say_where_hits_come_from_and_what_was_gained(report: Report) -> None:
    tables = {table.title: table for table in report.tables}
    assert [row[0] for row in tables[GAINS].rows][:2] == ["tmf", "tmf"]
    assert {row[1] for row in tables[GAINS].rows} == {"untuned LLM", "text-only LoRA"}
    assert isinstance(tables[GAINS].rows[0][2], Estimate)
    columns = tables[PARTS].columns
    counts = {name: int(name.split("(")[1].rstrip(")")) for name in columns[1:]}
    assert counts_of(columns, "bought before") + counts_of(columns, "new") == 8
    free = {row[0]: row[1:] for row in tables[FREE].rows}
    assert free["tmf"][0] == 2
    (row,) = [row for row in report.rows if row.system == "tmf"]
    (parts,) = [line for line in tables[PARTS].rows if line[0] == "tmf"]
    whole = sum(
        float(value) * counts[name]
        for name, value in zip(columns[1:], parts[1:], strict=True)
        if name.startswith(("random, bought", "random, new")) and isinstance(value, float)
    )
    assert whole / 8 == pytest.approx(row.metrics[METRICS[0]].mean)


def counts_of(columns: list[str], part: str) -> int:
    (name,) = [name for name in columns if name.startswith(f"random, {part}")]
    return int(name.split("(")[1].rstrip(")"))


def test_a_second_run_trains_nothing_and_says_the_same(
    report: Report, llm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lesson, "learn", None)
    assert suite.run(params(llm)) == report


def test_trainings_share_one_warm_up(llm: Path) -> None:
    one = quick(llm, warm_steps=3, align_steps=1, joint_steps=1, fuse_steps=1, graph_steps=1)
    ready = suite.prepare(toy_shop(), params(llm, config=one, systems="main"))
    asked: list[str] = []
    original = Lesson._read

    def read(self: Lesson, step: int, chance: float, stage: str) -> torch.Tensor:
        asked.append(stage)
        return original(self, step, chance, stage)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lesson, "_read", read)
        for system in systems(one)[:2]:
            ready.trainer.opinions(system, 0)
    assert asked.count("warm") == 3
    assert asked.count("joint") == 2


def test_asking_that_was_stopped_goes_on(llm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merchgraph.evals.suites.tmf_systems.KEEP", 2)
    ready = suite.prepare(toy_shop(), params(llm, cases=3, generate=1))
    untuned = next(one for one in systems(params(llm).config) if one.name == "untuned LLM")

    def stop(done: int, total: int, what: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ready.trainer.opinions(untuned, 0, stop)
    again = Trainer(ready.trainer.data, ready.trainer.items, ready.seen, ready.asked, 1)
    told: list[int] = []
    found = again.opinions(untuned, 0, lambda done, total, what: told.append(done))
    assert told[0] == 3
    assert found.likely.shape == (6, 4)
    assert len(found.answers) == 1


def question(right: int) -> Question:
    nothing = np.zeros(0, np.int64)
    trail = Trail(nothing, nothing, nothing)
    return Question(0, trail, 0, np.arange(3), np.arange(3) == right, "random")


def test_equal_bests_share_a_hit() -> None:
    asked = [question(0), question(1), question(0), question(2)]
    found = hits([[1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 2, 2]], asked)
    np.testing.assert_allclose(found, [[1, 0.5], [0, 1 / 3]])


def test_an_answer_is_valid_that_names_one_candidate() -> None:
    store = toy_shop()
    kept = goods(store.items, store.events, 1, 3)
    assert [kept.labels[n] for n in range(3)] == ["tea 0", "tea 1", "tea 2"]
    answers = ["Tea 0", "tea 1 and tea 2", "coffee", "tea 1"]
    asked = [question(0), question(1), question(2), question(2)]
    found = valid(answers, asked, kept)
    assert found == (4, 0.5, 0.5, 0.25)
    assert valid([], asked, kept) is None


def test_sasrec_learns_of_the_latest_rows_and_scores_slates(
    llm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cornac")
    store = toy_shop()
    kept = goods(store.items, store.events, 1, 3)
    past = log(store.events, kept)
    told = rows(past, 5, seed=0)
    assert len(told) == 24 * 5
    ends = [*past.first[1:], len(past.item)]
    for user, end in enumerate(ends):
        mine = [int(item) for one, _, item, _ in told if one == str(user)]
        # five rows: two whole baskets of two, and one of the third
        assert sorted(mine[1:]) == sorted(past.item[end - 4 : end].tolist())
    asked = questions(past, kept, Draw(0, 1e9, 4, each=False), quick(llm))
    found = sasrec(past, asked, Effort(epochs=1, latest=9, width=4, history=4), seed=0)
    assert found.shape == (4, 4)
    assert np.isfinite(found).all()
    assert len(np.unique(found)) > 4


def test_unknown_systems_and_empty_cuts_are_one_sentence(llm: Path) -> None:
    with pytest.raises(
        SetupError, match="There is no system 'gpt'; there are all, main, baselines"
    ):
        suite.run(params(llm, systems="gpt"))
    with pytest.raises(SetupError, match="leaves 0 questions of toy to learn from and 0 to ask"):
        suite.run(params(llm, days=3000))


def test_the_command_prints_the_report(llm: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(tmf)
    pairs = [f"{name}={value}" for name, value in params(llm).config.model_dump().items()
             if value != Config.model_fields[name].default and name != "modalities"]  # fmt: skip
    words = ["--data", "toy", "--days", "21", "--limit", "12", "--systems", "baselines", "--json"]
    given = [*words, *(part for pair in pairs for part in ("--set", pair))]
    ended = CliRunner().invoke(app, [*given, "--markdown", str(tmp_path / "r.md")])
    assert ended.exit_code == 0, ended
    told = json.loads(ended.stdout)
    assert [row["system"] for row in told["rows"]] == [*RANKERS, "SASRec"]
    assert "own frequency" in (tmp_path / "r.md").read_text()
