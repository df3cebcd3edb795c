from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import KINDS, Draw, Trail, behaviour_of, log, questions
from merchgraph.tools.tmf.goods import Goods, goods
from tests.tools.gmvo.toy import START, toy_shop

CONFIG = Config(least=1, slate=4, history=3)
DAY0 = (START - datetime(1970, 1, 1)).days


def toy_goods() -> Goods:
    store = toy_shop()
    kinds = pl.col("item").str.split(" ").list.first()
    deep = store.items.frame.with_columns(pl.concat_str(pl.lit("Shop > "), kinds, pl.lit(" > any"))
                                          .alias("category"))  # fmt: skip
    return goods(Items(deep), store.events, 1, 3)


def test_a_question_offers_what_came_true_once_and_nothing_else_of_the_basket() -> None:
    store, kept = toy_shop(), toy_goods()
    past = log(store.events, kept)
    drawn = questions(past, kept, Draw(DAY0 + 30, DAY0 + 60, 50), CONFIG)
    assert len(drawn) == 50
    for one in drawn:
        assert one.right.sum() == 1
        assert len(set(kept.label_codes[one.slate])) == len(one.slate) == 4
        # the basket is the one that follows the trail
        first, after = past.first[one.user], past.first[one.user] + len(one.trail.items)
        same = past.basket == past.basket[after]
        assert (past.basket[first:after] < past.basket[after]).all()
        assert set(one.slate[one.right]) <= set(past.item[same])
        assert not set(one.slate[~one.right]) & set(past.item[same])
        assert DAY0 + 30 <= past.day[after] < DAY0 + 60


def test_random_and_hard_slates_of_one_seed_are_about_the_same_items() -> None:
    store, kept = toy_shop(), toy_goods()
    past = log(store.events, kept)
    asked = [
        questions(past, kept, Draw(DAY0 + 30, DAY0 + 60, 20, kinds=(kind,), each=True), CONFIG)
        for kind in KINDS
    ]
    truths = [[(one.user, int(one.slate[one.right][0])) for one in some] for some in asked]
    assert truths[0] == truths[1]
    assert len({user for user, _ in truths[0]}) == len(truths[0]) == 20
    for one in asked[1]:
        (truth,) = one.slate[one.right]
        assert {kept.groups[item] for item in one.slate} == {kept.groups[truth]}
    mixed = {len({int(kept.groups[item]) for item in one.slate}) for one in asked[0]}
    assert 2 in mixed


def test_a_hard_slate_is_near_in_price() -> None:
    kept = toy_goods()
    tea = kept.items.index("tea 5")
    near = [kept.items[n] for n in kept.near(tea, 4)]
    assert set(near) == {"tea 3", "tea 4", "tea 6", "tea 7"}


def test_the_latest_items_come_last_and_the_more_frequent_of_a_basket_later() -> None:
    trail = Trail(
        items=np.array([7, 8, 9, 7, 5, 9, 8]),
        behaviours=np.array([0, 0, 0, 1, 0, 1, 0]),
        baskets=np.array([0, 0, 1, 1, 1, 2, 2]),
    )
    items, did = trail.latest(3)
    assert items.tolist() == [7, 9, 8]
    assert did.tolist() == [1, 1, 0]
    assert trail.latest(1)[0].tolist() == [8]
    assert [len(part) for part in trail.latest(9)] == [4, 4]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30), st.integers(1, 9))
def test_a_history_is_of_distinct_items_with_what_was_done_last(
    rows: list[tuple[int, int]], size: int
) -> None:
    baskets = sorted(basket for _, basket in rows)
    items = np.array([item for item, _ in rows], dtype=np.int64)
    trail = Trail(items, np.arange(len(rows)), np.array(baskets, dtype=np.int64))
    found, did = trail.latest(size)
    assert len(found) == min(size, len(set(items.tolist())))
    assert len(set(found.tolist())) == len(found)
    for item, place in zip(found, did, strict=True):
        assert place == max(np.flatnonzero(items == item))


def priced(rows: list[tuple[str, bool, bool]]) -> Events:
    frame = pl.DataFrame(
        {
            "user": ["ann"] * len(rows),
            "session": [str(n) for n in range(len(rows))],
            "time": [START + timedelta(days=n) for n in range(len(rows))],
            "behaviour": ["purchase"] * len(rows),
            "item": [row[0] for row in rows],
            "discounted": [row[1] for row in rows],
            "coupon": [row[2] for row in rows],
        }
    )
    return Events(frame)


def test_how_a_purchase_was_priced_is_its_behaviour() -> None:
    store = toy_shop()
    rows = [("tea 1", False, False), ("tea 2", True, False), ("tea 3", True, True)]
    events = priced([*rows, *[("tea 1", True, False)] * 20])
    kept = goods(store.items, events, 1, 3)
    past = log(events, kept)
    assert past.behaviours == ("regular", "discount", "coupon")
    assert past.behaviour[:3].tolist() == [0, 1, 2]
    assert past.targets(1e9).tolist() == [1]  # what is rarer than 1 in 20 rows is not asked for
    usual = behaviour_of(past, len(kept), 1e9)
    assert {i: int(b) for i, b in zip(kept.items, usual, strict=True)} == {
        "tea 1": 1, "tea 2": 1, "tea 3": 2,
    }  # fmt: skip
    assert log(events, kept, ("coupon", "regular")).behaviour[:2].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("title", "brand", "label"),
    [
        ("Fluid milk white only, 1 gal, store brand", "store brand", "Fluid milk white"),
        ("Rolls: bagels, 4 oz", None, "Rolls: bagels, 4"),
        ("Ham, national brand", "national brand", "Ham"),
        ("- - -", None, "- - -"),
    ],
)
def test_a_label_is_the_first_words_without_the_brand(
    title: str, brand: str | None, label: str
) -> None:
    table = pl.DataFrame({"item": ["tea 1"], "title": [title], "brand": [brand]},
                         schema_overrides={"brand": pl.String})  # fmt: skip
    kept = goods(Items(table), priced([("tea 1", False, False)]), 1, 3)
    assert kept.labels == (label,)


def test_a_small_shop_gives_a_short_slate() -> None:
    store = toy_shop()
    few = Items(store.items.frame.head(3))
    kept = goods(few, store.events, 1, 3)
    past = log(store.events, kept)
    drawn = questions(past, kept, Draw(DAY0, DAY0 + 90, 5), CONFIG)
    assert drawn
    assert {len(one.slate) for one in drawn} <= {2, 3}
