from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from merchgraph.cli.eval_grace import grace
from merchgraph.evals.baselines.cornac_nets import Effort, Kind
from merchgraph.evals.baselines.grace import RANKERS, lists
from merchgraph.evals.baselines.sequential import KINDS, sequential
from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.report import Report
from merchgraph.evals.suites import grace as suite
from merchgraph.evals.suites import grace_speed as speed
from merchgraph.evals.suites import grace_systems as made
from merchgraph.evals.suites import grace_tables
from merchgraph.evals.suites.grace_cases import METRICS, Cases
from merchgraph.evals.suites.grace_tables import FRESH, PARTS, SEEDS, SEGMENTS, TASKS, Judged
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data import shops
from merchgraph.tools.grace import fit
from merchgraph.tools.grace.config import Config
from tests.evals.grace_toy import params
from tests.tools.grace.grace_toy import TEAS, changed, toy_shop

NAMED = "popularity, own frequency, item-kNN, TIGER, MBGen, no trie, dense, GRACE"


@pytest.fixture(scope="module", autouse=True)
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache that the tests of this file share, so that each system is trained once."""
    with use_settings(cache=tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(autouse=True)
def _shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "shop", lambda name: toy_shop())
    # texts are made-up vectors: the model of texts takes seconds
    monkeypatch.setattr(made, "TEXTS", ("department", "category"))


@pytest.fixture(scope="module")
def report() -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suite, "shop", lambda name: toy_shop())
        patch.setattr(made, "TEXTS", ("department", "category"))
        return suite.run(params(systems=NAMED))


@pytest.fixture(scope="module")
def cases() -> Cases:
    return suite.prepare(toy_shop(), params())[0].cases


def test_a_case_is_the_first_visit_after_the_cut(cases: Cases) -> None:
    assert len(cases) == 12
    assert len(cases.row) == 24
    for case in range(12):
        rows = cases.row == case
        names = {cases.log.goods.items[code] for code in cases.item[rows]}
        assert names == {f"tea {(case + 8) % TEAS}", f"milk {case % TEAS}"}
        assert cases.history(case).journey.max() == 7
    assert cases.repeats.all(), "after eight visits each tea was had"
    assert cases.ceiling == 1


def test_a_list_is_judged_row_by_row(cases: Cases) -> None:
    found = np.full((len(cases), 10), -1)
    for case in range(len(cases)):
        first, second = cases.item[cases.row == case]
        found[case, [0, 6]] = first, second
    judged = {name: values.mean() for name, values in cases.judge(found).items()}
    assert judged["HR@5"] == 0.5
    assert judged["HR@10"] == 1
    assert judged["NDCG@5"] == 0.5
    assert judged["NDCG@10"] == pytest.approx((1 + 1 / np.log2(8)) / 2)


def test_a_row_takes_the_list_of_its_own_behaviour(cases: Cases) -> None:
    per_behaviour = np.full((len(cases), 2, 10), -1)
    for row, case in enumerate(cases.row):
        per_behaviour[case, cases.behaviour[row], cases.item[row] % 10] = cases.item[row]
    assert cases.judge(per_behaviour)["HR@10"].all()
    wrong = per_behaviour[:, ::-1]
    assert not cases.judge(wrong)["HR@10"].any()


def test_segments_cover_the_rows(cases: Cases) -> None:
    names = set(cases.segments)
    assert {"repeats", "regular", "discount", "up to 200 purchases"} <= names
    both = cases.segments["regular"].astype(int) + cases.segments["discount"]
    assert (both == 1).all()


def test_some_households_are_drawn_whole(cases: Cases) -> None:
    some = cases.some(5, seed=0)
    assert len(some) == 5
    assert len(some.row) == 10
    assert set(some.household) < set(cases.household)
    assert cases.some(50, seed=0) is cases


def test_baselines_by_hand_know_what_they_count(cases: Cases) -> None:
    own, fresh = lists(RANKERS["own frequency"], cases)
    milk = [cases.log.goods.items.index(f"milk {case % TEAS}") for case in range(12)]
    assert own[:, 0].tolist() == milk
    popular, new = lists(RANKERS["popularity"], cases)
    assert len({tuple(row) for row in popular.tolist()}) == 1
    near = lists(RANKERS["item-kNN"], cases)[0]
    assert (near[:, 0] != own[:, 0]).any(), "an item is no neighbour of its own"
    assert fresh.tolist() == new.tolist(), "what was never bought is told by popularity alone"
    for case in range(len(cases)):
        assert not set(fresh[case].tolist()) & set(cases.history(case).item.tolist())


def test_new_items_are_judged_by_lists_without_the_old_ones(cases: Cases) -> None:
    goods = len(cases.log.goods.items)
    had = [set(cases.history(int(row)).item.tolist()) for row in cases.row]
    unknown = [min(set(range(goods)) - own) for own in had]
    some = replace(cases, item=np.array(unknown))
    first = np.stack([[item, *[-1] * 9] for item in unknown[:: len(had) // len(cases)]])
    none = np.full_like(first, -1)
    told = Judged(made.systems(changed())[0], [made.Lists(none, first, none[:, None], none[:, :0])])
    report = grace_tables.report({}, some, [told], datetime(2024, 1, 1))
    (table,) = (table for table in report.tables if table.title == FRESH)
    assert [row[0] for row in table.rows] == ["popularity"]
    hit, _, gap = table.rows[0][1:]
    assert isinstance(hit, Estimate)
    assert isinstance(gap, Estimate)
    assert hit.mean > 0
    assert gap.mean == 0
    assert report.rows[0].metrics["HR@10"].mean == 0


def test_every_system_has_a_row_with_all_metrics(report: Report) -> None:
    names = [row.system for row in report.rows]
    assert names == [*RANKERS, "TIGER", "MBGen", "dense", "no trie", "GRACE"]
    assert all(set(row.metrics) == set(METRICS) for row in report.rows)
    assert report.reference == "own frequency"
    assert report.n == 12
    by_name = {row.system: row for row in report.rows}
    gap = by_name["GRACE"].metrics["HR@10"].mean - by_name["own frequency"].metrics["HR@10"].mean
    assert by_name["GRACE"].difference["HR@10"].mean == pytest.approx(gap, abs=1e-8)
    assert {one.metric for one in report.comparisons} == {"HR@10", "NDCG@10"}


def test_tables_tell_kinds_of_rows_tasks_and_seeds(report: Report) -> None:
    tables = {table.title: table for table in report.tables}
    assert set(tables) == {SEGMENTS, PARTS, TASKS, SEEDS}
    assert all(isinstance(row[1], Estimate) for row in tables[SEGMENTS].rows)
    told = {row[0] for row in tables[TASKS].rows}
    assert told == {"MBGen", "dense", "no trie", "GRACE"}, "TIGER knows no behaviours"
    assert {row[0] for row in tables[SEEDS].rows} == {*told, "TIGER"}
    means = {row.system: row.metrics["HR@10"].mean for row in report.rows}
    assert [row[0] for row in tables[PARTS].rows] == ["dense", "no trie"]
    for name, gap, _ in tables[PARTS].rows:
        assert isinstance(gap, Estimate)
        assert gap.mean == pytest.approx(means[str(name)] - means["GRACE"], abs=1e-8)


def test_a_second_run_trains_nothing_and_says_the_same(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made.Answers, "_tool", None)
    assert suite.run(params(systems=NAMED)) == report


def test_a_stopped_training_goes_on_and_tells_how_far_it_is(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "KEEP", 1)
    told: list[tuple[str, int, int]] = []

    def telling(stage: str, last: int | None = None) -> Callable[[int, int], None]:
        def tell(done: int, total: int) -> None:
            told.append((stage, done, total))
            if done == last:
                raise KeyboardInterrupt

        return tell

    with use_settings(cache=tmp_path):
        with pytest.raises(KeyboardInterrupt):
            suite.run(params(systems=NAMED), telling=lambda stage: telling(stage, last=1))
        assert told == [("GRACE", 1, 4)], "a step of two, of two seeds"
        again = suite.run(params(systems=NAMED), telling=telling)
        kept = sorted(path.suffix for path in (tmp_path / "grace-suite").iterdir())
    # the first step is not learned twice, and the lists are the same
    assert [one for one in told if one[0] == "GRACE"][:2] == [("GRACE", 1, 4), ("GRACE", 2, 4)]
    assert again == report
    assert {*kept} == {".npz"}, "what was unfinished is gone"


def test_systems_can_be_named_and_unknown_ones_are_told() -> None:
    found = suite.run(params(systems="baselines"))
    assert [row.system for row in found.rows] == [*RANKERS]
    for wrong in ("oracle", "GRACE, oracle", " , "):
        with pytest.raises(SetupError, match="There is no system"):
            suite.run(params(systems=wrong))


def test_each_ablation_takes_one_thing_away() -> None:
    base = Config(alone=0.0)
    every = {one.name: one.config for one in made.systems(base)}
    mine = base.model_dump()
    changes = {
        name: {key for key, value in config.model_dump().items() if value != mine[key]}
        for name, config in every.items()
        if config
    }
    assert changes["GRACE"] == set()
    assert changes["dense"] == {"attention"}
    assert changes["random ids"] == changes["no texts"] == changes["no attributes"] == {"slots"}
    assert all(changes[f"no {name}"] == {"branches"} for name in base.branches)
    assert changes["TIGER"] - changes["MBGen"] == {"behaviours"}
    assert {*suite.MAIN} < set(every)


def test_a_cut_that_leaves_nothing_is_told() -> None:
    for wrong, told in (
        ("2026-01-06", "no shopper came twice"),
        ("2026-03-23", "Nobody who is known comes back after the cut"),
        ("2026-01-20T00:00+00:00", "has a time zone, but a shop's times are local"),
    ):
        with pytest.raises(SetupError, match=told):
            suite.run(params(before=wrong))


def test_lists_that_cannot_be_kept_are_told(tmp_path: Path) -> None:
    (tmp_path / "grace-suite").write_text("a file where a folder should be")
    with (
        use_settings(cache=tmp_path),
        pytest.raises(SetupError, match=r"Lists cannot be kept in .*MERCHGRAPH_CACHE"),
    ):
        suite.run(params(systems="GRACE", seeds=1))


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cornac", None)
    with pytest.raises(SetupError, match="SASRec needs the package 'cornac'"):
        suite.run(params(systems="SASRec", seeds=1))


@pytest.mark.parametrize("kind", KINDS)
def test_sequence_models_list_known_items(cases: Cases, kind: Kind) -> None:
    pytest.importorskip("cornac")
    found = sequential(kind, cases, Effort(epochs=1, latest=6, width=8, history=4), seed=0)
    assert found.shape == (2, len(cases), 10)
    assert all(len(set(row)) == 10 for row in found[0].tolist())
    assert found[0].min() >= 0
    assert found.max() < len(cases.log.goods.items)
    again = sequential(kind, cases, Effort(epochs=1, latest=6, width=8, history=4), seed=0)
    np.testing.assert_array_equal(again, found)


def test_costs_follow_the_formula_and_are_drawn() -> None:
    costs = speed.measured(changed(), (200, 400), rounds=1)
    assert [one.tokens for one in costs] == [200, 400]
    assert all(one.ms > 0 and one.dense_ms > 0 and 0 < one.saved < 1 for one in costs)
    assert [row[0] for row in speed.table(costs).rows] == ["200", "400"]
    assert speed.svg(costs).startswith("<svg")


def test_the_verb_writes_report_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shops, "shop", lambda name: toy_shop())
    monkeypatch.setattr(speed, "measured", partial(speed.measured, lengths=(200,), rounds=1))
    app = typer.Typer()
    app.command()(grace)
    written, drawn = tmp_path / "grace.md", tmp_path / "grace.svg"
    pairs = [
        part
        for name, value in params().config.model_dump(mode="json").items()
        for part in ("--set", f"{name}={json.dumps(value)}")
    ]
    done = CliRunner().invoke(
        app,
        ["--before", "2026-01-29", "--days", "6", "--systems", "baselines", "--json",
         "--markdown", str(written), "--figure", str(drawn), *pairs],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["suite"] == "grace"
    assert speed.TITLE in written.read_text()
    assert drawn.read_text().startswith("<svg")
