"""What tools know of named items for one shopper: numbers for a fusion, sentences for a judge.

    signals(store, Past(long_term, session), ["jam", "tea"], before=cut)["copurchase"]    # [0.31, 0.0]
    facts(store, Past(long_term, session), ["jam", "tea"], before=cut)[0]
    # 'Bought together with 3 of the 5 basket products; most with Plum jam (in 41 of its 380 baskets,
    #  6 times as often as by chance). This shopper bought it 4 times before.'

All counts are of the log before a time, and of the past that is given. Calls block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from merchgraph.tools.candidates import semantic_index
from merchgraph.tools.contract import Past, fitted
from merchgraph.tools.copurchase import CoPurchase, Pair
from merchgraph.tools.counts import Popularity
from merchgraph.tools.data.tables import Shop
from merchgraph.tools.embedding import USER_WEIGHTS
from merchgraph.tools.vectors import Floats

LEAST = 3
"""Baskets with both items from which on a fact compares with chance; of fewer it says nothing."""


def signals(
    store: Shop, past: Past, items: Sequence[str], before: datetime | None = None
) -> dict[str, list[float]]:
    """One number per item and signal, larger is better.

    Keys:
        semantic: cosine of the item's text with the shopper's, as the source "semantic" has it.
        similar: greatest cosine with the text of a session item; 0 without a session.
        copurchase: sum of basket cosines with the session; see `CoPurchase`.
        frequency: log(1 + how often this shopper bought it before).
        popularity: log(1 + how often all did).

    Raises:
        SetupError: an item of `items` or of the past is not in the catalogue, or a package is missing.
    """
    semantic, similar = _cosines(store, past, items)
    own = Counter(past.long_term)
    counts = fitted(Popularity, store, before).of(past, items)
    return {
        "semantic": semantic,
        "similar": similar,
        "copurchase": fitted(CoPurchase, store, before).of(past, items),
        "frequency": np.log1p([own[item] for item in items]).tolist(),
        "popularity": np.log1p(counts).tolist(),
    }


def facts(
    store: Shop, past: Past, items: Sequence[str], before: datetime | None = None
) -> list[str]:
    """What the log says of each item for this shopper, in a sentence or two.

    Of the session's items they name, by its title, the one with the greatest basket cosine: fence
    them as any text of the shop. Without a session the latest earlier items stand in for it.

    Raises:
        SetupError: an item of `items` is not in the catalogue, or a package is missing.
    """
    store.items.get(items)  # its message names the catalogue
    model, own = fitted(CoPurchase, store, before), Counter(past.long_term)
    context = model.context(past)
    kind = "basket" if past.session else "earlier"
    cosines = [model.of(Past(session=[other]), items) for other in context]
    told = []
    for n, (item, pairs) in enumerate(zip(items, model.pairs(items, context), strict=True)):
        others = [row for row, other in enumerate(context) if other != item]
        best = max(others, key=lambda row: cosines[row][n], default=None)
        nearest = None if best is None else _Near(pairs[best], _title(store, context[best]))
        together = _together([pairs[row] for row in others], nearest, kind)
        told.append(f"{together} {_before(own[item], bool(past.long_term))}")
    return told


class _Near(NamedTuple):
    """The pair of an item and the one of the session that it goes with best, and that one's title."""

    pair: Pair
    title: str


def _title(store: Shop, item: str) -> str:
    return " ".join(store.items.row(item).title.split())


def _together(pairs: Sequence[Pair], nearest: _Near | None, kind: str) -> str:
    """Whether an item goes with those of the session, one pair for each."""
    if nearest is None:
        return "There is no basket to compare it with."
    pair, title = nearest
    if not pair.first:
        return "No basket of the log has it, so what it goes with is not known."
    some, known = sum(pair.together > 0 for pair in pairs), len(pairs)
    if not some:
        whom = f"any of the {known} {kind} products" if known > 1 else f"the only {kind} product"
        return f"Never bought together with {whom}; {_baskets(pair.first)} had it."
    number = f"all {known}" if some == known else f"{some} of the {known}"
    whom = f"{number} {kind} products; most with" if known > 1 else f"the {kind} product"
    share = f"{pair.together:,} of its {_baskets(pair.second)}"
    share = share if pair.second > 1 else "its only basket"
    return f"Bought together with {whom} {title} (in {share}{_chance(pair)})."


def _chance(pair: Pair) -> str:
    if pair.together < LEAST:
        return ""
    lift = pair.lift
    if lift < 0.8:
        return ", less often than by chance"
    if lift < 1.25:
        return ", about as often as by chance"
    times = f"{lift:.1f}".removesuffix(".0") if lift < 9.95 else f"{lift:,.0f}"
    return f", {times} times as often as by chance"


def _before(times: int, known: bool) -> str:
    """How often the shopper bought an item, if any earlier purchase is known."""
    if not known:
        return "No earlier purchase of this shopper is known."
    often = "once" if times == 1 else f"{times:,} times"
    return (
        f"This shopper bought it {often} before."
        if times
        else "This shopper never bought it before."
    )


def _baskets(count: int) -> str:
    return "1 basket" if count == 1 else f"{count:,} baskets"


def _cosines(store: Shop, past: Past, items: Sequence[str]) -> tuple[list[float], list[float]]:
    """Of each item's text the cosine with the shopper's vector, and the greatest with a session item."""
    embedder = semantic_index(store).embedder
    long_term, session, texts = (
        [fact.text for fact in store.items.get(ids)]
        for ids in (past.long_term[-USER_WEIGHTS.last :], past.session, items)
    )
    vectors, nothing = embedder.embed(texts), [0.0] * len(items)
    semantic = similar = nothing
    if long_term or session:
        user = embedder.embed_user(long_term, session)
        semantic = _rounded(vectors @ (user / max(float(np.linalg.norm(user)), 1e-12)))
    if session:
        similar = _rounded((vectors @ embedder.embed(session).T).max(axis=1))
    return semantic, similar


def _rounded(cosines: Floats) -> list[float]:
    """To the 6 digits of `SemanticIndex`, so that float noise makes no order."""
    rounded: list[float] = np.round(cosines.astype(np.float64), 6).tolist()
    return rounded
