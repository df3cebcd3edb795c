"""What a log says of one item standing in for another: one row of numbers per pair of goods.

The strongest is the wallet: of what households that bought the source spend on other items of the type,
the share of the target. It is followed by the switches both ways, by the cosine of the households that
bought each, and by how much is bought of the target of late. Same-basket purchases count against a pair:
what goes into one basket is a complement or a variety.

Signals are on a scale of logarithms of shares, so that a weighted sum of them is a product of powers;
each share is shrunk to the recent popularity inside the type. Needs SciPy.

Sizes: I goods, N rows of the log, P pairs, F signals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.gmvo.data import Floats, Goods, Ints, Log, Moves
from merchgraph.tools.gmvo.pairs import Pairs

if TYPE_CHECKING:
    from scipy.sparse import csr_array

WEEK = 7.0
FOREVER = np.inf
NAMES = (
    "switch, 12 weeks", "switch, 4 weeks", "switch back, 12 weeks", "two switches",
    "wallet", "wallet, 12 weeks", "wallet, 4 weeks", "household cosine", "basket cosine",
    "popular, 2 weeks", "popular, 4 weeks", "popular, 16 weeks", "popular", "households",
    "weeks since sale", "weeks on sale", "price to price", "price gap", "relative price",
    "text", "same brand", "same seller", "same size",
)  # fmt: skip
_LITTLE = 0.5  # added to counts before a share is taken


class Past(NamedTuple):
    """What is known at a time: goods, and the log and the moves before it.

    Attributes:
        day: the time, in days since 1970-01-01.
        text: (I, D) float32, L2-normalised vectors of the goods' texts, or None.
    """

    goods: Goods
    log: Log
    moves: Moves
    day: float
    text: NDArray[np.float32] | None = None


def signals(pairs: Pairs, past: Past) -> NDArray[np.float32]:
    """(P, F) float32, finite — one column per name of `NAMES`.

    Raises:
        SetupError: SciPy is not installed.
    """
    table = np.empty((len(pairs), len(NAMES)), np.float32)
    for column, values in enumerate(_columns(pairs, past)):
        table[:, column] = values
    return table


def popularity(past: Past, weeks: float) -> Floats:
    """(I,) float64 — purchases of each item; one counts half after so many weeks."""
    log = past.log
    weights = _faded(past.day - log.day, weeks) * log.bought
    return np.bincount(log.item, weights, len(past.goods.items)).astype(np.float64)


def switches(pairs: Pairs, past: Past, weeks: float = FOREVER) -> Floats:
    """(P,) float64 — moves from source to target; one counts half after so many weeks."""
    moves = past.moves
    return pairs.count(moves.source, moves.target, _faded(past.day - moves.day, weeks))


def shrunk(pairs: Pairs, counts: Floats, prior: Floats, strength: float) -> Floats:
    """(P,) float64 — log of each count's share in its source's list, with a Dirichlet prior.

    Args:
        pairs: of goods.
        counts: (P,) 0 or more.
        prior: (I,) 0 or more — its shares among the candidates are the prior's mean.
        strength: how many counts the prior is worth.
    """
    expected = prior[pairs.target] + 0.1
    expected = expected / pairs.sums(expected)
    return np.log((counts + strength * expected) / (pairs.sums(counts) + strength))


def cosine(pairs: Pairs, past: Past, by: Ints) -> Floats:
    """(P,) float64 — cosine of the sets of groups in which each item was bought.

    Args:
        pairs: of goods.
        past: whose purchases.
        by: (N,) int64 — group of each row of the log: its user, or its basket.
    """
    sizes = buyers(past, by)
    by_chance = np.maximum(sizes[pairs.source] * sizes[pairs.target], 1)
    return in_groups(pairs, past, by) / np.sqrt(by_chance)


def buyers(past: Past, by: Ints) -> Floats:
    """(I,) float64 — groups in which each item was bought; `by` as for `cosine`."""
    log, size = past.log, len(past.goods.items)
    bought = np.unique(by[log.bought] * size + log.item[log.bought]) % max(size, 1)
    return np.bincount(bought, minlength=size).astype(np.float64)


def in_groups(pairs: Pairs, past: Past, by: Ints) -> Floats:
    """(P,) float64 — in how many groups both items were bought; `by` as for `cosine`."""
    inside = _table(past, by, past.log.bought.astype(np.float64))
    inside.data = np.ones_like(inside.data)
    return pairs.pick(inside.T @ inside)


def wallet(pairs: Pairs, past: Past, weeks: float = FOREVER) -> Floats:
    """(P,) float64 — sum over households of n_i * n_j / n, of their n purchases of the type.

    That is how often the target is drawn where each purchase of the source is drawn anew from what its
    household buys of the type. One purchase counts half after so many weeks.
    """
    log = past.log
    bought = _table(past, log.user, _faded(past.day - log.day, weeks) * log.bought)
    totals = np.asarray(bought.sum(axis=1)).ravel()
    rows = np.repeat(np.arange(bought.shape[0]), np.diff(bought.indptr))
    drawn = bought.copy()
    drawn.data = bought.data / np.maximum(totals[rows], 1e-9)
    return pairs.pick(drawn.T @ bought)


def _columns(pairs: Pairs, past: Past) -> Iterator[Floats]:
    """In the order of `NAMES`."""
    log, target = past.log, pairs.target
    recent = popularity(past, 4)
    moves = past.moves
    back = pairs.count(moves.target, moves.source, _faded(past.day - moves.day, 12))
    yield shrunk(pairs, switches(pairs, past, 12), recent, 3)
    yield shrunk(pairs, switches(pairs, past, 4), recent, 2)
    yield shrunk(pairs, back, recent, 3)
    yield np.log(_two_steps(pairs, past) + 1e-3)
    for weeks, strength in ((FOREVER, 3), (12, 2), (4, 1)):
        yield shrunk(pairs, wallet(pairs, past, weeks), recent, strength)
    yield np.log(cosine(pairs, past, log.user) + 0.02)
    yield np.log(cosine(pairs, past, log.basket) + 0.01)
    for weeks in (2, 4, 16, FOREVER):
        yield _share(pairs, popularity(past, weeks))
    yield _share(pairs, buyers(past, log.user))
    first, last = _span(past)
    yield np.log1p((past.day - last) / WEEK)[target]
    yield np.log1p((past.day - first) / WEEK)[target]
    yield from _attributes(pairs, past)


def _attributes(pairs: Pairs, past: Past) -> Iterator[Floats]:
    goods, source, target = past.goods, pairs.source, pairs.target
    price = np.log(np.maximum(goods.prices, 0.01))
    yield price[target] - price[source]
    yield np.abs(price[target] - price[source])
    yield np.log(goods.relative[target] + 0.01)
    yield (
        np.zeros(len(pairs))
        if past.text is None
        else np.einsum("pd,pd->p", past.text[source], past.text[target])
    )
    for codes in goods.alike:
        yield ((codes[source] == codes[target]) & (codes[source] >= 0)).astype(np.float64)


def _two_steps(pairs: Pairs, past: Past) -> Floats:
    """(P,) chance to come from source to target by two switches, forth or back."""
    size = len(past.goods.items)
    forth = switches(pairs, past)
    both = forth + pairs.count(pairs.target, pairs.source, forth)
    sums = np.maximum(pairs.sums(both), 5)
    step = _sparse(both / sums, (pairs.source, pairs.target), (size, size))
    step.eliminate_zeros()
    return pairs.pick(step @ step)


def _span(past: Past) -> tuple[Floats, Floats]:
    """(I,), (I,) — day of the first and last purchase; the time itself where there is none."""
    log, size = past.log, len(past.goods.items)
    first, last = np.full(size, past.day), np.full(size, -np.inf)
    np.minimum.at(first, log.item[log.bought], log.day[log.bought])
    np.maximum.at(last, log.item[log.bought], log.day[log.bought])
    return first, np.where(np.isinf(last), past.day, last)


def _share(pairs: Pairs, counts: Floats) -> Floats:
    values = counts[pairs.target] + _LITTLE
    return np.log(values / pairs.sums(values))


def _faded(days: Floats, weeks: float) -> Floats:
    return np.power(0.5, np.maximum(days, 0) / (weeks * WEEK))


def _table(past: Past, by: Ints, weights: Floats) -> csr_array:
    """(groups, I) — weights summed per group and item; a group holds items of one type."""
    log, size = past.log, len(past.goods.items)
    here = weights > 0
    kinds = past.goods.types[log.item[here]]
    width = int(kinds.max(initial=0)) + 1
    groups, rows = np.unique(by[here] * width + kinds, return_inverse=True)
    return _sparse(weights[here], (rows, log.item[here]), (len(groups), size))


def _sparse(values: Floats, places: tuple[Ints, Ints], shape: tuple[int, int]) -> csr_array:
    try:
        from scipy.sparse import csr_array
    except ModuleNotFoundError as error:
        raise SetupError(
            "Similar items need the package scipy, which is not installed: "
            "pip install 'merchgraph[local]'."
        ) from error
    return csr_array((values, places), shape=shape)
