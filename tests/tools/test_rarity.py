"""How rare the words of a few items are in their shop."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.tables import Items
from merchgraph.tools.rarity import COMMON, FEW, rarities


def catalogue(titles: list[str], sellable: list[bool] | None = None) -> Items:
    frame = pl.DataFrame({"item": [str(n) for n in range(len(titles))], "title": titles})
    return Items(frame if sellable is None else frame.with_columns(pl.Series("sellable", sellable)))


def test_what_more_than_a_tenth_of_the_other_items_have_is_not_rare_at_all() -> None:
    others = ["plain brand"] * 90 + ["tea brand"] * 11 + ["jam brand"] * 10 + ["brand"] * 9
    items = catalogue(["Teas & jams of a brand", "Rye brand", *others])
    found = rarities(items, ["0", "1"])
    assert COMMON * len(others) == 12
    assert found["brand"] == 0
    assert found["rye"] == 1
    assert found["tea"] == pytest.approx(math.log(121 / 12) / math.log(121), abs=1e-6)
    assert 0 < found["tea"] < found["jam"] < found["rye"]
    assert "plain" not in found


def test_the_module_itself_makes_no_word_common() -> None:
    cheeses = [f"cheese {n}" for n in range(50)]
    items = catalogue([*cheeses, *["bread"] * 100])
    assert rarities(items, [str(n) for n in range(50)])["chees"] == 1
    assert rarities(items, ["0"])["chees"] == 0


def test_what_is_not_sold_does_not_count() -> None:
    titles = ["tea", *["tea"] * 40, *["jam"] * 20]
    items = catalogue(titles, [True, *[False] * 40, *[True] * 20])
    assert rarities(items, ["0"])["tea"] == 1
    assert rarities(items, ["1"])["tea"] < 1


def test_a_word_that_only_the_category_or_the_brand_has_is_as_common_as_it_is_there() -> None:
    rows = 40
    frame = pl.DataFrame(
        {
            "item": [str(n) for n in range(rows)],
            "title": [f"Loaf {n}" for n in range(rows)],
            "category": ["Bakery > Bread"] * rows,
            "brand": ["acme"] * (rows - 1) + [None],
            "text": [f"Baked at {n}" for n in range(rows)],
        }
    )
    found = rarities(Items(frame), ["0"])
    assert {found[word] for word in ("bakeri", "bread", "acm", "loaf", "bake")} == {0.0}
    assert found["0"] == 1


def test_in_a_small_shop_no_word_is_common() -> None:
    items = catalogue(["rye bread", *["oat bread"] * FEW, "tea"])
    assert 0 < rarities(items, ["0"])["bread"] < rarities(items, ["0"])["rye"]
    assert rarities(catalogue(["tea"]), ["0"]) == {"tea": 1.0}


def test_an_unknown_item_is_said() -> None:
    with pytest.raises(SetupError, match="'9' is not in the catalogue"):
        rarities(catalogue(["tea"]), ["9"])


@given(st.lists(st.sampled_from(["tea", "rye tea", "rye", "jam"]), min_size=1, max_size=60))
def test_rarity_is_a_share_and_falls_with_what_more_items_have(titles: list[str]) -> None:
    items = catalogue([*titles, "jam rye tea"])
    found = rarities(items, [str(len(titles))])
    having = {word: sum(word in title for title in titles) for word in found}
    assert set(found) == {"jam", "rye", "tea"}
    assert all(0 <= rarity <= 1 for rarity in found.values())
    for one in found:
        assert all(found[one] >= found[other] for other in found if having[one] <= having[other])
