"""How well and how fast the semantic index answers, against exact search on the same queries.

Three kinds of query: users (mean of a history's texts), items (a catalogue text) and free texts. An
item returned counts as correct if its cosine reaches that of the k-th exact hit: among items of the
same text no order is right. A time is one `nearest` call on a ready vector, in milliseconds.

    on_shop(index, shop("complete_journey")).table()
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import polars as pl
from rich.table import Table

from merchgraph.tools.data.tables import Shop
from merchgraph.tools.retrieval import SemanticIndex
from merchgraph.tools.vectors import Floats

TIE = 1e-6
USERS, ITEMS, TEXTS = 600, 500, 200
LAST = 50
"""Items of a history that make its vector."""


@dataclass(frozen=True)
class Kind:
    """One kind of query.

    Attributes:
        name: "user", "item" or "text".
        n: how many queries.
        recall: mean share of the first k that are correct, 0 to 1; NaN without queries.
        p50_ms: median time of one query in milliseconds.
        p95_ms: time that 95 of 100 queries stay under, in milliseconds.
        exact_p50_ms: median time of exact search, in milliseconds.
    """

    name: str
    n: int
    recall: float
    p50_ms: float
    p95_ms: float
    exact_p50_ms: float


@dataclass(frozen=True)
class RetrievalReport:
    """The three kinds over an index of `items` items, at `k`."""

    items: int
    k: int
    kinds: tuple[Kind, ...]

    def table(self) -> Table:
        """One row per kind, for the terminal."""
        table = Table(title=f"Semantic index of {self.items:,} items against exact search")
        for column in ("query", "n", f"recall@{self.k}", "p50 ms", "p95 ms", "exact p50 ms"):
            table.add_column(column, justify="left" if column == "query" else "right")
        for kind in self.kinds:
            times = (f"{ms:.1f}" for ms in (kind.p50_ms, kind.p95_ms, kind.exact_p50_ms))
            table.add_row(kind.name, f"{kind.n:,}", f"{kind.recall:.4f}", *times)
        return table


def on_shop(index: SemanticIndex, store: Shop, *, k: int = 20) -> RetrievalReport:
    """Measure the index on a shop's own users, items and titles, drawn with fixed seeds."""
    text_of = dict(store.items.frame.select("item", "text").iter_rows())
    users = pl.Series(store.events.users).sample(min(USERS, len(store.events.users)), seed=0)
    histories = [
        [text_of[item] for item in store.events.of(user)["item"].tail(LAST) if item in text_of]
        for user in users
    ]
    items = store.items.frame.sample(min(ITEMS, len(store.items)), seed=0)
    titles = store.items.frame["title"].unique(maintain_order=True)
    typed = [title.lower() for title in titles.sample(min(TEXTS, len(titles)), seed=1)]
    known = [history for history in histories if history]
    return report(index, users=known, items=items["item"].to_list(), texts=typed, k=k)


def report(
    index: SemanticIndex,
    *,
    users: Sequence[Sequence[str]],
    items: Sequence[str],
    texts: Sequence[str],
    k: int = 20,
) -> RetrievalReport:
    """Measure the index.

    Args:
        index: an index, built or opened.
        users: per user, the texts of the items of the history, oldest first; never empty.
        items: ids of the catalogue.
        texts: free texts, as a person would type them.
        k: how many hits per query.
    """
    item_texts = [item.text for item in index.items.get(items)]
    queries = {
        "user": [index.embedder.embed_user(history) for history in users],
        "item": list(index.embedder.embed(item_texts)),
        "text": list(index.embedder.embed(texts)),
    }
    kinds = tuple(_measure(index, name, vectors, k) for name, vectors in queries.items())
    return RetrievalReport(len(index), k, kinds)


def recall(index: SemanticIndex, vector: Floats, *, k: int) -> float:
    """Share of the k exact hits that `nearest` matches in score, 0 to 1; ties count as correct."""
    exact = index.exact(vector, k=k)
    found = index.nearest(vector, k=k)
    return sum(hit.score >= exact[-1].score - TIE for hit in found) / len(exact)


def _measure(index: SemanticIndex, name: str, vectors: Sequence[Floats], k: int) -> Kind:
    if not vectors:
        nan = float("nan")
        return Kind(name, 0, nan, nan, nan, nan)
    index.nearest(vectors[0], k=k)  # the first query reads the graph from disk
    times, exact_times = [], []
    for vector in vectors:
        started = perf_counter()
        index.nearest(vector, k=k)
        between = perf_counter()
        index.exact(vector, k=k)
        times.append(1000 * (between - started))
        exact_times.append(1000 * (perf_counter() - between))
    p50, p95 = np.percentile(times, [50, 95])
    mean = float(np.mean([recall(index, vector, k=k) for vector in vectors]))
    return Kind(name, len(vectors), mean, float(p50), float(p95), float(np.median(exact_times)))
