"""Categories to aisles, by rules."""

import pytest

from merchgraph.tools.ctr.aisles import OTHER, aisle_of, aisles


def test_there_are_27_aisles_each_named_once() -> None:
    assert len(aisles()) == len(set(aisles())) == 27


@pytest.mark.parametrize(
    ("department", "category", "aisle"),
    [
        ("Produce", "Apples", "fruit"),
        ("Produce", "Onions", "vegetables"),
        ("Produce", "Popcorn", "snacks and crackers"),
        ("Pastry", "Cookies", "bakery"),
        ("Grocery", "Cookies/cones", "candy and cookies"),
        ("Grocery", "Cat food", "pets"),
        ("Grocery", "Frozen pizza", "frozen food"),
        ("Grocery", "Ice cream/milk/sherbets", "ice cream and frozen desserts"),
        ("Grocery", "Air care", "household"),
        ("Drugstore and general merchandise", "Hair care products", "health and beauty"),
        ("Drugstore and general merchandise", "Coffee filters", "household"),
        ("Grocery", "Coffee", "breakfast and coffee"),
        ("Packaged seafood", "Seafood-fresh", "seafood"),
        ("GROCERY", "SOFT DRINKS", "soft drinks and water"),
        ("Toys", "Toys", OTHER),
        ("", "", OTHER),
    ],
)
def test_the_first_rule_that_fits_wins(department: str, category: str, aisle: str) -> None:
    assert aisle_of(department, category) == aisle
    assert aisle in aisles()
