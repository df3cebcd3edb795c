"""Sizes leave a text; goods whose names hold a measure stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.tools.sizes import SIZES, without_sizes


@pytest.mark.parametrize(
    "size",
    [
        "12 oz", "12-OZ", "1.5 l", "1/2 gal", "6 x 330 ml", "half gallon", "six pack", "12-pack",
        "20 bags", "2 pounds", "16 fl oz", "family size", "King-sized", "value pack", "size 4",
        "size X-Large", "sizes 4T", "dozen count", "\uff13 kg",
    ],
)  # fmt: skip
def test_a_size_leaves_the_text(size: str) -> None:
    assert without_sizes(size).strip() == ""
    assert without_sizes(f"Milk, {size} (fresh)").split() == ["Milk,", "(fresh)"]


@pytest.mark.parametrize(
    "goods",
    [
        "Pound cake", "Back pack", "2 in 1 shampoo", "Family tea", "Large eggs", "Half & half",
        "Tea bags", "Plus size dresses", "Shoe size", "12 ozone", "7up", "",
    ],
)  # fmt: skip
def test_goods_stay_as_they_are(goods: str) -> None:
    assert without_sizes(goods) == goods


@given(st.lists(st.sampled_from([*SIZES, "12", "oz", "tea", "x", "-", "茶"]), max_size=8))
def test_no_letter_comes_that_was_not_there(words: list[str]) -> None:
    text = " ".join(words)
    left = without_sizes(text)
    assert len(left) <= len(text)
    assert left.count("tea") == text.count("tea")
    assert left.count("茶") == text.count("茶")
