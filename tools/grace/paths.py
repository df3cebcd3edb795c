"""Items as paths of tokens, from coarse to fine, and the trie of all paths.

    paths = Paths.of(frame, config, vectors)
    paths.tokens[7]            # department, category, brand, price bin, two text codes, index
    paths.children[2][node]    # (tokens of slot 2,) the next nodes; -1 where no item goes that way

A price bin is one of equally many prices *within the department*, so that "cheap" means cheap for its
kind. Text codes are a residual quantisation: k-means of the vectors, then k-means of what the first level
leaves. Items that share all of these are numbered by the index, so that each path is one item.

Without slots a path is a random number in digits, which says nothing of the item: the control.

Sizes: I items, P slots of a path, V tokens of a slot, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.tools.grace.config import Config

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
INDEX = "index"
DIGITS, LEAST_BASE = 3, 64
"""Of the random number, as MBGen writes it: base 64, or more where the catalogue needs it."""


class Facts(NamedTuple):
    """How much a path tells.

    Attributes:
        slot: its name.
        tokens: distinct ones.
        prefixes: distinct paths up to this slot.
        bits: entropy of the token over items.
        left: entropy of the item once the path up to this slot is known, in bits.
    """

    slot: str
    tokens: int
    prefixes: int
    bits: float
    left: float


@dataclass(frozen=True, eq=False)
class Paths:
    """The paths of I items.

    Attributes:
        slots: (P,) their names, from coarse to fine.
        tokens: (I, P) int64, numbers within each slot; no two rows are equal.
    """

    slots: tuple[str, ...]
    tokens: Ints

    @classmethod
    def of(cls, frame: pl.DataFrame, config: Config, vectors: Floats | None = None) -> Self:
        """Paths of the rows of a catalogue.

        Args:
            frame: columns category, brand, seller, price.
            config: slots, codes, bins, rare, random_prices, seed.
            vectors: (I, D) of the texts; needed where a text level is a slot.
        """
        if not config.slots:
            return cls(*_digits(len(frame), config.seed))
        columns = _attributes(frame, config)
        if vectors is not None:
            columns |= dict(zip(("text 1", "text 2"), _levels(vectors, config), strict=True))
        told = np.stack([columns[slot] for slot in config.slots], axis=1)
        return cls((*config.slots, INDEX), np.column_stack([told, _numbered(told)]))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """(P,) tokens of each slot."""
        if not len(self.tokens):
            return (1,) * len(self.slots)
        return tuple(int(size) for size in self.tokens.max(axis=0) + 1)

    @cached_property
    def nodes(self) -> Ints:
        """(I, P + 1) int64 — the nodes of each path by depth, from the root 0 to its leaf."""
        return self._trie[0]

    @cached_property
    def children(self) -> tuple[Ints, ...]:
        """Of each depth but the last (nodes, V) int64 — the node after a token, or -1."""
        return self._trie[1]

    @cached_property
    def leaves(self) -> Ints:
        """(leaves,) int64 — the item of each leaf."""
        found = np.empty(len(self.tokens), np.int64)
        found[self.nodes[:, -1]] = np.arange(len(self.tokens))
        return found

    def priors(self, counts: NDArray[np.integer]) -> tuple[Floats, ...]:
        """Of each depth but the last (nodes, V) float32 — log share of a token after a node.

        The product along a path is the item's share of all (counts + 1); -inf where no item goes.
        """
        found = []
        weight = counts.astype(np.float64) + 1
        for depth, table in enumerate(self.children):
            here = np.bincount(self.nodes[:, depth], weight, minlength=len(table))
            after = np.bincount(self.nodes[:, depth + 1], weight)
            with np.errstate(divide="ignore"):
                share = np.log(np.where(table >= 0, after[table], 0)) - np.log(here)[:, None]
            found.append(share.astype(np.float32))
        return tuple(found)

    def facts(self) -> list[Facts]:
        """What each slot tells, from coarse to fine."""
        return [
            Facts(
                slot=name,
                tokens=len(np.unique(self.tokens[:, place])),
                prefixes=len(self.children[place + 1])
                if place + 1 < len(self.slots)
                else len(self),
                bits=_bits(self.tokens[:, place]),
                left=max(0.0, float(np.log2(len(self))) - _bits(self.nodes[:, place + 1])),
            )
            for place, name in enumerate(self.slots)
        ]

    @property
    def collisions(self) -> int:
        """Items that only their index tells from an earlier one."""
        return int((self.tokens[:, -1] > 0).sum()) if self.slots[-1] == INDEX else 0

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _trie(self) -> tuple[Ints, tuple[Ints, ...]]:
        node = np.zeros(len(self.tokens), np.int64)
        nodes, children = [node], []
        for place, size in enumerate(self.sizes):
            keys, after = np.unique(node * size + self.tokens[:, place], return_inverse=True)
            table = np.full((int(node.max(initial=0)) + 1, size), -1, np.int64)
            table.flat[keys] = np.arange(len(keys))
            children.append(table)
            node = after.astype(np.int64)
            nodes.append(node)
        return np.stack(nodes, axis=1), tuple(children)


def quantised(vectors: Floats, codes: int, seed: int) -> tuple[Ints, Floats]:
    """k-means of scikit-learn: (I,) codes and (I, D) what they leave over.

    Fewer distinct vectors than codes need fewer codes.
    """
    from sklearn.cluster import KMeans

    distinct = len(np.unique(vectors, axis=0))
    found = KMeans(min(codes, distinct), n_init=1, random_state=seed).fit(vectors)
    code = found.labels_.astype(np.int64)
    return code, np.asarray(vectors - found.cluster_centers_[code], np.float32)


def _levels(vectors: Floats, config: Config) -> tuple[Ints, Ints]:
    """Two levels of a residual quantisation."""
    if not len(vectors):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first, rest = quantised(vectors, config.codes, config.seed)
    second, _ = quantised(rest, config.codes, config.seed + 1)
    return first, second


def _attributes(frame: pl.DataFrame, config: Config) -> dict[str, Ints]:
    levels = [path.split(" > ") for path in frame["category"]]
    department = _codes([path[0] for path in levels])
    prices = frame["price"].cast(pl.Float64).to_numpy()
    return {
        "department": department,
        "category": _codes([" > ".join(path[:2]) for path in levels]),
        "brand": _codes(_brands(frame, config.rare)),
        "price": _bins(prices, department, config),
    }


def _brands(frame: pl.DataFrame, rare: int) -> list[str]:
    """The maker: `seller` where the shop says no more than a class of brands, else `brand`."""
    few = frame["brand"].n_unique() < frame["seller"].n_unique()
    names = frame["seller" if few else "brand"].fill_null("").to_list()
    often = {name for name, count in zip(*np.unique(names, return_counts=True), strict=True)
             if count >= rare}  # fmt: skip
    return [name if name in often or not name else "\0other" for name in names]


def _bins(prices: NDArray[np.float64], department: Ints, config: Config) -> Ints:
    """Bins 1 to `bins` by rank within the department, equal prices alike; 0 is an unknown price."""
    if config.random_prices:
        return np.random.default_rng(config.seed).integers(1, config.bins + 1, len(prices))
    found = np.zeros(len(prices), np.int64)
    for one in np.unique(department):
        rows = np.flatnonzero((department == one) & ~np.isnan(prices))
        _, place, counts = np.unique(prices[rows], return_inverse=True, return_counts=True)
        middle = np.cumsum(counts) - counts / 2
        found[rows] = (1 + middle * config.bins / max(1, len(rows))).astype(np.int64)[place]
    return found


def _numbered(told: Ints) -> Ints:
    """(I,) how many earlier rows are the same."""
    found = np.zeros(len(told), np.int64)
    if len(told):
        _, group = np.unique(told, axis=0, return_inverse=True)
        order = np.argsort(group, kind="stable")
        sizes = np.bincount(group)
        found[order] = np.arange(len(told)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return found


def _digits(count: int, seed: int) -> tuple[tuple[str, ...], Ints]:
    base = max(LEAST_BASE, int(np.ceil(max(1, count) ** (1 / DIGITS))))
    numbers = np.random.default_rng(seed).permutation(count)
    places = [numbers // base**place % base for place in reversed(range(DIGITS))]
    return tuple(f"digit {n + 1}" for n in range(DIGITS)), np.stack(places, 1).astype(np.int64)


def _codes(names: Sequence[str]) -> Ints:
    return np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1].astype(np.int64)


def _bits(codes: Ints) -> float:
    shares = np.bincount(codes) / max(1, len(codes))
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())
