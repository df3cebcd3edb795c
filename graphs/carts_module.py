"""From a shop and a request to what a module's titles are written from: items, features, brief."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from merchgraph.agents.feature_extractor import Extraction
from merchgraph.agents.title_writer import features as told
from merchgraph.agents.title_writer import products
from merchgraph.graphs.carts_state import MOST_ITEMS, Brief, Context, Extracted, Goods
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.tables import Item, Shop
from merchgraph.tools.features import (
    Claim,
    Cluster,
    Feature,
    clusters,
    item_weights,
    proven,
    rated,
    read_off,
    telling,
    wordings,
)
from merchgraph.tools.rarity import rarities
from merchgraph.tools.text import stems, words

TYPES = 3
"""Kinds of items that the writer is told of; a title that names more is a list."""
SALIENCE = {"high": 1.0, "middle": 0.6, "low": 0.3}


def goods_of(store: Shop, items: Sequence[str]) -> list[Goods]:
    """The texts of a module's items, and how rare their words are in the shop.

    Raises:
        SetupError: an item that the catalogue does not have.
    """
    rare = rarities(store.items, items)
    return [_goods(item, rare) for item in store.items.get(items)]


def acceptable(items: Sequence[str]) -> None:
    """Raise a SetupError for a module of no items, too many, or one of them twice."""
    if not items:
        raise SetupError("The module has no items; name 1 to 50 item ids of the shop.")
    if len(items) > MOST_ITEMS:
        raise SetupError(
            f"The module has {len(items)} items, but {MOST_ITEMS} is the most; leave some out."
        )
    twice = [item for item in items if list(items).count(item) > 1]
    if twice:
        raise SetupError(f"The module names the item {twice[0]!r} twice; name each item once.")


def extracted(product: Goods, said: Extraction) -> Extracted:
    """What of a model's features the item's text proves; its fields' where nothing of it does.

    What the item is comes from its fields too, if the model did not tell or could not prove it.
    """
    claims = [
        Claim(said.product_type, "type", 1.0, said.product_type),
        *(Claim(one.feature, one.kind, SALIENCE[one.salience], one.quote) for one in said.features),
    ]
    found = [proven(claim, item=product.item, source=product.text) for claim in claims]
    kept: dict[tuple[str, ...], Feature] = {}
    said_of = [rated(feature, product.rarities) for feature in filter(None, found)]
    for feature in (*said_of, *by_code(product)):
        kept.setdefault(stems(feature.text), feature)
    return Extracted(features=list(kept.values()), answered=True)


def by_code(product: Goods) -> list[Feature]:
    """The features of an item that are read off its fields."""
    found = read_off(product.item, product.title, product.category, product.brand)
    return [rated(feature, product.rarities) for feature in found]


def features_of(goods: Sequence[Goods], found: dict[str, Extracted]) -> list[Feature]:
    """The features of all items; items of one text share what was found of the first of them."""
    by_text = {one.text: found[one.item].features for one in reversed(goods) if one.item in found}
    return [
        feature.model_copy(update={"item": one.item})
        for one in goods
        for feature in by_text[one.text]
    ]


def brief_of(
    goods: list[Goods],
    features: Sequence[Feature],
    every: list[Cluster],
    chosen: Sequence[Cluster],
    context: Context,
) -> Brief:
    """What is written from: the chosen clusters and types; without features the items' own texts.

    A title's words may come from any feature of the module, also from one that all the shop has; but
    that one is no evidence.
    """
    weights = item_weights([one.item for one in goods], context.weights)
    if "features" in context.without:
        about, sources = products(goods), [one.text for one in goods]
        return Brief(goods=goods, about=about, sources=sources, clusters=[], weights=weights)
    types = types_of(features)
    about = told([(one.text, len(one.items)) for one in chosen], types, len(goods))
    sources = [way for cluster in every for way in cluster.wordings]
    cues = list({stems(text): text for text in (*types, *(one.text for one in chosen))}.values())
    return Brief(
        goods=goods,
        about=about,
        sources=sources,
        clusters=telling(every),
        weights=weights,
        cues=cues,
    )


def types_of(features: Sequence[Feature]) -> list[str]:
    """What two items or more are, at most 3 types, the most common first."""
    said = {(one.item, one.text.casefold()) for one in features if one.kind == "type" and one.worth}
    counts = Counter(text for _, text in sorted(said))
    return [text for text, count in counts.most_common(TYPES) if count > 1]


def plain_clusters(features: Sequence[Feature], weights: dict[str, float]) -> list[Cluster]:
    """Clusters of one wording each: what can be had without an embedder."""
    return clusters(features, range(len(wordings(features))), weights)


def _goods(item: Item, rare: Mapping[str, float]) -> Goods:
    catalog = ". ".join(filter(None, (item.category, item.brand)))
    said = set(words(f"{item.title} {catalog}"))
    new = set(words(item.text)) - said
    one = Goods(
        item=item.item, title=item.title, catalog=catalog, details=item.text if new else "",
        category=item.category, brand=item.brand,
    )  # fmt: skip
    own = {word: rare[word] for word in sorted(set(stems(one.text)))}
    return one.model_copy(update={"rarities": own})
