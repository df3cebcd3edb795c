"""Semantic retrieval over a catalogue: the items whose text is nearest to a user, item or text.

    index = SemanticIndex.build(items, Embedder())
    index.by_user(["Oat milk", "Soy milk"], ["Cornflakes"], k=20)
    index.by_item("25671", where=Filter(category="GROCERY", exclude=bought))

Chroma holds one entry per distinct text, spread out to its items after the search: items of one text
have the very same vector, and HNSW loses its way among copies (92,331 items of 20,770 texts:
recall@20 of 0.74 per item, 0.998 per text). A score is a cosine rounded to 6 digits, so that float
noise makes no order; equal scores go by popularity where it is given, then by item id.

Calls block; async code calls them through `asyncio.to_thread`. Threads may share an index. Importing
this module imports neither Chroma nor torch. Sizes: I sellable items, N distinct texts, D width.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import polars as pl

from merchgraph.runtime.errors import SetupError, ToolError
from merchgraph.runtime.settings import settings
from merchgraph.tools.data.tables import Items
from merchgraph.tools.embedding import USER_WEIGHTS, Embedder, UserWeights
from merchgraph.tools.vectors import Floats, Mask, Neighbours, Progress, Rows, locked


class Hit(NamedTuple):
    """An item and its cosine with the query, in [-1, 1]."""

    item: str
    score: float


@dataclass(frozen=True)
class Filter:
    """Which items may be returned: those that pass every field that is given.

    Attributes:
        category: a category path or the beginning of one: "GROCERY" is the whole department.
        brand: exactly this brand.
        price: lowest and highest price, both included; items without a price do not pass.
        among: only these item ids.
        exclude: none of these item ids, such as those already bought.
        distinct: of the items of one text that pass, only the most popular one.
    """

    category: str | None = None
    brand: str | None = None
    price: tuple[float, float] | None = None
    among: Collection[str] | None = None
    exclude: Collection[str] = ()
    distinct: bool = False

    def mask(self, frame: pl.DataFrame) -> Mask | None:
        """(I,) bool — the rows of `frame` that pass, copies included; None is all."""
        tests: list[pl.Expr] = []
        if self.category is not None:
            path = pl.col("category")
            tests.append((path == self.category) | path.str.starts_with(f"{self.category} > "))
        if self.brand is not None:
            tests.append(pl.col("brand") == self.brand)
        if self.price is not None:
            tests.append(pl.col("price").is_between(*self.price))
        if self.among is not None:
            tests.append(pl.col("item").is_in(list(self.among)))
        if self.exclude:
            tests.append(~pl.col("item").is_in(list(self.exclude)))
        if not tests:
            return None
        passed = frame.select(pl.all_horizontal(tests).fill_null(False)).to_series()
        return np.asarray(passed.to_numpy(), dtype=np.bool_)


EVERYTHING = Filter()


class SemanticIndex:
    """The items of a catalogue whose column `sellable` is true (all, if there is no such column)."""

    def __init__(
        self, items: Items, embedder: Embedder, shelf: _Shelf, neighbours: Neighbours
    ) -> None:
        self.items, self.embedder = items, embedder
        self._shelf, self._neighbours = shelf, neighbours

    @classmethod
    def build(
        cls,
        items: Items,
        embedder: Embedder,
        *,
        popularity: Mapping[str, float] | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Open the index, made first if it is not on disk or damaged.

        It is made aside and renamed when complete: a build that is killed leaves nothing that could
        be served, and the next goes on from the texts already embedded. It depends on the texts
        and the model only: new prices, brands or ids need no new one.

        Args:
            items: the catalogue.
            embedder: gives the vectors.
            popularity: per item, larger is more popular; decides among equal scores.
            progress: called with (done, total) in two passes, first embedding, then indexing.

        Raises:
            SetupError: no item is sellable, a package is missing or Chroma cannot read the folder.
        """
        shelf = _Shelf.of(items, popularity or {})
        path = _index_path(shelf, embedder)
        vectors = embedder.embed(shelf.texts, progress=progress)
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock")):
            if not Neighbours.complete(path):
                aside = path.with_suffix(".building")
                for leftover in (aside, path):
                    shutil.rmtree(leftover, ignore_errors=True)
                Neighbours.write(aside, vectors, progress=progress)
                aside.rename(path)
        return cls(items, embedder, shelf, Neighbours.open(path, vectors))

    @classmethod
    def open(
        cls, items: Items, embedder: Embedder, *, popularity: Mapping[str, float] | None = None
    ) -> Self:
        """Open the index that `build` made of the same texts with the same model.

        Raises:
            SetupError: there is none, or it is damaged.
        """
        shelf = _Shelf.of(items, popularity or {})
        path = _index_path(shelf, embedder)
        if not Neighbours.complete(path):
            raise SetupError(
                f"There is no complete index of these {len(shelf.texts):,} texts in "
                f"{str(path.parent)!r}; make it with SemanticIndex.build(items, embedder)."
            )
        return cls(items, embedder, shelf, Neighbours.open(path, embedder.embed(shelf.texts)))

    def close(self) -> None:
        """Release Chroma's files; the index cannot be asked afterwards."""
        self._neighbours.close()

    def __len__(self) -> int:
        """How many items the index can return."""
        return len(self._shelf.items)

    def by_user(
        self,
        long_term: Sequence[str],
        session: Sequence[str] = (),
        *,
        k: int = 20,
        where: Filter = EVERYTHING,
        weights: UserWeights = USER_WEIGHTS,
    ) -> list[Hit]:
        """The items nearest to a user: ARAG's I0 = top-k cos(f_emb(u), f_emb(i)).

        Args:
            long_term: texts of the user's past items, oldest first; may be empty.
            session: texts of the current session's items; may be empty.
            k: how many; fewer come back only when fewer items pass `where`.
            where: which items may be returned; what was bought is not left out by itself.
            weights: how the texts become f_emb(u).

        Raises:
            ToolError: there is neither a long-term nor a session text.
        """
        vector = self.embedder.embed_user(long_term, session, weights)
        return self.nearest(vector, k=k, where=where)

    def by_item(self, item: str, *, k: int = 20, where: Filter = EVERYTHING) -> list[Hit]:
        """The items most similar to one item, without itself; it need not be sellable.

        Raises:
            SetupError: the catalogue does not have the item.
        """
        text = self.items.row(item).text
        others = replace(where, exclude={*where.exclude, item})
        return self.nearest(self.embedder.embed([text])[0], k=k, where=others)

    def by_text(self, text: str, *, k: int = 20, where: Filter = EVERYTHING) -> list[Hit]:
        """The items nearest to a free text; loads the model unless the text is known."""
        return self.nearest(self.embedder.embed([text])[0], k=k, where=where)

    def nearest(self, vector: Floats, *, k: int = 20, where: Filter = EVERYTHING) -> list[Hit]:
        """The k items nearest to vector: (D,) float32 — of any length but 0; approximate.

        Raises:
            SetupError: k is below 1.
            ToolError: the vector is zero or not finite.
        """
        unit, allowed = self._unit(vector, k), where.mask(self._shelf.frame)
        rows = self._neighbours.near(unit, k=k, alive=self._shelf.texts_of(allowed))
        return self._best(rows, unit, k=k, allowed=allowed, distinct=where.distinct)

    def exact(self, vector: Floats, *, k: int = 20, where: Filter = EVERYTHING) -> list[Hit]:
        """As `nearest`, by comparing with every text: what `nearest` is measured against."""
        unit, allowed = self._unit(vector, k), where.mask(self._shelf.frame)
        rows = self._neighbours.scan(unit, k=k, alive=self._shelf.texts_of(allowed))
        return self._best(rows, unit, k=k, allowed=allowed, distinct=where.distinct)

    def _unit(self, vector: Floats, k: int) -> Floats:
        width = self.embedder.model.width
        assert vector.shape == (width,), f"vector is {vector.shape}, expected {(width,)}"
        if k < 1:
            raise SetupError(f"k is {k}, but at least 1 item must be asked for.")
        norm = np.linalg.norm(vector)
        if not np.isfinite(norm) or norm < 1e-12:
            raise ToolError("The query's vector is zero or not finite and has no neighbours.")
        unit: Floats = (vector / norm).astype(np.float32)
        return unit

    def _best(
        self, rows: Rows, unit: Floats, *, k: int, allowed: Mask | None, distinct: bool
    ) -> list[Hit]:
        """The best k items of these texts."""
        scores = np.round(self._neighbours.cosines(unit, rows).astype(np.float64), 6)
        positions, texts = self._shelf.items_of(rows)
        if allowed is not None:
            positions, texts = positions[allowed[positions]], texts[allowed[positions]]
        best = np.lexsort((self._shelf.rank[positions], -scores[texts]))
        if distinct:
            best = best[np.sort(np.unique(texts[best], return_index=True)[1])]
        items = self._shelf.items
        return [Hit(items[positions[i]], float(scores[texts[i]])) for i in best[:k]]


@dataclass(frozen=True, eq=False)
class _Shelf:
    """The sellable items side by side with those of the same text.

    Attributes:
        frame: the items, sorted by text.
        texts: the N distinct texts, sorted.
        starts: (N + 1,) int64 — the items of text n are the rows starts[n] to starts[n + 1].
        rank: (I,) int64 — place of each row among all by popularity, then by id.
    """

    frame: pl.DataFrame
    texts: list[str]
    starts: Rows
    rank: Rows

    @classmethod
    def of(cls, items: Items, popularity: Mapping[str, float]) -> _Shelf:
        """Raises a SetupError when no item is sellable."""
        frame = items.frame
        if "sellable" in frame.columns:
            frame = frame.filter(pl.col("sellable"))
        if frame.is_empty():
            raise SetupError("No item of the catalogue is sellable; there is nothing to index.")
        frame = frame.select("item", "category", "brand", "price", "text").sort("text", "item")
        counts = frame.group_by("text", maintain_order=True).len()
        known = pl.Series([popularity.get(item, 0.0) for item in frame["item"]], dtype=pl.Float64)
        order = frame.select("item", known=-known).with_row_index().sort("known", "item")["index"]
        rank = np.empty(frame.height, dtype=np.int64)
        rank[order.to_numpy()] = np.arange(frame.height)
        starts = np.concatenate([[0], np.cumsum(counts["len"].to_numpy())]).astype(np.int64)
        return cls(frame, counts["text"].to_list(), starts, rank)

    @cached_property
    def items(self) -> list[str]:
        return self.frame["item"].to_list()

    def texts_of(self, allowed: Mask | None) -> Mask | None:
        """(N,) bool — the texts with an item that is allowed."""
        return None if allowed is None else np.logical_or.reduceat(allowed, self.starts[:-1])

    def items_of(self, rows: Rows) -> tuple[Rows, Rows]:
        """Every item of the texts `rows`: its row, and which of `rows` it belongs to."""
        sizes = self.starts[rows + 1] - self.starts[rows]
        texts = np.repeat(np.arange(len(rows)), sizes)
        within = np.arange(len(texts)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self.starts[rows][texts] + within, texts


def _index_path(shelf: _Shelf, embedder: Embedder) -> Path:
    key = hashlib.blake2b(embedder.model.fingerprint.encode(), digest_size=8)
    for text in shelf.texts:
        key.update(b"\0" + text.encode("utf-8", "replace"))
    return settings().cache_dir / "indexes" / key.hexdigest()
