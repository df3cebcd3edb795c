"""Features of a module's items: which are proven, which mean the same, which few cover the most.

    found = [proven(Claim("ripe", "attribute", 0.6, "ripe"), item="7", source="Ripe bananas"), ...]
    every = clusters(found, alike(wordings(found), embed), item_weights(items, "equal"))
    chosen = cover(every, item_weights(items, "equal"), most=4)

Whatever a model says of an item counts only with a span that stands in the item's text; where nothing is
left, `read_off` takes features from the item's own fields. Clustering and choice are CARTS' (arXiv
2506.17765) as far as their names are known; how they are done is our design.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import regex
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from merchgraph.tools.copy_rules.grounding import grounded
from merchgraph.tools.copy_rules.word_lists import FUNCTION
from merchgraph.tools.sizes import SIZES, without_sizes
from merchgraph.tools.text import length, stem, stems, words

Kind = Literal["type", "material", "use", "style", "audience", "occasion", "attribute"]
Weighting = Literal["equal", "position"]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
SAME = 0.85  # cosine, of the digest's section 2.3
LONGEST = 30  # characters of a feature
_INFERRED = frozenset({"use", "audience", "occasion"})
_VAGUE = ("product", "item", "goods", "brand", "type", "miscellaneous", "other", "shop", *SIZES)
_PIECE = regex.compile(r"[^\p{L}\p{M}\p{N}\s'\u2019&.-]+|\s-\s|(?<!\d)\.(?!\d)")


class Feature(BaseModel):
    """A proven feature of one item.

    Attributes:
        salience: how much it matters to a shopper, in [0, 1].
        rarity: how few of the shop's other items have it, in [0, 1]; 0 for what tells it from none.
        span: the words of the item's text that prove it.
        by_code: read off the item's fields, not said by a model.
    """

    model_config = ConfigDict(frozen=True)

    item: str
    text: str
    kind: Kind
    salience: float
    span: str
    by_code: bool = False
    rarity: float = 1.0

    @property
    def worth(self) -> float:
        """Salience x rarity: how well it tells what the item is."""
        return round(self.salience * self.rarity, 9)


class Claim(NamedTuple):
    """A feature that a model says an item has."""

    text: str
    kind: Kind
    salience: float
    span: str


class Cluster(BaseModel):
    """Features that mean the same.

    Attributes:
        text: the heaviest wording.
        wordings: all of them.
        items: item -> salience x rarity, the highest of its features here.
        weight: W(f) = sum of w_i x salience_i(f) x rarity(f) over the items that have it. The rarity is
            our addition: without it the brand class of a shop, which all items have, weighs most.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    wordings: tuple[str, ...]
    items: dict[str, float]
    weight: float


def proven(claim: Claim, *, item: str, source: str) -> Feature | None:
    """The feature, if the item's text proves it.

    The span stands in the text word by word, case and marks apart, and not only in small words. What
    the item is and is like is said in words of the text; what it is for may be inferred, but brings no
    number or claim of its own. A feature says more than "product", a number or a size (`sizes.py`).
    """
    text = next(iter(_pieces(claim.text)), "")
    content = content_words(text)
    if not text or not content_words(claim.span) or not _stands(claim.span, source):
        return None
    if claim.kind in _INFERRED:
        if not grounded([source])({"feature": text}).passed:
            return None
    elif not content <= set(stems(source)):
        return None
    return Feature(
        item=item, text=text, kind=claim.kind, salience=claim.salience, span=claim.span.strip()
    )


def read_off(item: str, title: str, category: str, brand: str | None) -> list[Feature]:
    """Features by code, from the item's own fields: what it is, where it belongs, and the brand.

    The last level of the category says what the item is; without a category its title's beginning,
    which is a feature in any case. Empty only where no field has a word beside sizes and the like.
    """
    levels = [_pieces(level) for level in category.split(">")]
    levels = [pieces for pieces in levels if pieces] or [_pieces(title)[:1]]
    found: list[tuple[str, Kind, float]] = [(piece, "type", 1.0) for piece in levels[-1][:1]]
    found += [
        (piece, "attribute", 0.7)
        for piece in (*levels[-1][1:], *_pieces(title.partition(",")[0])[:1])
    ]
    found += [(piece, "attribute", 0.7) for level in levels[1:-1] for piece in level]
    if len(levels) > 1:
        found += [(piece, "attribute", 0.2) for piece in levels[0]]
    found += [(piece, "attribute", 0.05) for piece in _pieces(brand or "")]
    once: dict[tuple[str, ...], Feature] = {}
    for text, kind, salience in found:
        feature = Feature(
            item=item, text=text, kind=kind, salience=salience, span=text, by_code=True
        )
        once.setdefault(stems(text), feature)
    return list(once.values())


def rated(feature: Feature, rarities: Mapping[str, float]) -> Feature:
    """The feature with its rarity: that of the rarest of its words, as few items have them all.

    An inferred feature in words that the item does not have is as rare as the words that prove it. Of
    what no word is known, nothing says that it is rare: it tells the item from none.

    Args:
        rarities: by stem, of all words of the item.
    """
    said = (content_words(text) & rarities.keys() for text in (feature.text, feature.span))
    known = [rarities[word] for word in next(filter(None, said), ())]
    return feature.model_copy(update={"rarity": max(known, default=0.0)})


def item_weights(items: Sequence[str], weighting: Weighting) -> dict[str, float]:
    """w_i of each item: 1, or 1 / log2(1 + place), where the first place is 1."""
    if weighting == "equal":
        return dict.fromkeys(items, 1.0)
    return {item: 1 / math.log2(1 + place) for place, item in enumerate(items, start=1)}


def wordings(features: Sequence[Feature]) -> list[str]:
    """One wording for each way of saying a feature (case and word forms apart), in a fixed order."""
    ways: dict[tuple[str, ...], list[str]] = {}
    worths: dict[tuple[str, ...], list[float]] = {}
    for feature in features:
        ways.setdefault(stems(feature.text), []).append(feature.text)
        worths.setdefault(stems(feature.text), []).append(feature.worth)
    order = sorted(ways, key=lambda way: (-_total(worths[way]), way))
    return [min(ways[way], key=lambda text: (-ways[way].count(text), text)) for way in order]


def alike(texts: Sequence[str], embed: Embed) -> list[int]:
    """For each text the index of the first text that means the same: its own, if none before it does.

    Args:
        texts: by weight, so that a cluster is led by its heaviest wording.
        embed: (N, D) vectors with rows of length 1.
    """
    if len(texts) < 2:
        return list(range(len(texts)))
    vectors = embed(texts)
    near = vectors @ vectors.T >= SAME
    leaders: list[int] = []
    found = []
    for row in range(len(texts)):
        led = next((leader for leader in leaders if near[row, leader]), row)
        if led == row:
            leaders.append(row)
        found.append(led)
    return found


def clusters(
    features: Sequence[Feature], leaders: Sequence[int], weights: Mapping[str, float]
) -> list[Cluster]:
    """The clusters by weight, heaviest first; of equal ones first those of more items.

    Args:
        features: of the whole module.
        leaders: `alike` of their `wordings`.
        weights: w_i by item.
    """
    said = wordings(features)
    leader = {stems(text): said[leaders[n]] for n, text in enumerate(said)}
    items: dict[str, dict[str, float]] = {}
    ways: dict[str, set[str]] = {}
    for feature in features:
        text = leader[stems(feature.text)]
        has = items.setdefault(text, {})
        has[feature.item] = max(feature.worth, has.get(feature.item, 0.0))
        ways.setdefault(text, set()).add(feature.text)
    made = [
        Cluster(
            text=text, wordings=tuple(sorted(ways[text])), items=has,
            weight=_total([weights[item] * worth for item, worth in has.items()]),
        )
        for text, has in items.items()
    ]  # fmt: skip
    return sorted(made, key=lambda one: (-one.weight, -len(one.items), one.text))


def telling(every: Sequence[Cluster]) -> list[Cluster]:
    """The clusters that tell the module from the rest of the shop; all, where none does."""
    return [cluster for cluster in every if cluster.weight > 0] or list(every)


def cover(every: Sequence[Cluster], weights: Mapping[str, float], most: int) -> list[Cluster]:
    """At most so many of `clusters`, greedily by what each adds to the coverage of the items.

    Coverage of a set S is F(S) = sum of w_i x the highest worth of f for i over f in S: monotone and
    submodular, so greedy reaches (1 - 1/e) of the best S of that size (Nemhauser, Wolsey and Fisher
    1978, doi:10.1007/BF01588971). That is our statement; the paper's theory was not available to us.
    Of equal gains the heavier cluster is taken, so that places left over go to what most items share.
    """
    left = list(every)
    chosen: list[Cluster] = []
    best = dict.fromkeys(weights, 0.0)
    while left and len(chosen) < most:
        taken = min(left, key=lambda one: -_gain(one, best, weights))
        left.remove(taken)
        chosen.append(taken)
        best |= {item: max(best[item], worth) for item, worth in taken.items.items()}
    return chosen


def coverage(chosen: Sequence[Cluster], weights: Mapping[str, float]) -> float:
    """F(S), see `cover`."""
    return _total(
        [
            weight * max((one.items.get(item, 0.0) for one in chosen), default=0.0)
            for item, weight in weights.items()
        ]
    )


def content_words(text: str) -> set[str]:
    """What the words of a text share with their forms, function words left out."""
    return set(stems(text)) - _stems(FUNCTION)


def told_by(title: str, cluster: Cluster) -> bool:
    """Whether a title has all content words of one of the cluster's wordings, in any form and order."""
    there = set(stems(title))
    return any(content and content <= there for content in map(content_words, cluster.wordings))


def _gain(one: Cluster, best: Mapping[str, float], weights: Mapping[str, float]) -> float:
    more = [weights[i] * max(0.0, worth - best[i]) for i, worth in one.items.items()]
    return _total(more)


def _total(values: Sequence[float]) -> float:
    # rounded, so that neither float noise nor the order of the items makes an order
    return round(math.fsum(values), 9)


def _says_something(content: set[str]) -> bool:
    telling = content - _stems(_VAGUE)
    # of scripts without spaces each letter is a word
    return any(not word[0].isdigit() and (len(word) > 2 or not word.isascii()) for word in telling)


def _stands(span: str, source: str) -> bool:
    """Whether the words of a span follow each other in the source, each a whole word."""
    wanted, there = words(span), words(source)
    last = len(there) - len(wanted)
    return any(there[start : start + len(wanted)] == wanted for start in range(last + 1))


def _pieces(text: str) -> list[str]:
    """The parts of a field that can stand in a title: "Rolls: bagels" has two."""
    parts = (" ".join(part.split()).strip(" .-&'") for part in _PIECE.split(without_sizes(text)))
    return [
        part for part in parts if _says_something(content_words(part)) and length(part) <= LONGEST
    ]


@cache
def _stems(listed: Collection[str]) -> frozenset[str]:
    return frozenset(stem(word) for word in listed)
