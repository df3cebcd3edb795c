"""Features: what proves one, which mean the same, and how near greedy comes to the best cover."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from merchgraph.tools.features import (
    Claim,
    Cluster,
    Feature,
    alike,
    clusters,
    cover,
    coverage,
    item_weights,
    proven,
    rated,
    read_off,
    telling,
    told_by,
    wordings,
)

SOURCE = "Organic rye bread, 500 g\nBakery > Bread. store brand"


@pytest.mark.parametrize(
    "claim",
    [
        Claim("rye", "material", 1.0, "rye"),
        Claim("Rye Breads", "type", 1.0, "ORGANIC\n rye  Bread"),
        Claim("breakfast", "occasion", 0.3, "bread"),
        Claim("organic", "use", 0.3, "rye"),  # a claim that the text makes too
    ],
)
def test_a_feature_with_its_span_is_proven(claim: Claim) -> None:
    found = proven(claim, item="7", source=SOURCE)
    assert found is not None
    assert (found.item, found.kind, found.salience) == ("7", claim.kind, claim.salience)
    assert not found.by_code


@pytest.mark.parametrize(
    "claim",
    [
        Claim("rye", "material", 1.0, "wheat"),
        Claim("rye", "material", 1.0, ""),
        Claim("rye", "material", 1.0, " \n"),
        Claim("", "use", 1.0, "rye"),
        Claim("of the", "use", 1.0, "rye"),
        Claim("wheat", "material", 1.0, "rye"),
        Claim("product", "type", 1.0, "bread"),
        Claim("500", "attribute", 1.0, "500 g"),
        Claim("best lunch", "occasion", 1.0, "bread"),
        Claim("20 lunches", "occasion", 1.0, "bread"),
        Claim("lunch " * 10, "occasion", 1.0, "bread"),
        Claim("🎉", "occasion", 1.0, "bread"),
        Claim("lunch", "use", 1.0, "read"),  # in "bread"
        Claim("lunch", "use", 1.0, "store bran"),
        Claim("lunch", "use", 1.0, "50"),
        Claim("lunch", "use", 1.0, "🎉"),
    ],
)
def test_a_feature_that_the_text_does_not_prove_is_none(claim: Claim) -> None:
    assert proven(claim, item="7", source=SOURCE) is None


@pytest.mark.parametrize(
    ("span", "source", "stands"),
    [
        ("art", "Party hats", False), ("art", "Party art", True), ("cafe", "Café crème", False),
        ("CAFE\u0301", "Café crème", True), ("茶", "绿茶", True), ("party-hats", "Party hats", True),
        ("the", "All of the tea", False), ("5", "Tea 1.5", False),
    ],
)  # fmt: skip
def test_a_span_stands_in_whole_words(span: str, source: str, stands: bool) -> None:
    found = proven(Claim("picnics", "use", 1.0, span), item="7", source=source)
    assert (found is not None) == stands


@pytest.mark.parametrize(
    "size",
    ["x-large", "XXL", "Extra large", "12 ounces", "six pack", "family size", "size 4", "half gallon",
     "Gallon", "20 bags"],
)  # fmt: skip
def test_what_only_is_a_size_is_no_feature_said_or_read_off(size: str) -> None:
    source = f"Milk {size}"
    assert proven(Claim(size, "attribute", 1.0, size), item="7", source=source) is None
    assert [f.text for f in read_off("7", f"Milk, {size}", f"Dairy > {size}", None)] == [
        "Dairy", "Milk",
    ]  # fmt: skip
    assert read_off("7", size, "", None) == []


@pytest.mark.parametrize("text", ["Large eggs", "Pound cake", "Family tea", "Plus size dress"])
def test_a_size_beside_goods_is_a_feature(text: str) -> None:
    found = proven(Claim(text, "type", 1.0, text), item="7", source=text)
    assert found is not None
    assert found.text == text


def test_of_a_feature_with_marks_the_first_part_is_kept() -> None:
    found = proven(Claim("rye bread, 500 g", "type", 1.0, "rye"), item="7", source=SOURCE)
    assert found is not None
    assert found.text == "rye bread"


def test_fields_are_features_by_code() -> None:
    found = read_off("7", "Rolls: bagels, 4 oz, national brand", "Pastry > Rolls > Rolls: bagels",
                     "national brand")  # fmt: skip
    assert [(f.text, f.kind) for f in found] == [
        ("Rolls", "type"), ("bagels", "attribute"), ("Pastry", "attribute"),
        ("national brand", "attribute"),
    ]  # fmt: skip
    assert all(f.by_code and f.span == f.text for f in found)
    assert [f.text for f in read_off("7", "Plum jam, 300 g", "", None)] == ["Plum jam"]
    assert [f.text for f in read_off("7", "绿茶", "食品 > 茶", None)] == ["茶", "绿茶", "食品"]
    assert read_off("7", "🎉 & the 12", "", "") == []


def test_ways_of_saying_a_feature_are_one_and_the_heaviest_leads() -> None:
    features = [
        said("a", "Fresh bread", 0.2),
        said("b", "fresh Breads", 0.3),
        said("b", "Jam", 0.4),
    ]
    assert wordings(features) == ["Fresh bread", "Jam"]
    made = clusters(features, [0, 1], item_weights(["a", "b"], "equal"))
    assert [(c.text, c.items, c.weight) for c in made] == [
        ("Fresh bread", {"a": 0.2, "b": 0.3}, 0.5), ("Jam", {"b": 0.4}, 0.4),
    ]  # fmt: skip
    assert made[0].wordings == ("Fresh bread", "fresh Breads")


def test_wordings_that_are_near_join_the_first_of_them() -> None:
    def embed(texts: object) -> NDArray[np.float32]:
        angles = np.array([0.0, 0.5, 1.0, 1.4])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    # cos 0.5 is 0.88: the third is near the second, which is no leader
    assert alike(["a", "b", "c", "d"], embed) == [0, 0, 2, 2]
    assert alike([], embed) == []
    assert alike(["a"], embed) == [0]


def test_a_cluster_weighs_each_item_by_its_best_feature_there() -> None:
    features = [said("a", "cheese", 0.4), said("a", "cheddar", 0.9), said("b", "cheese", 0.5)]
    first = wordings(features).index("cheddar")
    weights = item_weights(["a", "b"], "position")
    (made,) = clusters(features, [first, first], weights)
    assert (made.text, made.items) == ("cheddar", {"a": 0.9, "b": 0.5})
    assert made.weight == pytest.approx(0.9 + 0.5 / math.log2(3))


@pytest.mark.parametrize(
    ("text", "span", "rarity"),
    [
        ("rye bread", "rye bread", 0.8), ("breads", "rye bread", 0.3), ("lunch", "Bread", 0.3),
        ("lunch", "of the", 0.0), ("national", "national brand", 0.0),
    ],
)  # fmt: skip
def test_a_feature_is_as_rare_as_its_rarest_word(text: str, span: str, rarity: float) -> None:
    feature = Feature(item="7", text=text, kind="use", salience=0.5, span=span)
    found = rated(feature, {"rye": 0.8, "bread": 0.3, "nation": 0.0, "brand": 0.0})
    assert found.rarity == rarity
    assert found.worth == pytest.approx(rarity / 2)


def test_clusters_that_the_whole_shop_has_weigh_nothing_and_tell_nothing() -> None:
    common = said("a", "brand", 1.0).model_copy(update={"rarity": 0.0})
    every = clusters([common, said("a", "jam", 0.1)], [0, 1], {"a": 1.0})
    assert [(one.text, one.weight) for one in every] == [("jam", 0.1), ("brand", 0.0)]
    assert [one.text for one in telling(every)] == ["jam"]
    assert [one.text for one in telling(every[1:])] == ["brand"]


def test_sizes_are_no_features() -> None:
    assert proven(Claim("1 gal", "attribute", 1.0, "1 gal"), item="7", source="Milk, 1 gal") is None
    found = proven(Claim("milk 1 gal", "type", 1.0, "Milk"), item="7", source="Milk, 1 gal")
    assert found is not None
    assert found.text == "milk"


def test_items_weigh_less_the_later_they_are_shown() -> None:
    assert item_weights(["a", "b", "c"], "equal") == {"a": 1, "b": 1, "c": 1}
    assert item_weights(["a", "b", "c"], "position") == pytest.approx(
        {"a": 1.0, "b": 0.63093, "c": 0.5}, abs=1e-5
    )


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("Rye Breads & Jam", True), ("Bread of Rye", True), ("RYE BREAD", True), ("Rye", False),
        ("Loaves", True), ("Ryebread", False), ("", False),
    ],
)  # fmt: skip
def test_a_title_tells_a_cluster_in_any_of_its_wordings(title: str, told: bool) -> None:
    cluster = Cluster(text="rye bread", wordings=("rye bread", "loaves"), items={}, weight=1)
    assert told_by(title, cluster) == told


def said(item: str, text: str, salience: float) -> Feature:
    return Feature(item=item, text=text, kind="attribute", salience=salience, span=text)


SALIENCE = st.integers(0, 10).map(lambda tenths: tenths / 10)
TABLES = st.integers(1, 6).flatmap(
    lambda items: st.lists(
        st.lists(SALIENCE, min_size=items, max_size=items), min_size=1, max_size=7
    )
)


def made_of(table: list[list[float]], weights: dict[str, float]) -> list[Cluster]:
    features = [
        said(f"i{n}", f"word{chr(97 + row)}", salience)
        for row, saliences in enumerate(table)
        for n, salience in enumerate(saliences)
        if salience
    ]
    return clusters(features, range(len(wordings(features))), weights)


@settings(max_examples=200)
@given(table=TABLES, most=st.integers(1, 4), weighting=st.sampled_from(["equal", "position"]))
def test_greedy_is_within_1_minus_1_over_e_of_the_best(
    table: list[list[float]], most: int, weighting: str
) -> None:
    weights = item_weights([f"i{n}" for n in range(len(table[0]))], weighting)  # type: ignore[arg-type]
    every = made_of(table, weights)
    reached = coverage(cover(every, weights, most), weights)
    best = max(
        (coverage(some, weights) for some in combinations(every, min(most, len(every)))), default=0
    )
    assert reached >= (1 - 1 / math.e) * best - 1e-9
    assert reached <= best + 1e-9


@settings(max_examples=100)
@given(table=TABLES, most=st.integers(1, 4), seed=st.randoms(use_true_random=False))
def test_with_equal_weights_the_order_of_the_items_does_not_matter(
    table: list[list[float]], most: int, seed: object
) -> None:
    items = [f"i{n}" for n in range(len(table[0]))]
    turned = list(items)
    seed.shuffle(turned)  # type: ignore[attr-defined]
    columns = [[row[items.index(item)] for item in turned] for row in table]
    renamed = [
        f.model_copy(update={"item": turned[int(f.item[1:])]})
        for f in features_of(columns)
    ]  # fmt: skip
    one = clusters(
        features_of(table), range(len(wordings(features_of(table)))), dict.fromkeys(items, 1.0)
    )
    other = clusters(renamed, range(len(wordings(renamed))), dict.fromkeys(turned, 1.0))
    assert one == other
    assert cover(one, dict.fromkeys(items, 1.0), most) == cover(
        other, dict.fromkeys(turned, 1.0), most
    )


def features_of(table: list[list[float]]) -> list[Feature]:
    return [
        said(f"i{n}", f"word{chr(97 + row)}", salience)
        for row, saliences in enumerate(table)
        for n, salience in enumerate(saliences)
        if salience
    ]


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=40))
def test_any_text_can_be_read_off(title: str, category: str, brand: str) -> None:
    for feature in read_off("7", title, category, brand):
        assert len(feature.text) > 0
        assert "\n" not in feature.text
