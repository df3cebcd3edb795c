from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.evals.suite import Case
from merchgraph.evals.suites import arag_cases
from merchgraph.evals.suites.arag_cases import NEGATIVES, Fold, cases, fold
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.online_retail import GUEST
from merchgraph.tools.data.splits import split_weeks
from merchgraph.tools.data.tables import Events, Items, Shop

END = datetime(2026, 5, 31)
CUT = END - timedelta(days=28)
KEPT = [f"i{number:02}" for number in range(60)]
Row = tuple[str, str, datetime, str]


def rows(user: str, session: str, time: datetime, items: Sequence[str]) -> list[Row]:
    return [(user, session, time, item) for item in items]


def crowd() -> list[Row]:
    """Purchases long before the window: item n 20 + n times, and 18 of the rare one."""
    bought = [item for n, item in enumerate(KEPT) for _ in range(20 + n)] + ["rare"] * 18
    times = [datetime(2026, 1, 1) + timedelta(minutes=n) for n in range(len(bought))]
    log = [(f"c{n}", f"c{n}", times[n], item) for n, item in enumerate(bought)]
    return [*log, *[("c", "unsold", datetime(2026, 1, 2), "unsold")] * 30]


def shop_of(log: Sequence[Row]) -> Shop:
    """Sixty items, of which the texts 0 to 9 are shared by two each, a rare and an unsold one."""
    names = [*KEPT, "rare", "unsold"]
    items = pl.DataFrame(
        {
            "item": names,
            "title": names,
            "text": [f"text {n if n < 50 else n - 50}" for n in range(60)] + ["rare", "unsold"],
            "sellable": [name != "unsold" for name in names],
        }
    )
    last = [("end", "end", END, KEPT[0])]
    return Shop("toy", Items(items), Events(_frame([*crowd(), *log, *last])))


def _frame(log: Sequence[Row]) -> pl.DataFrame:
    frame = pl.DataFrame(log, ["user", "session", "time", "item"], orient="row")
    return frame.with_columns(behaviour=pl.lit("purchase"))


def day(number: int) -> datetime:
    return CUT + timedelta(days=number, hours=12)


def households(count: int = 40) -> list[Row]:
    """Each has a basket before the cut and one after it, of five items, some of them in both."""
    log = []
    for n in range(count):
        first = [KEPT[(7 * n + step) % 60] for step in range(5)]
        then = [KEPT[(7 * n + 2 * step) % 60] for step in range(5)]
        log += rows(f"h{n}", f"h{n}/1", day(-20), first) + rows(f"h{n}", f"h{n}/2", day(3), then)
    return log


@pytest.fixture(scope="module")
def setting() -> Fold:
    return fold(shop_of(households()))


def only(log: Sequence[Row], target: arag_cases.Target = "any") -> Case:
    (case,) = cases(fold(shop_of(log)), target)
    return case


def slate_of(case: Case) -> list[str]:
    slate: list[str] = case.request["candidates"]
    return slate


def test_a_case_is_the_last_basket_of_two_kept_items_and_all_that_came_before() -> None:
    log = [
        *rows("ann", "1", day(-9), ["i01", "rare"]),
        *rows("ann", "2", day(1), ["i02", "i01"]),
        *rows("ann", "3", day(2), ["unsold", "i04", "i03", "rare", "i03"]),
        *rows("ann", "4", day(4), ["i05", "rare"]),
    ]
    case = only(log)
    (target,) = case.truth["relevant"]
    assert {target, *case.request["session"]} == {"i04", "i03"}
    assert case.request["long_term"] == ["i01", "rare", "i02", "i01"]
    assert case.request["before"] == CUT.isoformat()
    assert case.truth == {
        "relevant": [target],
        "new": True,
        "bought": 0,
        "basket": 2,
        "earlier_baskets": 2,
        "earlier_purchases": 4,
    }
    assert (case.id, case.segment) == ("ann", "new")


def test_a_session_stands_in_the_order_of_the_log() -> None:
    basket = ["i09", "i03", "i07", "i01", "i08"]
    case = only(rows("ann", "1", day(1), basket))
    assert case.request["session"] == [i for i in basket if i not in case.truth["relevant"]]
    assert case.request["long_term"] == []


def test_a_basket_that_runs_over_the_cut_and_guests_are_no_cases() -> None:
    over = rows("ann", "1", day(-1), ["i01"]) + rows("ann", "1", day(1), ["i02", "i03"])
    guest = rows(f"{GUEST}7", "7", day(1), ["i02", "i03"])
    assert cases(fold(shop_of([*over, *guest]))) == []


def test_statistics_see_nothing_at_the_cut_or_later() -> None:
    late = [row for n in range(40) for row in rows(f"h{n}", f"{n}", CUT, ["rare", "i01"])]
    setting = fold(shop_of(late))
    assert setting.train.frame["time"].max() < CUT  # type: ignore[operator]
    assert setting.purchases == {item: 20 + n for n, item in enumerate(KEPT)}


def test_only_purchases_count_where_the_log_has_other_events() -> None:
    store = shop_of(rows("ann", "1", day(1), ["i01", "i02"]))
    seen = _frame(rows("ann", "2", day(2), ["i03", "i04"]) + rows("bob", "3", day(-9), KEPT))
    seen = seen.with_columns(behaviour=pl.lit("view"))
    both = pl.concat([store.events.frame, seen], how="diagonal")
    mixed = fold(Shop("toy", store.items, Events(both)))
    assert mixed.purchases == fold(store).purchases
    assert cases(mixed) == cases(fold(store))


def test_only_sellable_items_with_twenty_purchases_are_kept(setting: Fold) -> None:
    assert setting.items.frame["item"].to_list() == KEPT
    offered = {item for case in cases(setting) for item in slate_of(case)}
    assert offered <= set(KEPT)


def test_the_validation_week_ends_where_the_test_begins() -> None:
    log = rows("ann", "1", day(-3), ["i01", "i02"]) + rows("ann", "2", day(3), ["i03", "i04"])
    store = shop_of([*log, *rows("bob", "3", day(-9), ["i05", "i06"])])
    setting = fold(store, "validation")
    assert (setting.before, setting.until) == (CUT - timedelta(days=7), CUT)
    (case,) = cases(setting)
    assert {*case.truth["relevant"], *case.request["session"]} == {"i01", "i02"}
    assert setting.train.frame["time"].max() < setting.before  # type: ignore[operator]


def test_a_slate_has_the_target_once_and_no_two_items_of_one_text(setting: Fold) -> None:
    text = dict(setting.items.frame.select("item", "text").iter_rows())
    for target in ("any", "new"):
        for case in cases(setting, target):
            slate, (relevant,) = slate_of(case), case.truth["relevant"]
            assert len(slate) == NEGATIVES + 1 == len({text[item] for item in slate})
            assert slate.count(relevant) == 1
            assert not set(slate) & set(case.request["session"])


def test_both_target_sets_share_households_order_and_negatives(setting: Fold) -> None:
    some = {case.id: case for case in cases(setting)}
    new = {case.id: case for case in cases(setting, "new")}
    assert list(new) == [user for user in some if user in new]
    assert any(some[user].truth["relevant"] != new[user].truth["relevant"] for user in new)
    for user, case in new.items():
        (a,), (b,) = some[user].truth["relevant"], case.truth["relevant"]
        assert case.truth["new"]
        assert b == a or not some[user].truth["new"]
        assert [b if item == a else item for item in slate_of(some[user])] == slate_of(case)


def test_a_household_without_a_new_item_has_no_new_case() -> None:
    again = rows("ann", "1", day(-1), ["i01", "i02"]) + rows("ann", "2", day(1), ["i01", "i02"])
    setting = fold(shop_of(again))
    assert cases(setting, "new") == []
    (case,) = cases(setting)
    assert (case.segment, case.truth["bought"]) == ("bought before", 1)


def test_every_item_and_every_new_item_of_a_basket_is_drawn_equally_often() -> None:
    log = rows("ann", "1", day(-1), ["i01", "i02", "i03"])
    setting = fold(shop_of([*log, *rows("ann", "2", day(1), [f"i0{n}" for n in range(1, 7)])]))
    seeds = range(600)
    some = Counter(cases(setting, seed=seed)[0].truth["relevant"][0] for seed in seeds)
    new = Counter(cases(setting, "new", seed=seed)[0].truth["relevant"][0] for seed in seeds)
    # four standard deviations of a binomial count
    assert some.keys() == {f"i0{n}" for n in range(1, 7)}
    assert all(abs(count - 100) < 4 * (600 / 6 * 5 / 6) ** 0.5 for count in some.values())
    assert new.keys() == {"i04", "i05", "i06"}
    assert all(abs(count - 200) < 4 * (600 / 3 * 2 / 3) ** 0.5 for count in new.values())


def test_negatives_are_drawn_by_purchases_and_the_target_stands_anywhere() -> None:
    setting = fold(shop_of(rows("ann", "1", day(1), ["i00", "i01"])))
    drawn, places = Counter[str](), Counter[int]()
    for seed in range(800):
        (case,) = cases(setting, seed=seed)
        slate, (target,) = slate_of(case), case.truth["relevant"]
        drawn.update(item for item in slate if item != target)
        places[slate.index(target)] += 1
    rare, common = (sum(drawn[item] for item in some) for some in (KEPT[10:20], KEPT[40:50]))
    assert rare < common < rare * (65 / 35)  # without replacement, shares are less than weights
    assert all(15 < places[place] < 75 for place in range(20))


@settings(max_examples=30)
@given(others=st.sets(st.integers(2, 39)), seed=st.integers(0, 3))
def test_a_households_case_does_not_depend_on_the_others(others: set[int], seed: int) -> None:
    log = households()
    users = {"h0", "h1", *(f"h{n}" for n in others)}
    every = {case.id: case for case in _cases_of(tuple(log), seed)}
    some = _cases_of(tuple(row for row in log if row[0] in users), seed)
    # popularity includes the others' earlier baskets, hence only what is drawn without it
    order = [case.id for case in some]
    assert order == [user for user in every if user in users]
    for case in some:
        assert case.truth == every[case.id].truth
        assert case.request["session"] == every[case.id].request["session"]


def _cases_of(log: tuple[Row, ...], seed: int) -> list[Case]:
    return cases(fold(shop_of(log)), seed=seed)


def test_another_seed_gives_other_cases_in_another_order(setting: Fold) -> None:
    assert cases(setting, seed=1) == cases(setting, seed=1)
    assert [c.id for c in cases(setting, seed=1)] != [c.id for c in cases(setting, seed=2)]


def test_cases_do_not_depend_on_pythons_hash_seed(setting: Fold) -> None:
    code = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('toy', sys.argv[1])\n"
        "toy = importlib.util.module_from_spec(spec); spec.loader.exec_module(toy)\n"
        "from merchgraph.evals.suites.arag_cases import cases, fold\n"
        "made = cases(fold(toy.shop_of(toy.households())), 'new')\n"
        "print(*(case.model_dump_json() for case in made), sep='\\n')\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, __file__],
        env={**os.environ, "PYTHONHASHSEED": "1234"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = [case.model_dump_json() for case in cases(setting, "new")]
    assert len(here) > 10
    assert told.stdout.splitlines() == here


def test_a_log_too_short_for_a_slate_is_refused() -> None:
    events = Events(_frame(rows("a", "1", END, ["i00"])))
    store = Shop("short", Items(pl.DataFrame({"item": ["i00"], "title": ["Tea"]})), events)
    with pytest.raises(SetupError, match=r"short has 0 items with 20 purchases before 2026-05-03"):
        fold(store)


def test_a_basket_that_leaves_no_slate_is_refused() -> None:
    setting = fold(shop_of(rows("ann", "1", day(1), KEPT[:45])))
    with pytest.raises(
        SetupError, match="A basket of 45 items leaves fewer than 19 of the 50 texts"
    ):
        cases(setting)


def test_the_cut_of_the_complete_journey_follows_week_48() -> None:
    days = pl.datetime_range(
        datetime(2017, 1, 1), datetime(2017, 12, 31), "1d", eager=True, time_unit="us"
    )
    log = [row for time in days for row in rows("a", "1", time, ["x"])]
    test = split_weeks(Events(_frame(log)), train=48).test
    assert test.frame["time"].min() == arag_cases.CUTS["complete_journey"]
