from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from merchgraph.cli.eval_gmvo import gmvo
from merchgraph.evals.baselines.gmvo import RANKERS
from merchgraph.evals.baselines.gmvo_graphs import KINDS
from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.report import Report
from merchgraph.evals.suites import gmvo as suite
from merchgraph.evals.suites import gmvo_lengths as lengths
from merchgraph.evals.suites import gmvo_systems as systems
from merchgraph.evals.suites.gmvo_cases import METRICS
from merchgraph.evals.suites.gmvo_figure import figure, svg
from merchgraph.evals.suites.gmvo_tables import FRONTIER, GAINS, SEEDS
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data import shops
from tests.evals.gmvo_toy import params
from tests.tools.gmvo.toy import toy_shop


@pytest.fixture(scope="module", autouse=True)
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache that the tests of this file share, so that each system is trained once."""
    with (
        pytest.MonkeyPatch.context() as patch,
        use_settings(cache=tmp_path_factory.mktemp("cache")),
    ):
        patch.setattr(lengths, "EPOCHS", (1, 2))
        yield


@pytest.fixture(autouse=True)
def _shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "shop", lambda name: toy_shop())


@pytest.fixture(scope="module")
def report() -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suite, "shop", lambda name: toy_shop())
        return suite.run(params())


def test_every_system_has_a_row_with_all_metrics(report: Report) -> None:
    names = [row.system for row in report.rows]
    assert names[: len(RANKERS)] == [*RANKERS]
    assert set(KINDS) < set(names)
    assert [systems.named(value) for value in systems.LAMBDAS] == names[-5:]
    for row in report.rows:
        assert set(row.metrics) == set(METRICS)
    assert report.reference == "blend"
    assert report.n == 24
    assert all(f"{row.system}" in report.markdown() for row in report.rows)


def test_differences_are_paired_with_the_blend_by_hand(report: Report) -> None:
    by_name = {row.system: row for row in report.rows}
    blend, tool = by_name["blend"], by_name["gmvo 0"]
    assert blend.difference == {}
    for metric in METRICS:
        gap = tool.metrics[metric].mean - blend.metrics[metric].mean
        assert tool.difference[metric].mean == pytest.approx(gap, abs=1e-8)
    (gains,) = (table for table in report.tables if table.title == GAINS)
    assert [row[0] for row in gains.rows][-5:] == [systems.named(v) for v in systems.LAMBDAS]


def test_the_frontier_has_a_point_per_loss_and_lambda(report: Report) -> None:
    (paths,) = (table for table in report.tables if table.title == FRONTIER)
    counts: dict[object, int] = {}
    for row in paths.rows:
        counts[row[0]] = counts.get(row[0], 0) + 1
        assert isinstance(row[2], Estimate)
    assert counts == dict.fromkeys(
        ["gmvo", "gamma 1", "gamma .5", "expected value", "by pair", "S by hand", "blend by hand"],
        5,
    )
    (seeds,) = (table for table in report.tables if table.title == SEEDS)
    assert {"gmvo 0.5", "signals only"} < {row[0] for row in seeds.rows}


def test_only_systems_of_the_graph_alone_get_their_epochs_from_validation(report: Report) -> None:
    (table,) = (table for table in report.tables if table.title == lengths.TITLE)
    assert [row[0] for row in table.rows] == [*KINDS, "graph only", "graph, no co-purchase"]
    assert {str(row[1]) for row in table.rows} <= {"1", "2"}


def test_the_figure_draws_each_path(report: Report) -> None:
    spec = figure(report)
    (points,) = spec["datasets"].values()
    assert len(points) == 35
    assert svg(report).startswith("<svg")


def test_a_second_run_trains_nothing_and_says_the_same(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was trained again")

    monkeypatch.setattr(systems.Trainer, "_train", never)
    assert suite.run(params()) == report


def test_baselines_need_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems.Trainer, "_train", None)
    told: list[tuple[str, int, int]] = []
    found = suite.run(
        params(systems="baselines"),
        telling=lambda stage: lambda done, total: told.append((stage, done, total)),
    )
    assert [row.system for row in found.rows] == [*RANKERS]
    assert told == [("windows", 1, 1)]
    with pytest.raises(SetupError, match="no figure without a frontier"):
        svg(found)


def test_some_systems_can_be_named() -> None:
    found = suite.run(params(systems="S, signals only"))
    assert [row.system for row in found.rows] == ["S", "signals only"]
    assert found.reference == "S"
    for wrong in ("oracle", "S, oracle", " , "):
        with pytest.raises(SetupError, match="There is no system"):
            suite.run(params(systems=wrong))


def test_a_cut_that_leaves_nothing_to_learn_is_told() -> None:
    for wrong, told in (
        ("2025-01-01", r"has 1 purchases before 2025-01-01; cut later \(--before, --days\)"),
        ("2026-03-23T00:00+00:00", "has a time zone, but a shop's times are local"),
    ):
        with pytest.raises(SetupError, match=told):
            suite.run(params(before=wrong))


def test_scores_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    (tmp_path / "gmvo-suite").write_text("a file where a folder should be")
    with (
        use_settings(cache=tmp_path),
        pytest.raises(SetupError, match=r"Scores cannot be kept in .*MERCHGRAPH_CACHE"),
    ):
        suite.run(params(systems="signals only", seeds=1))


@pytest.mark.parametrize("width", [1, 4, 5])
def test_graph_networks_take_any_width(width: int) -> None:
    ready = suite.prepare(toy_shop(), params(), lambda done, total: None)
    narrow = params().config.model_copy(update={"width": width})
    for one in systems.trained(narrow):
        if one.network:
            assert np.isfinite(ready.trainer.scores(one, 0)).all()


def test_the_cut_lies_so_many_days_before_the_end_of_the_log() -> None:
    store = toy_shop()
    ready = suite.prepare(store, params(before=None), lambda done, total: None, train=False)
    last = store.events.frame["time"].max()
    assert isinstance(last, type(ready.before))
    assert 20 < (last - ready.before).days + 1 <= 21


def test_graph_networks_score_by_the_graph_alone() -> None:
    ready = suite.prepare(toy_shop(), params(), lambda done, total: None)
    chosen = [one for one in systems.trained(params().config) if one.network]
    found = [ready.trainer.scores(one, 0) for one in chosen]
    for scores in found:
        assert np.isfinite(scores).all()
        assert len(np.unique(scores)) > 10
    assert len({scores.tobytes() for scores in found}) == len(KINDS)


def test_the_verb_writes_report_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shops, "shop", lambda name: toy_shop())
    app = typer.Typer()
    app.command()(gmvo)
    table, drawn = tmp_path / "gmvo.md", tmp_path / "gmvo.svg"
    settings = {**params().config.model_dump(mode="json")}
    pairs = [
        part
        for name, value in settings.items()
        for part in ("--set", f"{name}={json.dumps(value)}")
    ]
    done = CliRunner().invoke(
        app,
        ["--before", "2026-03-23", "--days", "21", "--seeds", "2", "--json", "--markdown", str(table),
         "--figure", str(drawn), *pairs],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["suite"] == "gmvo"
    assert FRONTIER in table.read_text()
    assert drawn.read_text().startswith("<svg")


def test_a_figure_that_is_no_svg_is_refused() -> None:
    app = typer.Typer()
    app.command()(gmvo)
    done = CliRunner().invoke(app, ["--figure", "gmvo.png"])
    with pytest.raises(SetupError, match=r"name a file that ends in \.svg"):
        raise done.exception or AssertionError(done.output)
