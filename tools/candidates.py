"""Candidates of a shopper: a union of named sources, each a list of items with scores.

    gather(shop("complete_journey"), ["copurchase", "semantic"], long_term=[...], session=[...], k=20)

A source takes the shopper's item ids and gives scored items, best first; `SOURCES` names them. The
union takes the best of each source in turn, so that no source's scale of scores has to match another's.

Whatever the sources give, only sellable items are offered and none that is in the basket. Items of the
same text look the same to a model, so of each text one item is offered: the one that the shopper bought
most often, else the first that a source gave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain, zip_longest
from threading import Lock
from typing import Literal, NamedTuple, Self

import polars as pl

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import contract
from merchgraph.tools.contract import fitted
from merchgraph.tools.copurchase import CoPurchase
from merchgraph.tools.counts import OwnFrequency, Popularity
from merchgraph.tools.data.tables import Shop
from merchgraph.tools.embedding import USER_WEIGHTS, Embedder
from merchgraph.tools.retrieval import Filter, Hit, SemanticIndex
from merchgraph.tools.trained import ToolName, asked, trained
from merchgraph.tools.vectors import Progress

SourceName = Literal["semantic", "copurchase", "frequency", "complement", "similar", "grace", "tmf"]


class Proposal(NamedTuple):
    """An item that sources proposed: the first source's score, and all their names."""

    item: str
    score: float
    sources: tuple[str, ...]


class Past(NamedTuple):
    """What a source may know of a shopper: item ids, oldest first, and the log's end."""

    long_term: Sequence[str]
    session: Sequence[str]
    before: datetime | None


Source = Callable[[Shop, Past, int], list[Hit]]
"""The k best items of a shopper; fewer only where it knows no more."""


def gather(
    store: Shop,
    sources: Sequence[SourceName],
    *,
    long_term: Sequence[str],
    session: Sequence[str],
    k: int,
    before: datetime | None = None,
) -> list[Proposal]:
    """The k best candidates of the union, without the items of the session. Blocks.

    Args:
        store: the shop.
        sources: names of `SOURCES`, the most trusted first.
        long_term: ids of the shopper's earlier items, oldest first, repeats included.
        session: ids of the basket of now.
        k: how many.
        before: nothing of the log after this time is used.

    Raises:
        SetupError: the shopper has no item at all or one that the catalogue lacks, or the sources
            found none.
    """
    if not long_term and not session:
        raise SetupError(
            "The shopper has neither earlier items nor a basket, so nothing can be retrieved; "
            "give a session, or a slate of candidates."
        )
    past, shelf = Past(long_term, session, before), _Shelf.of(store, long_term, session)
    found = {name: _offered(store, name, past, k, shelf) for name in dict.fromkeys(sources)}
    named: dict[str, list[str]] = {}
    scores: dict[str, float] = {}
    for name, hits in found.items():
        for text, hit in hits.items():
            named.setdefault(text, []).append(name)
            scores.setdefault(text, hit.score)
    in_turn = chain.from_iterable(zip_longest(*(hits.items() for hits in found.values())))
    best: dict[str, str] = {}
    for text, hit in filter(None, in_turn):
        best.setdefault(text, hit.item)
    if not best:
        raise SetupError(
            f"The sources {', '.join(found)} found no candidate for this shopper; "
            "name other sources, or give a slate of candidates."
        )
    return [Proposal(best[text], scores[text], tuple(named[text])) for text in list(best)[:k]]


def semantic(store: Shop, past: Past, k: int) -> list[Hit]:
    """ARAG's I0: the texts nearest to the shopper's, and of each text the most bought item."""
    long_term, session = (
        [fact.text for fact in store.items.get(ids)]
        for ids in (past.long_term[-USER_WEIGHTS.last :], past.session)
    )
    where = Filter(exclude=set(past.session), distinct=True)
    hits = semantic_index(store).by_user(long_term, session, k=k, where=where)
    popularity, basket = fitted(Popularity, store, past.before), set(past.session)
    counts, column = popularity.counts, popularity.column
    texts, items = _sellable(store)
    found = []
    for hit in hits:
        left = [item for item in items[texts[hit.item]] if item not in basket]
        found.append(Hit(max(left, key=lambda item: counts[column[item]]), hit.score))
    return found


def copurchase(store: Shop, past: Past, k: int) -> list[Hit]:
    """What is bought together with the basket more than once; see `CoPurchase`."""
    shopper = contract.Past(past.long_term, past.session)
    model = fitted(_more_than_once, store, past.before)
    (ranking,) = model.recommend([shopper], k, exclude_seen=False)
    return [Hit(item, score) for item, score in zip(*ranking, strict=True) if score > 0]


def _more_than_once() -> CoPurchase:
    return CoPurchase(least=2)


def frequency(store: Shop, past: Past, k: int) -> list[Hit]:
    """The shopper's own earlier purchases, most frequent first; see `OwnFrequency`."""
    shopper = contract.Past(past.long_term, past.session)
    items = list(dict.fromkeys(past.long_term))
    scores = fitted(OwnFrequency, store, past.before).of(shopper, items)
    hits = [Hit(item, score) for item, score in zip(items, scores, strict=True)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.item))[:k]


def complement(store: Shop, past: Past, k: int) -> list[Hit]:
    """What completes the basket, by a trained model; see `tools/complement`."""
    return _by_model("complement", store, past, k)


def similar(store: Shop, past: Past, k: int) -> list[Hit]:
    """What is taken in place of what the shopper bought, by a trained model; see `tools/gmvo`."""
    return _by_model("gmvo", store, past, k)


def grace(store: Shop, past: Past, k: int) -> list[Hit]:
    """What comes at the next visit, told token by token by a trained model; see `tools/grace`."""
    return _by_model("grace", store, past, k)


def tmf(store: Shop, past: Past, k: int) -> list[Hit]:
    """The shopper's most frequent items and popular ones, the best by `tools/tmf`'s language model."""
    return _by_model("tmf", store, past, k)


def _by_model(tool: ToolName, store: Shop, past: Past, k: int) -> list[Hit]:
    model = trained(tool, store, past.before)
    shopper = asked(tool, contract.Past(past.long_term, past.session))
    (ranking,) = model.recommend([shopper], k, exclude_seen=False)
    return [Hit(item, score) for item, score in zip(*ranking, strict=True)]


SOURCES: Mapping[SourceName, Source] = {
    "semantic": semantic,
    "copurchase": copurchase,
    "frequency": frequency,
    "complement": complement,
    "similar": similar,
    "grace": grace,
    "tmf": tmf,
}


def semantic_index(store: Shop, progress: Progress | None = None) -> SemanticIndex:
    """The shop's index, made at the first call (minutes), then opened once per process."""
    with _opening:
        if store not in _indexes:
            _indexes[store] = SemanticIndex.build(store.items, Embedder(), progress=progress)
        return _indexes[store]


_opening = Lock()
_indexes: dict[Shop, SemanticIndex] = {}


@dataclass(frozen=True)
class _Shelf:
    """What may be offered to one shopper.

    Attributes:
        texts: of each sellable item.
        basket: items that are not offered.
        own: of each text the item that the shopper bought most often.
    """

    texts: Mapping[str, str]
    basket: frozenset[str]
    own: Mapping[str, str]

    @classmethod
    def of(cls, store: Shop, long_term: Sequence[str], session: Sequence[str]) -> Self:
        """Raises a SetupError for an item that the catalogue does not have."""
        for item in (*long_term, *session):
            if item not in store.items:
                store.items.row(item)
        (texts, _), basket = _sellable(store), frozenset(session)
        own: dict[str, str] = {}
        # of items bought equally often the latest comes first
        for item, _ in Counter(reversed(long_term)).most_common():
            if item in texts and item not in basket:
                own.setdefault(texts[item], item)
        return cls(texts, basket, own)

    def offered(self, hits: Sequence[Hit]) -> Iterator[tuple[str, Hit]]:
        """What may be offered, with its text; a text may come again."""
        for hit in hits:
            text = self.texts.get(hit.item)
            if text is not None and (item := self.own.get(text, hit.item)) not in self.basket:
                yield text, Hit(item, hit.score)


def _offered(store: Shop, name: SourceName, past: Past, k: int, shelf: _Shelf) -> dict[str, Hit]:
    """Text -> item, of the k best texts of a source that may be offered, best first."""
    asked = k
    while True:
        hits = SOURCES[name](store, past, asked)
        found: dict[str, Hit] = {}
        for text, hit in shelf.offered(hits):
            found.setdefault(text, hit)
        if len(found) >= k or len(hits) < asked:
            return dict(list(found.items())[:k])
        asked *= 4  # too many were copies or not for sale


@lru_cache(maxsize=4)
def _sellable(store: Shop) -> tuple[Mapping[str, str], Mapping[str, Sequence[str]]]:
    """Item -> text and text -> items in order of id, of the items for sale."""
    items = store.items.frame
    if "sellable" in items.columns:
        items = items.filter(pl.col("sellable"))
    items = items.select("item", "text").sort("item")
    of_text = items.group_by("text", maintain_order=True).agg("item")
    return dict(items.iter_rows()), dict(of_text.iter_rows())
