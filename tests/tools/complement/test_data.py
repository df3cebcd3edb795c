from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from merchgraph.runtime.errors import DataError
from merchgraph.tools.complement.data import Tokens, item_tokens, read
from merchgraph.tools.data.tables import Events
from tests.tools.complement.planted import QUICK, given

BASKETS = [["tea", "jam", "tea"], ["tea"], ["jam", "oil"], ["tea", "jam"]]


def test_baskets_hold_distinct_items_in_the_order_of_time() -> None:
    log = read(*given(BASKETS, more=["salt"], users=2)[:2], QUICK)
    assert log.items == ("jam", "oil", "salt", "tea")
    spans = zip(log.ends, log.ends[1:], strict=False)
    assert [{log.items[n] for n in log.rows[a:b]} for a, b in spans] == [
        {"tea", "jam"}, {"tea"}, {"jam", "oil"}, {"tea", "jam"}
    ]  # fmt: skip
    assert log.counts.tolist() == [3, 1, 0, 3]
    assert log.observations == 3
    assert [log.users[user] for user in log.user_of] == ["u0", "u1", "u0", "u1"]


def test_rare_items_are_left_out_and_shoppers_of_one_basket_share_a_number() -> None:
    log = read(*given(BASKETS, users=3)[:2], QUICK.with_(least=3))
    assert log.items == ("jam", "tea")
    assert log.users == ("", "u0")
    assert log.user_of.tolist() == [1, 0, 0, 1]


def test_only_purchases_count_where_there_are_any() -> None:
    made = given(BASKETS)
    seen = made.events.frame.with_columns(behaviour=pl.lit("view"), session=pl.lit("other"))
    both = Events(pl.concat([made.events.frame, seen]))
    assert read(made.items, both, QUICK).observations == 3
    assert read(made.items, Events(seen), QUICK).observations > 0


def test_tokens_say_where_they_come_from() -> None:
    items = pl.DataFrame({
        "item": ["a", "b", "c"], "title": ["Red Kettle 2", "red pan", "Lid"],
        "category": ["Kitchen > Kettles", "Kitchen", ""], "brand": ["Acme", None, None],
        "seller": [None, "7", None], "price": [9.0, 1.0, None],
    })  # fmt: skip
    tokens = item_tokens(items, ("category", "brand", "seller", "price"))
    assert [[tokens.names[n] for n in tokens.row(item)] for item in range(3)] == [
        ["level 0=Kitchen", "level 1=Kettles", "brand=Acme", "price=5"],
        ["level 0=Kitchen", "seller=7", "price=0"],
        [],
    ]
    assert item_tokens(items, ()).names == ()


def test_words_are_those_of_several_titles_but_not_of_all() -> None:
    titles = [f"The {'blue' if n < 5 else 'odd' if n < 9 else 'plain'} thing" for n in range(200)]
    frame = pl.DataFrame({"item": [str(n) for n in range(200)], "title": titles})
    frame = frame.with_columns(
        category=pl.lit(""), brand=pl.lit(None), seller=pl.lit(None), price=pl.lit(None)
    )
    assert item_tokens(frame, ("words",)).names == ("word=blue",)


def test_a_token_counts_once_for_each_thing() -> None:
    tokens = Tokens.made([["x", "x", "y"], [], ["y"]], least=2)
    assert tokens.names == ("y",)
    assert [tokens.row(n).tolist() for n in range(3)] == [[0], [], [0]]
    assert tokens.none().names == ()
    assert tokens.none().row(2).size == 0


def test_users_are_told_by_columns_and_by_a_table() -> None:
    made = given(BASKETS, users=2)
    frame = made.events.frame.with_columns(country=pl.lit("France"))
    told = pl.DataFrame({"user": ["u1", "u9"], "age": ["35-44", "19-24"], "kids": [None, "1"]})
    config = QUICK.with_(user_columns=("country",))
    log = read(made.items, Events(frame), config, told)
    assert [[log.user_tokens.names[n] for n in log.user_tokens.row(u)] for u in range(3)] == [
        [], ["country=France"], ["country=France", "age=35-44"]
    ]  # fmt: skip


def test_an_unknown_column_of_users_is_named() -> None:
    with pytest.raises(DataError, match=r"no column 'town'.*user, session, time"):
        read(*given(BASKETS)[:2], QUICK.with_(user_columns=("town",)))


def test_an_empty_log_keeps_the_catalogue() -> None:
    made = given(BASKETS)
    log = read(made.items, Events(made.events.frame.clear()), QUICK)
    assert log.items == ("jam", "oil", "tea")
    assert log.observations == 0
    assert log.ends.tolist() == [0]
    assert made.events.frame["time"].min() == datetime(2026, 1, 1)
