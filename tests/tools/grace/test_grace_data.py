from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data import tabular
from merchgraph.tools.data.tables import Events
from merchgraph.tools.grace.candidates import FEATURES, candidates
from merchgraph.tools.grace.data import Journey, past, read, told
from merchgraph.tools.grace.samples import collate, sample
from tests.tools.grace.grace_toy import START, TEAS, changed, events, goods, ids, items, toy_shop

REES46 = """\
event_time,event_type,product_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,1,electronics.phone,apple,999.0,7,s1
2019-10-01 00:00:05 UTC,cart,1,electronics.phone,apple,999.0,7,s1
2019-10-01 00:01:00 UTC,remove_from_cart,1,electronics.phone,apple,999.0,7,s1
2019-10-01 00:50:00 UTC,view,2,,,9.5,7,s1
2019-10-02 00:00:00 UTC,purchase,2,,,9.5,7,s2
"""
MAPPING = """\
name: cosmetics
items: {file: log.csv, columns: {item: product_id, title: product_id, category: category_code,
        brand: brand, price: price}, category_separator: ., duplicates: first}
events: {file: log.csv, columns: {user: user_id, session: user_session, time: event_time,
         behaviour: event_type, item: product_id, price: price}, time_format: '%Y-%m-%d %H:%M:%S UTC',
         behaviours: {view: view, cart: cart, remove_from_cart: remove, purchase: purchase}}
"""


def test_purchases_are_told_by_how_they_were_paid() -> None:
    frame = events([("ann", day, "tea 0", "purchase") for day in range(4)]).frame
    paid = frame.with_columns(
        pl.Series("discounted", [False, True, True, None]),
        pl.Series("coupon", [False, False, True, None]),
    )
    assert told(paid)["behaviour"].to_list() == ["regular", "discount", "coupon", "regular"]
    assert told(frame)["behaviour"].to_list() == ["purchase"] * 4


def test_a_scarce_behaviour_is_a_token_and_never_a_target() -> None:
    rows = [("ann", float(day), f"tea {day % 4}", "buy") for day in range(40)]
    log = read(items(), events([*rows, ("ann", 40.0, "tea 1", "coupon")]), changed(scarce=0.05))
    assert log.goods.behaviours == ("buy", "coupon")
    assert log.goods.predicted == 1
    assert log.targets(40)[0].tolist() == []
    assert 40 not in log.samples
    assert 39 in log.samples


def test_journeys_are_sessions_cut_at_a_pause_and_at_64() -> None:
    minutes = [0, 5, 60, 61]
    rows = [("ann", minute / 1440, f"tea {n}", "buy") for n, minute in enumerate(minutes)]
    assert np.diff(read(items(), events(rows), changed()).starts).tolist() == [2, 2]
    assert np.diff(read(items(), events(rows), changed(gap_minutes=90)).starts).tolist() == [4]
    many = [("ann", 0.0, item, done) for item in items().frame["item"] for done in "vwxyz"]
    assert np.diff(read(items(), events(many), changed()).starts).tolist() == [64, 16]


def test_sessions_that_run_side_by_side_stay_whole() -> None:
    rows = [("ann", day, item, "buy") for day, item in [(0.0, "tea 0"), (1.0, "tea 1")]]
    frame = events(rows).frame
    late = frame.with_columns(time=pl.lit(START) + pl.duration(minutes=1) * pl.int_range(pl.len()))
    again = late.with_columns(time=pl.col("time") + timedelta(seconds=90))
    log = read(
        items(), Events(pl.concat([late, again.with_columns(item=pl.lit("tea 5"))])), changed()
    )
    assert np.diff(log.starts).tolist() == [2, 2]


def test_a_history_holds_nothing_of_the_journey_to_predict_or_later() -> None:
    store = toy_shop()
    log = read(store.items, store.events, changed())
    for journey in log.samples:
        before = log.before(int(journey))
        visit = int(journey) - int(log.first[journey])
        assert len(before.item) == 2 * visit
        assert before.journey.max() == visit - 1
        last = before.item[before.journey == visit - 1]
        names = {log.goods.items[code] for code in (*last, *log.targets(int(journey))[0])}
        assert len(names) == 3, "two teas in a row and one milk"


def test_items_below_the_least_are_left_out() -> None:
    rows = [("ann", float(day), "tea 0", "buy") for day in range(3)] + [
        ("ann", 9.0, "tea 1", "buy")
    ]
    log = read(items(), events(rows), changed(least=2))
    assert log.goods.items == ("tea 0",)
    assert log.item.tolist() == [0, 0, 0]
    nothing = read(items(), events([]), changed())
    assert (nothing.goods.items, len(nothing.samples)) == ((), 0)


def test_own_items_are_counted_over_the_whole_history() -> None:
    kept = goods()
    visits = [["tea 1", "milk 0"], ["tea 1"], ["tea 2"]]
    own = candidates(kept, past(kept, [Journey(visit) for visit in visits]), near=0)
    column = {kept.items[item]: row for row, item in enumerate(own.item)}
    assert set(column) == {"tea 1", "milk 0", "tea 2"}
    count, ago = FEATURES.index("count"), FEATURES.index("journeys ago")
    assert own.features[column["tea 1"], count] == pytest.approx(np.log(3))
    assert own.features[column["milk 0"], ago] == pytest.approx(np.log(3) / 2)
    assert own.features[column["tea 2"], FEATURES.index("in the last")] == 1
    assert own.item[0] == kept.items.index("tea 1")


def test_neighbours_follow_the_own_items_best_first_and_none_was_had() -> None:
    rows = [("ann", 0.0, "tea 0", "buy"), ("ann", 0.0, "tea 1", "buy"), ("bob", 0.0, "tea 0", "buy"),
            ("bob", 0.0, "tea 2", "buy"), ("cat", 0.0, "tea 0", "buy"), ("cat", 0.0, "tea 1", "buy"),
            ("dan", 0.0, "milk 0", "buy"), ("dan", 0.0, "milk 1", "buy")]  # fmt: skip
    kept = read(items(), events(rows), changed(least=1)).goods
    told = past(kept, [Journey(["tea 0"]), Journey(["milk 0"])])
    found = candidates(kept, told, near=9)
    assert [kept.items[code] for code in found.item] == [
        "milk 0",
        "tea 0",
        "milk 1",
        "tea 1",
        "tea 2",
    ]
    assert found.features[:, FEATURES.index("had")].tolist() == [1, 1, 0, 0, 0]
    near, late = (found.features[:, FEATURES.index(n)] for n in ("beside", "beside of late"))
    assert near[2] > near[3] > near[4] > near[0]
    assert near[2] - near[3] < late[2] - late[3]
    assert len(candidates(kept, told, near=2).item) == 4
    none = candidates(kept, told, near=0).features[:, 11:]
    assert (none == none[0, 0]).all()


def test_what_a_shopper_did_later_is_taken_off_the_counts_of_neighbours() -> None:
    """The sums of a training sample against counts of the log without the shopper's own end."""
    rng = np.random.default_rng(0)
    rows = [(f"user {user}", float(day), item, "buy") for user in range(6) for day in range(5)
            for item in rng.choice(ids(), size=4, replace=False)]  # fmt: skip
    log = read(items(), events(rows), changed(least=1))
    count = len(log.goods.items)
    for journey in (1, 13, 29):
        told = log.before(journey)
        found = candidates(log.goods, told, count, log.later(journey))
        gone = np.flatnonzero(log.user == log.user[journey])
        gone = gone[gone >= journey]
        table = np.zeros((len(log.user), count))
        for one in range(len(log.user)):
            basket = log.item[log.starts[one] : log.starts[one + 1]]
            table[one, basket] = len(basket) ** -0.5
        lengths = np.sqrt((table**2).sum(axis=0))
        kept = np.delete(table, gone, axis=0) / lengths
        cosines = kept.T @ kept
        np.fill_diagonal(cosines, 0)
        weight = 0.5 ** ((told.journey[-1] - told.journey) / 10)
        expected = np.log((weight @ cosines[told.item])[found.item] + 0.01) / 3
        np.testing.assert_allclose(found.features[:, FEATURES.index("beside")], expected, atol=2e-4)


@given(
    st.lists(
        st.lists(st.sampled_from(["tea 0", "tea 1", "milk 3", "gone"]), max_size=4), max_size=6
    )
)
def test_any_past_makes_a_batch(visits: list[list[str]]) -> None:
    kept = goods()
    one = past(kept, [Journey(visit) for visit in visits])
    batch = collate([one, past(kept, [])], kept, changed(interactions=5), np.random.default_rng(0))
    known = [item for visit in visits for item in visit if item != "gone"]
    assert batch.there[0].sum() == 1 + min(5, len(known))
    assert batch.there[1].sum() == 1
    had = batch.features[0, :, FEATURES.index("had")] > 0
    assert {kept.items[code] for code in batch.candidates[0, had]} == set(known)
    assert len({*batch.candidates[0].tolist()} - {-1}) == (batch.candidates[0] >= 0).sum()
    assert (
        sorted(batch.item[0][batch.item[0] >= 0])
        == sorted(kept.items.index(item) for item in known)
        or len(known) > 5
    )
    assert (np.diff(batch.journey[0][batch.there[0]]) >= 0).all()
    assert np.isfinite(batch.features).all()


def test_targets_know_where_they_can_be_copied_from() -> None:
    store = toy_shop()
    log = read(store.items, store.events, changed())
    batch, targets = sample(log, log.samples[5:9], changed(), np.random.default_rng(0))
    for row in range(4):
        for item, place in zip(targets.item[row], targets.copy[row], strict=True):
            if item >= 0:
                assert (place >= 0) == (item in batch.candidates[row])
                assert place < 0 or batch.candidates[row, place] == item


def test_items_of_one_journey_come_in_another_order_each_time() -> None:
    kept = goods()
    one = past(kept, [Journey([f"tea {n}" for n in range(TEAS)]), Journey(["milk 0"])])
    orders = {
        tuple(collate([one], kept, changed(interactions=20), np.random.default_rng(seed)).item[0])
        for seed in range(9)
    }
    assert len(orders) > 1
    assert len({order[-1] for order in orders}) == 1


def test_behaviours_that_do_not_fit_are_told() -> None:
    with pytest.raises(SetupError, match="2 items and 1 behaviours"):
        past(goods(), [Journey(["tea 0", "tea 1"], ["regular"])])
    with pytest.raises(SetupError, match="'gift' was not learned; there are"):
        past(goods(), [Journey(["tea 0"], ["gift"])])


def test_a_log_of_views_carts_and_purchases_is_read(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(REES46)
    (tmp_path / "cosmetics.yaml").write_text(MAPPING)
    with use_settings(cache=tmp_path / "cache"):
        store = tabular.load(tmp_path / "cosmetics.yaml")
    log = read(store.items, store.events, changed(scarce=0.0))
    assert set(log.goods.behaviours) == {"view", "cart", "remove", "purchase"}
    # the pause of 49 minutes cuts the first session
    assert np.diff(log.starts).tolist() == [3, 1, 1]
    assert store.items.frame["category"].to_list() == ["electronics > phone", ""]
