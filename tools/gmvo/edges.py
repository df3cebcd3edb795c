"""The item graph: relations between goods of one type, as the encoder reads them.

    similar    viewed together and rarely bought together; without views, switched either way
    move       viewed, then bought; without views, switched from one to the other
    back       the same edges, read from their end
    wallet     bought by the same households, weighed by their purchases of the type
    together   bought in one basket: what contaminates similarity, as a relation of its own

The paper (GNN-GMVO, arXiv 2310.17732) cleans its edges for similar items; how, could not be read. The
weights by pointwise mutual information, the thresholds and the caps are our design.

Sizes: I goods, P pairs, E edges of a relation.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.gmvo.data import Floats, Ints
from merchgraph.tools.gmvo.pairs import Pairs
from merchgraph.tools.gmvo.signals import Past, in_groups, switches, wallet

Relation = Literal["similar", "move", "back", "wallet", "together"]
RELATIONS: tuple[Relation, ...] = ("similar", "move", "back", "wallet", "together")
LEAST_WALLET = 0.2


class Cleaning(NamedTuple):
    """What makes an edge.

    Attributes:
        similar: least count of a similar edge.
        move: least count of a directed edge.
        complement: greatest bought together / (count + 1) of a similar edge.
        smoothing: added to the counts of both ends in the pointwise mutual information.
        cap: neighbours of an item per relation.
    """

    similar: int = 5
    move: int = 3
    complement: float = 0.3
    smoothing: float = 10.0
    cap: int = 30


class Edges(NamedTuple):
    """Edges of one relation: `at` reads from `of`.

    Attributes:
        at, of: (E,) int64 — goods.
        weight: (E,) float64 — above 0; those of one `at` add up to 1.
    """

    at: Ints
    of: Ints
    weight: Floats


def relations(pairs: Pairs, past: Past, cleaning: Cleaning) -> dict[str, Edges]:
    """The relations of `RELATIONS`, by name.

    Args:
        pairs: of goods; each edge is one of them.
        past: what is known.
        cleaning: thresholds.
    """
    moved = switches(pairs, past)
    back = pairs.count(past.moves.target, past.moves.source)
    bought = in_groups(pairs, past, past.log.basket)
    seen = past._replace(log=past.log._replace(bought=past.log.viewed))
    viewed = in_groups(pairs, seen, past.log.basket) if past.log.viewed.any() else moved + back
    clean = (viewed >= cleaning.similar) & (bought / (viewed + 1) <= cleaning.complement)
    chosen = {
        "similar": (clean, information(pairs, viewed, cleaning.smoothing)),
        "move": (moved >= cleaning.move, moved),
        "back": (back >= cleaning.move, back),
        "wallet": ((kept := wallet(pairs, past)) >= LEAST_WALLET, kept),
        "together": (bought >= cleaning.move, information(pairs, bought, cleaning.smoothing)),
    }
    return {name: _capped(pairs, *chosen[name], cleaning.cap) for name in RELATIONS}


def information(pairs: Pairs, counts: Floats, smoothing: float) -> Floats:
    """(P,) float64 — log(n_ij n / ((n_i + k)(n_j + k))), -inf where n_ij is 0; digest section 3.3."""
    ends = np.bincount(pairs.target, counts, pairs.goods)[pairs.target]
    by_chance = (pairs.sums(counts) + smoothing) * (ends + smoothing)
    lift = counts * counts.sum() / np.where(counts > 0, by_chance, 1)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(lift), np.float64)


def _capped(pairs: Pairs, kept: NDArray[np.bool_], weights: Floats, cap: int) -> Edges:
    """The `cap` heaviest edges of each item, of those kept that weigh more than 0."""
    places = np.flatnonzero(kept & (weights > 0))
    order = places[np.lexsort((-weights[places], pairs.source[places]))]
    at = pairs.source[order]
    first = np.searchsorted(at, at, side="left")
    near = order[np.arange(len(order)) - first < cap]
    at, weight = pairs.source[near], weights[near]
    totals = np.bincount(at, weight, pairs.goods)
    return Edges(at, pairs.target[near], weight / totals[at])
