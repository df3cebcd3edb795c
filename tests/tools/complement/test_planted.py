"""What the paper asks of complements (sections 1 and 3), on logs where it is planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from merchgraph.tools.complement.config import CASES
from tests.tools.complement.planted import given, trained

CHAIN = [["tv", "mount"], ["mount", "cable"], ["pan", "oil"], ["tea", "jam"]] * 60
PAIR = (
    [["pan", "spatula", "carrier"]] * 2 + [["pan", "oil"]] * 3 + [["spatula", "whisk"]] * 3
    + [["tea", "jam"]] * 3
) * 25  # fmt: skip


def test_what_goes_one_way_need_not_go_back() -> None:
    # the mount is bought with a television only, the television mostly with other things
    other = [["tv", f"film {n}"] for n in range(8)]
    tool = trained(given([["tv", "mount"], *other, ["tea", "jam"], ["pan", "oil"]] * 20))
    assert tool.score("mount", "tv") > tool.score("tv", "mount") + 0.3
    tied = trained(given([["tv", "mount"], *other, ["tea", "jam"]] * 20), dual=False)
    assert tied.score("mount", "tv") == tied.score("tv", "mount")


def test_a_chain_is_not_closed() -> None:
    tool = trained(given(CHAIN))
    assert tool.score("tv", "mount") > 0 > tool.score("tv", "cable")
    assert tool.score("mount", "cable") > 0
    assert tool.next_items(["tv"], 1).items == ["mount"]
    assert {*tool.next_items(["mount"], 2).items} == {"tv", "cable"}


def test_a_pair_may_have_a_complement_that_neither_item_has_first() -> None:
    tool = trained(given(PAIR), epochs=60)
    assert tool.next_items(["pan", "spatula"], 1).items == ["carrier"]
    assert tool.next_items(["pan"], 1).items == ["oil"]
    assert tool.next_items(["spatula"], 1).items == ["whisk"]


def test_a_cold_item_gets_the_neighbours_of_its_twin() -> None:
    kinds = {"tv": "Media", "mount": "Media", "cable": "Media", "pan": "Kitchen", "oil": "Kitchen",
             "tea": "Table", "jam": "Table"}  # fmt: skip
    brands = {"tv": "Acme", "mount": "Bolt", "cable": "Wire", "pan": "Iron", "oil": "Olive",
              "tea": "Leaf", "jam": "Berry"}  # fmt: skip
    made = given(CHAIN, facts={"category": kinds, "brand": brands})
    tool = trained(made, context=True, tokens=("category", "brand"), epochs=80)
    for item, nearest in (("pan", "oil"), ("tea", "jam"), ("tv", "mount")):
        twin = [f"level 0={kinds[item]}", f"brand={brands[item]}", "brand=unheard of"]
        assert tool.next_to_new(twin, 1).items == [nearest]
    assert tool.next_to_new(twin, 3) == tool.next_to_new(twin, 3)


@pytest.mark.parametrize("case", CASES)
def test_each_special_case_of_the_network_learns_the_chain(case: str) -> None:
    settings: dict[str, Any] = dict(CASES[case])
    model = trained(given(CHAIN), **settings).learned.model
    assert bool(model.item_for_user.any()) == settings.get("user", True)
    tool = trained(given(CHAIN), **settings)
    assert tool.next_items(["tea"], 1).items == ["jam"]


def test_taste_is_told_from_what_goes_together() -> None:
    # even shoppers like red things, odd ones blue; the lamp goes with the bulb for all
    baskets = [[["lamp", "bulb"], [f"{colour} {a}", f"{colour} {b}"]][n % 4 // 2]
               for n in range(400)
               for colour in [["red", "blue"][n % 2]]
               for a, b in [[(0, 1), (1, 2), (2, 0)][n % 3]]]  # fmt: skip
    tool = trained(given(baskets, users=2), user=True, epochs=60)
    red, blue = (tool.next_items(["lamp"], 3, user=user).items for user in ("u0", "u1"))
    assert {item.split()[0] for item in (*red, *blue)} == {"bulb", "red", "blue"}
    assert {item.split()[0] for item in red} == {"bulb", "red"}


def test_the_maximum_pools_as_well_as_the_mean() -> None:
    tool = trained(given(PAIR), pooling="max", epochs=60)
    assert tool.learned.model.largest
    assert tool.next_items(["pan", "spatula"], 1).items == ["carrier"]
    rows = tool.learned.model.item_in[:2]
    np.testing.assert_array_equal(tool.learned.model.pooled([[0, 1]])[0], rows.max(axis=0))


def test_an_empty_history_says_nothing() -> None:
    model = trained(given(CHAIN)).learned.model
    assert not model.by_basket([[]]).any()
    assert model.by_basket([]).shape == (0, 7)
