from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from merchgraph.evals.baselines.chance import Random
from merchgraph.evals.baselines.recency import Recency
from merchgraph.evals.baselines.sums import FrequencyAndCopurchase, StarLike
from merchgraph.evals.baselines.texts import MaxSimilarity, VanillaRag
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.contract import Past, Recommender
from merchgraph.tools.copurchase import CoPurchase
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.vectors import Floats


class Words:
    """A model that counts words, each at a place of its own; a number counts a tenth."""

    fingerprint, width = "words", 64

    def encode(self, texts: Sequence[str]) -> Floats:
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().replace(",", " ").replace(".", " ").split():
                place = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]) % self.width
                row[place] += 0.1 if word.isdigit() else 1.0
        return vectors


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path) -> Iterator[None]:
    with use_settings(cache=tmp_path):
        yield


@pytest.fixture
def embedder() -> Embedder:
    return Embedder(Words())


def shelf(*items: tuple[str, str, str]) -> Items:
    """Items of (id, title, category), whose text is the title."""
    frame = pl.DataFrame(items, ["item", "title", "category"], orient="row")
    return Items(frame.with_columns(text=pl.col("title")))


def no_events() -> Events:
    text = dict.fromkeys(["user", "session", "behaviour", "item"], pl.String)
    return Events(pl.DataFrame(schema={**text, "time": pl.Datetime("us")}))


def ranked(model: Recommender, past: Past, items: Sequence[str]) -> list[str]:
    scores = dict(zip(items, model.of(past, items), strict=True))
    return sorted(items, key=lambda item: -scores[item])


TEXT_MODELS = [VanillaRag, MaxSimilarity, Recency, StarLike]


@pytest.mark.parametrize("model", TEXT_MODELS)
def test_recommenders_of_texts_keep_the_contract(
    model: Any, embedder: Embedder, keeps_the_contract: Any
) -> None:
    keeps_the_contract(model(embedder))


def test_random_keeps_the_contract(keeps_the_contract: Any) -> None:
    keeps_the_contract(Random(), learns="nothing")


def test_frequency_and_copurchase_keeps_the_contract(keeps_the_contract: Any) -> None:
    keeps_the_contract(FrequencyAndCopurchase())


def test_random_scores_are_uniform_and_differ_by_past_and_seed() -> None:
    items = shelf(*((f"{n}", f"Item {n}", "") for n in range(2000)))
    model = Random().fit(items, no_events())
    row, other = model.scores([Past(["1"]), Past(["2"])])
    assert row.tolist() != other.tolist()
    assert row.min() >= 0
    assert row.max() < 1
    assert abs(row.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(row, other)[0, 1]) < 0.1
    assert Random(seed=1).fit(items, no_events()).of(Past(["1"]), ["7"]) != [row[7]]
    # fixed: another process, another machine, another hash seed
    assert model.of(Past(["1"], ["2"]), ["0", "1"]) == pytest.approx(
        [0.9606587712726361, 0.8814840421523251], abs=1e-12
    )


def test_vanilla_rag_is_the_cosine_with_the_retrievals_user_vector(
    embedder: Embedder, checkerboard: tuple[Items, Events]
) -> None:
    items, events = checkerboard
    model = VanillaRag(embedder).fit(items, events)
    text = dict(items.frame.select("item", "text").iter_rows())
    some = list(text)
    for past in (
        Past(some[:3] * 40, some[5:7]),
        Past(long_term=some[2:9] * 9),
        Past(session=some[1:2]),
    ):
        long_term, session = ([text[item] for item in part] for part in past)
        user = embedder.embed_user(long_term, session)
        expected = embedder.embed([text[item] for item in some]) @ user / np.linalg.norm(user)
        np.testing.assert_allclose(model.of(past, some), expected, atol=1e-6)


def test_max_similarity_takes_the_nearest_item_of_the_session(embedder: Embedder) -> None:
    items = shelf(
        ("a", "red apple", ""), ("b", "green apple", ""), ("c", "grey stone", ""), ("d", "sea", "")
    )
    model = MaxSimilarity(embedder).fit(items, no_events())
    slate = ["b", "c"]
    assert model.of(Past(session=["a", "d"]), slate) == pytest.approx([0.5, 0.0], abs=1e-6)
    assert model.of(Past(["c"], ["a", "d"]), slate) == pytest.approx([0.5, 0.0], abs=1e-6)
    assert model.of(Past(["c", "d"]), slate) == pytest.approx([0.0, 1.0], abs=1e-6)
    assert model.of(Past(session=["unknown"]), slate) == [0.0, 0.0]


def test_recency_takes_the_newest_item_then_its_category_by_closeness(embedder: Embedder) -> None:
    items = shelf(
        ("oat", "oat milk", "Dairy > Milk"),
        ("oat2", "oat milk large", "Dairy > Milk"),
        ("cow", "cow milk", "Dairy > Milk"),
        ("rye", "rye bread", "Bakery > Bread"),
        ("bun", "bun bread", "Bakery > Bread"),
        ("rug", "rug oat", "Home > Rug"),
        ("lamp", "lamp", "Home > Lamp"),
    )
    model = Recency(embedder).fit(items, no_events())
    slate = ["lamp", "rug", "bun", "rye", "cow", "oat2", "oat"]
    milk_last = ranked(model, Past(["oat", "rye"], ["oat"]), slate)
    assert milk_last == ["oat", "oat2", "cow", "rye", "bun", "rug", "lamp"]
    bread_last = ranked(model, Past(["oat", "oat"], ["rye"]), slate)
    assert bread_last == ["rye", "bun", "oat", "oat2", "cow", "lamp", "rug"]


def test_recency_knows_no_category_of_items_without_one(embedder: Embedder) -> None:
    names = ["red cup", "red mug", "blue cup", "old jar"]
    items = shelf(*((name, name, "") for name in names))
    model = Recency(embedder).fit(items, no_events())
    order = ranked(model, Past(["old jar", "red cup"]), ["red mug", "blue cup", *names[::3]])
    assert order == ["red cup", "old jar", "red mug", "blue cup"]


def test_star_like_adds_what_is_bought_together_to_what_reads_alike(
    embedder: Embedder, checkerboard: tuple[Items, Events]
) -> None:
    items, events = checkerboard
    model = StarLike(embedder).fit(items, events)
    past = Past(session=["coffee 0", "coffee 1"])
    parts = [MaxSimilarity(embedder), CoPurchase()]
    rows = [part.fit(items, events).scores([past])[0] for part in parts]
    expected = sum((row - row.min()) / (row.max() - row.min()) for row in rows)
    np.testing.assert_allclose(model.scores([past])[0], expected)


def test_own_frequency_counts_half_a_logarithm(checkerboard: tuple[Items, Events]) -> None:
    items, events = checkerboard
    model = FrequencyAndCopurchase().fit(items, events)
    together = CoPurchase().fit(items, events)
    past = Past(["soap 1"] * 3 + ["unknown"], ["coffee 0"])
    slate = ["soap 1", "soap 2", "coffee 1"]
    expected = [0.5 * np.log(4), 0.0, together.of(past, ["coffee 1"])[0]]
    assert model.of(past, slate) == pytest.approx(expected)
    assert expected[2] > 0
