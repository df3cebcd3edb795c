from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from merchgraph.cli.eval_complement import eval_complement, numbers
from merchgraph.evals.baselines.complement import COUNTED, cosine, item2vec, pmi
from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.metrics.ranking import auc, ranking_metrics
from merchgraph.evals.report import Report
from merchgraph.evals.suites import complement as suite
from merchgraph.evals.suites import complement_systems as systems
from merchgraph.evals.suites.complement_probes import (
    among,
    classified,
    cold,
    scored,
    twin,
    without,
)
from merchgraph.evals.suites.complement_tables import MARGIN, ORDERINGS, orderings, spread, verdict
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.complement.config import Config
from merchgraph.tools.complement.data import Log, Tokens, read
from merchgraph.tools.complement.holdout import Case, Placed, placed
from merchgraph.tools.contract import Past
from merchgraph.tools.copurchase import CoPurchase
from merchgraph.tools.data.tables import Shop
from tests.tools.complement.planted import QUICK, given, shop

TRIPLES = [["tv", "mount", "cable"], ["pan", "oil", "salt"], ["tea", "jam", "bun"],
           ["pen", "ink", "pad"]]  # fmt: skip
BRANDS = {item: f"brand {n}" for n, triple in enumerate(TRIPLES) for item in triple}


@pytest.fixture(scope="module")
def store() -> Shop:
    return shop(given(TRIPLES * 75, hours=8, facts={"brand": BRANDS}))


@pytest.fixture(scope="module")
def asked(store: Shop) -> systems.Asked:
    return suite.asked_of(store, 60)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    with use_settings(cache=tmp_path):
        yield tmp_path


def test_cases_come_after_all_that_is_learned_from(store: Shop, asked: systems.Asked) -> None:
    assert len(asked.cases) == 60
    last = asked.given.events.frame["time"].max()
    assert last is not None
    assert len(asked.given.events) + 3 * 28 * 3 == pytest.approx(len(store.events), abs=9)
    assert len(asked.validation.train) < len(asked.given.events)


def test_every_system_finds_what_is_planted(asked: systems.Asked, cache: Path) -> None:
    found = systems.results(asked, (0,), ("items", "no user"))
    for name in ("cosine", "PMI, shrunk", systems.ITEM2VEC, "items alone", systems.SHIPPED):
        assert (found[name][0].rank == 1).mean() > 0.9, name
    assert found["popularity"][0].rank.mean() > 3


def test_a_run_goes_on_where_it_was_stopped(
    asked: systems.Asked, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, int]] = []
    work = systems._made

    def counted(asked: systems.Asked, name: str, seed: int) -> systems.Found:
        made.append((name, seed))
        return work(asked, name, seed)

    monkeypatch.setattr(systems, "_made", counted)
    first = systems.results(asked, (0,), ("items",))
    assert ("items", 0) in made
    made.clear()
    again = systems.results(asked, (0, 1), ("items",))
    assert made == [("items", 1), (systems.ITEM2VEC, 1)]
    np.testing.assert_array_equal(first["items alone"][0].rank, again["items alone"][0].rank)
    assert set(again["items alone"]) == {0, 1}


def test_the_report_compares_with_cosine_and_the_best_baseline(
    asked: systems.Asked, cache: Path
) -> None:
    found = systems.results(asked, (0, 1), ("no user", "items"))
    report = suite.report(found, [spread(found), orderings(found)], {"data": "planted"})
    assert report.n == 60
    assert {row.kind for row in report.rows} == {"baseline", "ablation", "method"}
    assert [c.system for c in report.comparisons] == [systems.SHIPPED]
    assert "shipped blend" in report.markdown()
    assert report.tables[0].rows
    with pytest.raises(SetupError, match="no variant 'best'"):
        suite.run(suite.Params(variants=("best",)))


def test_a_shop_without_large_kinds_is_not_classified(
    store: Shop, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "shop", lambda name: store)
    page = cache / "page.md"
    eval_complement(seeds="0", limit=40, variants="items", markdown=page, as_json=True)
    report = Report.model_validate_json(capsys.readouterr().out)
    assert report.params["variants"] == ["items"]
    assert [table.title for table in report.tables] == [
        "Against other embeddings", "Cold start"
    ]  # fmt: skip
    assert "items alone" in page.read_text()


def test_large_kinds_are_classified() -> None:
    items = [item for triple in TRIPLES for item in triple]
    many = {item: ["A > x", "B > y"][n % 2] for n, item in enumerate(items)}
    made = given([[f"{item}{n % 9}" for item in triple] for n in range(300) for triple in TRIPLES],
                 facts={"category": {f"{item}{n}": path for item, path in many.items()
                                     for n in range(9)}}, hours=2)  # fmt: skip
    table = classified(shop(made), suite.asked_of(shop(made), 5), 0)
    assert table is not None
    assert table.columns[1:] == [
        "department, micro F1", "department, macro F1", "category, micro F1", "category, macro F1"
    ]  # fmt: skip
    assert len(table.rows) == 5
    assert all(0 <= float(str(cell)) <= 1 for row in table.rows for cell in row[1:])


@pytest.mark.parametrize("rank", [1, 2, 7, 10, 11])
def test_measures_are_those_of_the_ranking_library(rank: int) -> None:
    names = [f"i{n}" for n in range(30)]
    scores = {name: float(-n) for n, name in enumerate(names)}
    row = np.array([[scores[name] for name in names]])
    places = placed(row, [Case([], {}, rank - 1)])
    near, area, gain, hit = (float(column[0]) for column in suite.measured(places))
    expected = ranking_metrics(names, [names[rank - 1]], k=10)
    assert near == pytest.approx(expected["NDCG@10"])
    assert hit == expected["Hit@10"]
    assert area == pytest.approx(auc(scores, [names[rank - 1]]))
    assert gain == pytest.approx(1 / math.log2(1 + rank))


def test_the_cosine_rival_is_the_tool_that_counts() -> None:
    made = given([*TRIPLES, ["tv", "pan"], ["tea", "jam", "tv"]])
    log = read(made.items, made.events, QUICK)
    for sized, weighting in ((True, "size"), (False, "equal")):
        counted = CoPurchase(weighting=weighting).fit(made.items, made.events)  # type: ignore[arg-type]
        session = [log.items.index(item) for item in ("tv", "tea")]
        found = cosine(log, sized=sized)([Case(session, {})])
        expected = counted.scores([Past(session=["tv", "tea"])])
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_result_is_kept_whole_or_not_at_all(
    asked: systems.Asked, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Path, data: bytes) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(systems, "put", full)
        with pytest.raises(OSError, match="no room"):
            systems.results(asked, (0,), ())
    assert not [file for file in cache.rglob("*") if file.is_file()]
    found = systems.results(asked, (0,), ())
    kept = [file for file in cache.rglob("*") if file.is_file()]
    assert len(kept) == len(COUNTED) + 1
    assert {file.suffix for file in kept} == {".npz"}
    again = systems.results(asked, (0,), ())
    np.testing.assert_array_equal(found["cosine"][0].auc, again["cosine"][0].auc)


def test_own_purchases_and_pmi_add_what_they_say() -> None:
    made = given([["a", "b"], ["a", "b"], ["c", "d"], ["c"]])
    log = read(made.items, made.events, QUICK)
    plain, own = (cosine(log, own=w)([Case([0], {3: 2})])[0] for w in (0.0, 0.5))
    np.testing.assert_allclose(own - plain, [0, 0, 0, 0.5 * np.log(3)])
    np.testing.assert_allclose(pmi(log)([Case([0], {})])[0], [0, np.log(2 * 4 / 4) * 2 / 12, 0, 0])
    assert COUNTED["own frequency"](log)([Case([], {3: 1})])[0].argmax() == 3


def test_gensim_learns_the_same_baskets() -> None:
    made = given(TRIPLES * 20)
    log = read(made.items, made.events, QUICK)
    scores = item2vec(log, 0, threads=1)([Case([log.items.index("tv")], {})])[0]
    assert {log.items[n] for n in np.argsort(-scores)[:3]} >= {"mount", "cable"}


def test_an_item_that_is_only_bought_alone_has_no_vector_of_gensim() -> None:
    made = given([*TRIPLES * 20, ["salt cellar"]], more=["never bought"])
    log = read(made.items, made.events, QUICK)
    tv, alone, never = (log.items.index(item) for item in ("tv", "salt cellar", "never bought"))
    ranked, of_nothing = item2vec(log, 0, threads=1)([Case([tv], {}), Case([alone], {})])
    assert ranked[alone] == ranked[never] == 0
    assert np.flatnonzero(ranked == 0).tolist() == sorted([alone, never])
    others = [n for n in np.argsort(-ranked) if n not in (tv, alone, never)]
    assert {log.items[n] for n in others[:2]} == {"mount", "cable"}
    assert not of_nothing.any()


def test_orderings_say_what_came_out() -> None:
    better, worse = (Placed(np.full(50, r), np.full(50, a)) for r, a in ((1.0, 0.9), (9.0, 0.5)))
    ahead, behind = ORDERINGS[0].ahead, ORDERINGS[0].behind
    told = [orderings({ahead: {0: a}, behind: {0: b}}).rows[0][3:]
            for a, b in ((better, worse), (worse, better), (better, better))]  # fmt: skip
    assert told == [["reproduced"] * 2, ["the other way round"] * 2, ["not shown"] * 2]
    assert not orderings({ahead: {0: better}}).rows


def test_no_worse_is_reproduced_where_the_interval_says_so() -> None:
    equal, better = (
        next(one for one in ORDERINGS if one.equal is wanted) for wanted in (True, False)
    )
    near, far = (Estimate(mean=0, low=low, high=0.02, n=50)
                 for low in (-MARGIN / 2, -MARGIN * 2))  # fmt: skip
    assert [verdict(equal, gap) for gap in (near, far)] == ["reproduced", "not shown"]
    assert verdict(better, near) == "not shown"
    few = Estimate(mean=0, low=0, high=0, n=19)
    assert verdict(equal, few) == verdict(equal, None) == "not shown"
    assert verdict(equal, few.model_copy(update={"n": 20})) == "reproduced"


def test_kinds_are_read_off_vectors_that_hold_them() -> None:
    rng = np.random.default_rng(0)
    labels = ["tea", "jam", "salt"] * 40 + ["rare"] * 3 + [""] * 5
    centres = {name: rng.normal(size=8) * 4 for name in set(labels)}
    vectors = np.stack([centres[name] + rng.normal(size=8) for name in labels])
    micro, macro = scored(vectors, labels)
    assert micro > 0.95
    assert macro > 0.95
    assert scored(rng.normal(size=vectors.shape), labels)[0] < 0.6


def test_a_twin_is_the_known_item_with_the_most_tokens_in_common() -> None:
    tokens = Tokens.made([["a", "b", "c"], ["a"], ["a", "b"], [], ["a", "b", "c"]])
    none = np.zeros(0, np.int32)
    log = Log(tuple("vwxyz"), ("",), none, np.zeros(1, np.int64), none, tokens, tokens)
    assert twin(log, 0, np.array([1, 2, 3])) == 2
    assert twin(log, 0, np.array([1, 2, 3, 4])) == 4


def test_a_hidden_item_leaves_its_baskets() -> None:
    made = given(TRIPLES)
    log = read(made.items, made.events, QUICK)
    hidden = np.array([item in ("tv", "jam") for item in log.items])
    left = without(log, hidden)
    assert np.diff(left.ends).tolist() == [2, 3, 2, 3]
    assert not left.counts[hidden].any()
    assert left.tokens is log.tokens


def test_hidden_items_do_not_count_among_the_others() -> None:
    scores = np.array([[9.0, 5, 9, 4, 6, 9]])
    found = among(np.array([1, 3, 4]), scores, [Case([0], {}, 1)])
    assert found.rank.tolist() == [2]
    assert found.auc.tolist() == [0.5]
    last = among(np.array([1, 3, 4]), scores, [Case([0], {}, 3)])
    assert last.auc.tolist() == [0]


def test_cold_items_are_placed_by_their_tokens(asked: systems.Asked) -> None:
    table = cold(asked, 0)
    assert table is not None
    by_name = {row[0]: row for row in table.rows}
    assert len(by_name) == 4
    assert all(row[1] == table.rows[0][1] for row in table.rows)


def test_seeds_are_read_or_refused() -> None:
    assert numbers("0, 3,1") == (0, 3, 1)
    for wrong in ("", "1,1", "-1", "a", "1,,2"):
        with pytest.raises(SetupError, match="--seeds got"):
            numbers(wrong)


def test_settings_of_all_variants_are_valid() -> None:
    for variant in systems.VARIANTS.values():
        assert Config(**variant.settings)
    scored_by = [name for v in systems.VARIANTS.values() for name in v.scored]
    assert len(scored_by) == len(set(scored_by))
    known = {*scored_by, systems.ITEM2VEC, *COUNTED}
    assert {name for one in ORDERINGS for name in (one.ahead, one.behind)} <= known
