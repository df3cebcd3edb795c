from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.tools.data.tables import Items
from merchgraph.tools.grace.config import SLOTS, Config
from merchgraph.tools.grace.paths import INDEX, Paths, quantised
from tests.tools.grace.grace_toy import ATTRIBUTES, changed, texts

KINDS = st.sampled_from(["", "Food", "Food > Tea", "Food > Milk > Oat", "Home > Soap"])
ROW = st.tuples(
    KINDS, st.sampled_from([None, "a", "b", "c"]), st.sampled_from([None, 1.0, 2.0, 9.0])
)


def catalogue(rows: list[tuple[str, str | None, float | None]]) -> pl.DataFrame:
    columns = {"category": pl.String, "brand": pl.String, "price": pl.Float64}
    told = pl.DataFrame(rows, schema=columns, orient="row")
    names = pl.Series("item", [f"i{n}" for n in range(len(rows))], dtype=pl.String)
    return Items(told.with_columns(names, names.alias("title"))).frame


@given(st.lists(ROW, max_size=30), st.sampled_from([SLOTS, ATTRIBUTES, ("text 1", "text 2"), ()]))
def test_each_path_is_one_item_and_the_trie_leads_to_it(
    rows: list[tuple[str, str | None, float | None]], slots: tuple[str, ...]
) -> None:
    paths = Paths.of(catalogue(rows), changed(slots=slots, codes=4), texts(len(rows)))
    assert len({tuple(row) for row in paths.tokens.tolist()}) == len(rows)
    assert (paths.tokens < np.array(paths.sizes)).all()
    for item, path in enumerate(paths.tokens):
        node = 0
        for depth, token in enumerate(path):
            node = paths.children[depth][node, token]
        assert paths.leaves[node] == item
    ends = sum(int((table >= 0).sum()) for table in paths.children[-1:])
    assert ends == len(rows)


@given(st.lists(ROW, min_size=1, max_size=30), st.integers(0, 5))
def test_the_prior_of_a_path_is_the_share_of_its_item(
    rows: list[tuple[str, str | None, float | None]], seed: int
) -> None:
    paths = Paths.of(catalogue(rows), changed(), None)
    counts = np.random.default_rng(seed).integers(0, 50, len(rows))
    total = np.zeros(len(rows))
    for depth, table in enumerate(paths.priors(counts)):
        total += table[paths.nodes[:, depth], paths.tokens[:, depth]]
    np.testing.assert_allclose(np.exp(total), (counts + 1) / (counts + 1).sum(), rtol=1e-4)


def test_a_price_is_dear_for_its_kind() -> None:
    rows = [("Tea", "a", float(n)) for n in range(1, 11)]
    rows += [("Wine", "a", 100.0 * n) for n in range(1, 11)]
    paths = Paths.of(catalogue([*rows, ("Tea", "a", None)]), changed(bins=2), None)
    bins = paths.tokens[:, paths.slots.index("price")]
    assert bins[:10].tolist() == bins[10:20].tolist() == [1] * 5 + [2] * 5
    assert bins[20] == 0


def test_rare_brands_are_one_and_the_maker_is_told_where_brands_are_few() -> None:
    frame = catalogue([("Tea", name, 1.0) for name in "aaabbc"])
    (brands,) = [Paths.of(frame, changed(rare=3), None).tokens[:, 2].tolist()]
    assert len(set(brands)) == 2
    assert len(set(brands[:3])) == len(set(brands[3:])) == 1
    makers = frame.with_columns(pl.Series("seller", list("uvwxyz")))
    assert len(np.unique(Paths.of(makers, changed(rare=1), None).tokens[:, 2])) == 6


def test_facts_tell_prefixes_collisions_and_entropy() -> None:
    rows: list[tuple[str, str | None, float | None]] = [("Tea", "a", 1.0)] * 2
    rows += [("Tea", "b", 1.0), ("Soap", "a", 1.0)]
    paths = Paths.of(catalogue(rows), changed(), None)
    facts = {one.slot: one for one in paths.facts()}
    assert [facts[slot].prefixes for slot in paths.slots] == [2, 2, 3, 3, 4]
    assert facts["department"].bits == pytest.approx(0.8113, abs=1e-4)
    assert facts["brand"].left == pytest.approx(0.5)
    assert facts[INDEX].left == 0
    assert paths.collisions == 1


def test_random_numbers_say_nothing_and_name_every_item() -> None:
    frame = catalogue([("Tea", "a", 1.0)] * 200)
    paths = Paths.of(frame, changed(slots=()), None)
    assert paths.slots == ("digit 1", "digit 2", "digit 3")
    assert max(paths.sizes) <= 64
    assert len(np.unique(paths.tokens, axis=0)) == 200
    assert paths.collisions == 0


def test_random_prices_are_drawn_by_lot() -> None:
    frame = catalogue([("Tea", "a", float(n)) for n in range(50)])
    told, drawn = (Paths.of(frame, changed(random_prices=r), None).tokens for r in (False, True))
    assert (told[:, 3] != drawn[:, 3]).any()
    assert (told[:, :3] == drawn[:, :3]).all()


def test_codes_split_what_lies_apart_and_tell_what_is_left() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 4)) * 20
    vectors = (np.repeat(centres, 10, axis=0) + rng.normal(size=(30, 4))).astype(np.float32)
    codes, rest = quantised(vectors, 8, 0)
    groups = codes.reshape(3, 10)
    assert not set(groups[0]) & set(groups[1])
    assert np.abs(rest).mean() < np.abs(vectors).mean() / 4
    alike, left = quantised(np.ones((5, 4), np.float32), 8, 0)
    assert alike.tolist() == [0] * 5
    assert not left.any()


def test_slots_may_not_repeat_and_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match="names one twice"):
        Config(slots=("price", "price"))
    with pytest.raises(ValueError, match="no multiple of heads"):
        Config(width=10, heads=4)
