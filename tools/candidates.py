"""Candidates of a shopper: a union of named sources, each a list of items with scores.

    gather(shop("complete_journey"), ["semantic"], long_term=[...], session=[...], k=20)

A source takes the shopper's item ids and gives scored items, best first; `SOURCES` names them. The
union takes the best of each source in turn, so that no source's scale of scores has to match another's.
Items of the same text look the same to a model: of each text only the most bought item is offered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain, zip_longest
from threading import Lock
from typing import Literal, NamedTuple

import polars as pl

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.tables import Shop
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.retrieval import Filter, Hit, SemanticIndex
from merchgraph.tools.vectors import Progress

SourceName = Literal["semantic"]


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
        long_term: ids of the shopper's earlier items, oldest first.
        session: ids of the basket of now.
        k: how many.
        before: nothing of the log after this time is used.

    Raises:
        SetupError: the shopper has no item at all, or the sources found none.
    """
    if not long_term and not session:
        raise SetupError(
            "The shopper has neither earlier items nor a basket, so nothing can be retrieved; "
            "give a session, or a slate of candidates."
        )
    past = Past(long_term, session, before)
    found = {name: SOURCES[name](store, past, k) for name in dict.fromkeys(sources)}
    named: dict[str, list[str]] = {}
    scores: dict[str, float] = {}
    for name, hits in found.items():
        for hit in hits:
            named.setdefault(hit.item, []).append(name)
            scores.setdefault(hit.item, hit.score)
    in_turn = chain.from_iterable(zip_longest(*found.values()))
    items = list(dict.fromkeys(hit.item for hit in in_turn if hit is not None))[:k]
    if not items:
        raise SetupError(
            f"The sources {', '.join(found)} found no candidate for this shopper; "
            "name other sources, or give a slate of candidates."
        )
    return [Proposal(item, scores[item], tuple(named[item])) for item in items]


def semantic(store: Shop, past: Past, k: int) -> list[Hit]:
    """ARAG's I0: the items nearest to the shopper's texts, one item per text."""
    long_term, session = (
        [fact.text for fact in store.items.get(ids)] for ids in (past.long_term, past.session)
    )
    where = Filter(exclude=set(past.session), distinct=True)
    hits = semantic_index(store).by_user(long_term, session, k=k, where=where)
    top = _most_bought(store, past.before, frozenset(past.session))
    return [Hit(top[store.items.row(hit.item).text], hit.score) for hit in hits]


SOURCES: Mapping[SourceName, Source] = {"semantic": semantic}


def semantic_index(store: Shop, progress: Progress | None = None) -> SemanticIndex:
    """The shop's index, made at the first call (minutes), then opened once per process."""
    with _opening:
        if store not in _indexes:
            _indexes[store] = SemanticIndex.build(store.items, Embedder(), progress=progress)
        return _indexes[store]


_opening = Lock()
_indexes: dict[Shop, SemanticIndex] = {}


@lru_cache(maxsize=8)  # a test of many times would keep a table for each
def _counts(store: Shop, before: datetime | None) -> pl.DataFrame:
    """item, text, bought — sellable items, the most bought first."""
    events = store.events.frame
    if before is not None:
        events = events.filter(pl.col("time") < before)
    bought = events.group_by("item").len("bought")
    items = store.items.frame
    sellable = items.filter(pl.col("sellable")) if "sellable" in items.columns else items
    counted = sellable.select("item", "text").join(bought, on="item", how="left")
    return counted.sort(pl.col("bought").fill_null(0), "item", descending=[True, False])


def _most_bought(store: Shop, before: datetime | None, leave_out: frozenset[str]) -> dict[str, str]:
    """Text -> its most bought item, without some items."""
    kept = _counts(store, before).filter(~pl.col("item").is_in(leave_out))
    first = kept.unique("text", keep="first", maintain_order=True)
    return dict(first.select("text", "item").iter_rows())
