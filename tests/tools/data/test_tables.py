from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.data.tables import EVENT_COLUMNS, ITEM_COLUMNS, Events, Items, Shop

NOON = datetime(2017, 3, 1, 12)
CATALOGUE = {
    "item": ["a", "b", "c"],
    "title": ["Oat milk", "Rye bread", "Soap"],
    "category": ["Dairy > Milk", "Bakery", None],
    "brand": ["Oatly", None, None],
    "price": [1.5, 2.0, None],
    "size": ["1 l", None, "3 ct"],
}


def catalogue(**changes: object) -> pl.DataFrame:
    return pl.DataFrame({**CATALOGUE, **changes}, strict=False)


def log(rows: list[tuple[str, str, int, str]]) -> pl.DataFrame:
    users, sessions, hours, items = zip(*rows, strict=True)
    times = [NOON + timedelta(hours=hour) for hour in hours]
    columns = {"user": users, "session": sessions, "time": times, "item": items}
    return pl.DataFrame(columns).with_columns(behaviour=pl.lit("purchase"))


LOG = log([("2", "s3", 5, "b"), ("1", "s2", 9, "b"), ("1", "s1", 1, "c"), ("1", "s2", 9, "a")])
SHOP = Shop("corner", Items(catalogue()), Events(LOG))


def test_a_catalogue_has_all_columns_in_order_and_extra_ones_behind() -> None:
    assert Items(catalogue()).frame.columns == [*ITEM_COLUMNS, "size"]


def test_only_item_and_title_must_be_given() -> None:
    items = Items(pl.DataFrame({"item": [7], "title": ["Soap"]}))
    row = items.row("7")
    assert (row.title, row.category, row.brand, row.price, row.text) == (
        "Soap",
        "",
        None,
        None,
        "Soap",
    )


def test_text_is_made_of_title_category_brand_and_size() -> None:
    items = Items(catalogue())
    assert items.frame["text"].to_list() == [
        "Oat milk. Dairy > Milk. Oatly. 1 l",
        "Rye bread. Bakery",
        "Soap. 3 ct",
    ]


def test_a_given_text_stays_and_a_missing_one_is_made() -> None:
    items = Items(catalogue(text=["A drink of oats", None, None]))
    assert [item.text for item in items.get(["b", "a"])] == ["Rye bread. Bakery", "A drink of oats"]


def test_a_catalogue_answers_len_and_in() -> None:
    items = Items(catalogue())
    assert (len(items), "a" in items, "z" in items, 3 in items) == (3, True, False, False)


def test_an_unknown_item_is_named_with_the_nearest_one() -> None:
    items = Items(pl.DataFrame({"item": ["1000", "2000"], "title": ["x", "y"]}))
    with pytest.raises(
        SetupError, match=r"item '1001' .* \(2 items, .*'1000'.*did you mean '1000'\?"
    ):
        items.row("1001")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"item": ["a", "b", "a"]},
            r"items: column 'item' has 'a' in row 3, but an item has one row",
        ),
        ({"item": ["a", " ", "c"]}, r"column 'item' has ' ' in row 2, but every row needs one"),
        ({"item": ["a", None, "c"]}, r"column 'item' has None in row 2"),
        ({"title": ["x", "y", ""]}, r"column 'title' has '' in row 3"),
        (
            {"price": [1.0, -2.5, 1.0]},
            r"column 'price' has -2.5 in row 2, but a price is a number of 0",
        ),
        ({"price": [float("nan"), 2.0, 1.0]}, r"column 'price' has nan in row 1"),
        ({"price": [1.0, float("inf"), 1.0]}, r"column 'price' has inf in row 2"),
        (
            {"price": ["1", "2", "3"]},
            r"column 'price' has the type String, but a number is expected",
        ),
        ({"item": [1.0, 2.0, 3.0]}, r"column 'item' has the type Float64, but text is expected"),
        ({"brand": [["x"], [], []]}, r"column 'brand' has the type List"),
    ],
)
def test_a_faulty_catalogue_is_refused_with_column_row_and_value(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Items(catalogue(**changes))


def test_a_missing_column_is_named_with_the_nearest_one() -> None:
    with pytest.raises(DataError, match=r"'title' is missing .*did you mean 'Title'\?"):
        Items(pl.DataFrame({"item": ["a"], "Title": ["Soap"]}))


def test_a_log_is_ordered_by_user_and_time_and_keeps_ties_in_given_order() -> None:
    events = Events(LOG)
    assert events.frame.columns == list(EVENT_COLUMNS)
    assert events.frame["user"].to_list() == ["1", "1", "1", "2"]
    assert events.frame["item"].to_list() == ["c", "b", "a", "b"]


def test_the_events_of_a_user_are_theirs_alone() -> None:
    events = Events(LOG)
    assert events.users == ("1", "2")
    assert events.of("1")["item"].to_list() == ["c", "b", "a"]
    assert events.of("nobody").is_empty()


def test_a_log_may_be_empty_but_a_shop_may_not() -> None:
    empty = Events(LOG.clear())
    assert (len(empty), empty.users) == (0, ())
    with pytest.raises(DataError, match=r"The log of corner has no rows"):
        Shop("corner", Items(catalogue()), empty)
    with pytest.raises(DataError, match=r"The catalogue of corner has no rows"):
        Shop("corner", Items(catalogue().clear()), Events(LOG))


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        (LOG.drop("session"), r"events: the column 'session' is missing"),
        (LOG.with_columns(time=pl.lit("2017")), r"'time' has the type String, but a Datetime"),
        (
            LOG.with_columns(pl.col("time").dt.replace_time_zone("UTC")),
            r"'time' has the type Datetime.*UTC.*take off its zone",
        ),
        (LOG.with_columns(user=pl.lit("")), r"column 'user' has '' in row 1"),
        (LOG.with_columns(user=pl.lit(None)), r"column 'user' has None in row 1"),
        (
            LOG.with_columns(time=pl.when(pl.col("item") != "c").then("time")),
            r"column 'time' has None in row 3, but every event needs a time",
        ),
        (
            LOG.with_columns(price=pl.when(pl.col("item") == "c").then(-1.0)),
            r"events: column 'price' has -1.0 in row 3",
        ),
        (LOG.with_columns(quantity=pl.lit("two")), r"'quantity' has the type String"),
    ],
)
def test_a_faulty_log_is_refused_with_column_row_and_value(
    faulty: pl.DataFrame, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Events(faulty)


def test_returns_have_a_negative_quantity() -> None:
    events = Events(LOG.with_columns(quantity=pl.lit(-1)))
    assert events.frame["quantity"].to_list() == [-1.0] * 4


def test_a_history_is_baskets_in_time_order() -> None:
    baskets = SHOP.history("1")
    assert [(basket.session, basket.items) for basket in baskets] == [
        ("s1", ("c",)),
        ("s2", ("b", "a")),
    ]
    assert baskets[0].time == NOON + timedelta(hours=1)


def test_a_history_ends_before_the_given_time() -> None:
    assert [basket.session for basket in SHOP.history("1", NOON + timedelta(hours=9))] == ["s1"]


def test_an_unknown_user_is_named_with_examples_and_a_remedy() -> None:
    with pytest.raises(SetupError) as caught:
        SHOP.history("99999")
    assert str(caught.value) == (
        "The user '99999' is not in corner (2 users, for example '1', '2'); give one of those."
    )


def test_a_user_without_history_before_the_time_has_their_own_sentence() -> None:
    with pytest.raises(
        SetupError, match=r"user '2' of corner has no basket .* before 2017-03-01 12:00:00 "
    ):
        SHOP.history("2", NOON)


def test_a_time_with_a_zone_is_refused() -> None:
    with pytest.raises(SetupError, match=r"has a time zone, but a shop's times are local"):
        SHOP.history("1", NOON.replace(tzinfo=UTC))


def test_events_of_unknown_items_are_kept_counted_and_not_in_a_history() -> None:
    shop = Shop(
        "corner", Items(catalogue()), Events(log([("1", "s", 1, "a"), ("1", "s", 1, "gone")]))
    )
    assert (len(shop.events), shop.unknown_items) == (2, 1)
    assert shop.history("1")[0].items == ("a",)


def test_a_catalogue_of_other_ids_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"No event of corner .* log has 'x1', the catalogue 'a', 'b'; map"
    ):
        Shop("corner", Items(catalogue()), Events(log([("1", "s", 1, "x1")])))
