"""The compiled loop of the complement model: one pass over baskets by stochastic gradient descent.

Importing it imports numba, so it is imported where a training begins. Threads write to the same tables
without locks (Hogwild, Recht et al. 2011, arXiv 1106.5730), as the paper's code does. Sizes: I items, P
and Q widths of item and user vectors, N users, W and X tokens of items and of users, B baskets, R rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_MASK = np.uint64(0xFFFFFFFF)
_SCALE = np.float32(1 / (1 << 24))


class Tables(NamedTuple):
    """What is learned, float: see `Model` of `model.py`. item_out may be item_in itself."""

    item_in: Floats  # (I, P)
    item_out: Floats  # (I, P)
    item_for_user: Floats  # (I, Q)
    user: Floats  # (N, Q)
    token: Floats  # (W, P)
    user_token: Floats  # (X, Q)


class Chances(NamedTuple):
    """An alias table: a place is drawn evenly, and kept with `keep`, else exchanged for `other`."""

    keep: Floats
    other: NDArray[np.int32]


class Baskets(NamedTuple):
    """Items by basket, and tokens by item and by user, as rows with ends.

    Attributes:
        items: (R,) int32; basket b holds items[ends[b]:ends[b + 1]].
        ends: (B + 1,) int64.
        users: (B,) int32; -1 leaves the user's term out.
        tokens, token_ends: of items, the same way; empty without context.
        user_tokens, user_token_ends: of users.
    """

    items: NDArray[np.int32]
    ends: NDArray[np.int64]
    users: NDArray[np.int32]
    tokens: NDArray[np.int32]
    token_ends: NDArray[np.int64]
    user_tokens: NDArray[np.int32]
    user_token_ends: NDArray[np.int64]


class Plan(NamedTuple):
    """Settings of one pass.

    Attributes:
        history: k.
        meets: how often an item's tokens are met for each place that it has.
        negatives: per positive.
        largest: True to use the maximum of the history; None for the mean. Two types, so that the
            loop is compiled for the one that is asked.
        first, last: rate at the beginning and at the end of the pass.
        items, tokens, user_tokens: chances of negatives.
    """

    history: int
    meets: int
    negatives: int
    largest: bool | None
    first: float
    last: float
    items: Chances
    tokens: Chances
    user_tokens: Chances


def _compiled(function: Any) -> Any:
    return numba.njit(nogil=True, fastmath=True, cache=True, error_model="numpy")(function)


def _inlined(function: Any) -> Any:
    """Compiled into the loop that calls it; with rows by number, no view of one is made.

    Calls and views count references, which took two thirds of the time of a pass.
    """
    inlined = numba.njit(nogil=True, fastmath=True, error_model="numpy", inline="always")
    return inlined(function)


@_inlined
def _next(state: Any) -> Any:
    """Marsaglia's xorshift (2003, doi:10.18637/jss.v008.i14), 64 bits."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state


@_inlined
def _below(state: Any, n: Any) -> Any:
    """An even number below n < 2^31 from the high bits."""
    return np.int64(((state >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@_inlined
def _draw(state: Any, chances: Any) -> Any:
    place = _below(state, chances.keep.size)
    chance = np.float32(state & np.uint64(0xFFFFFF)) * _SCALE
    return place if chance < chances.keep[place] else np.int64(chances.other[place])


@_inlined
def negatives(state: Any, chances: Any, drawn: Any) -> Any:
    """Fill drawn[1:]; one that equals drawn[0] is drawn again, unless there is no other."""
    for n in range(1, drawn.size):
        state = _next(state)
        drawn[n] = _draw(state, chances)
        while drawn[n] == drawn[0] and chances.keep.size > 1:
            state = _next(state)
            drawn[n] = _draw(state, chances)
    return state


@_inlined
def _dot(a: Any, i: Any, b: Any, j: Any) -> Any:
    """Row i of a times row j of b, which is as wide or wider."""
    total = a.dtype.type(0)
    for d in range(a.shape[1]):
        total += a[i, d] * b[j, d]
    return total


@_inlined
def _add(to: Any, i: Any, times: Any, what: Any, j: Any) -> Any:
    for d in range(to.shape[1]):
        to[i, d] += times * what[j, d]


@_inlined
def _exchange(step: Any, a: Any, i: Any, b: Any, j: Any, room: Any, r: Any) -> Any:
    """Row i of a moves by step times row j of b, row r of room by step times what a was."""
    for d in range(a.shape[1]):
        was = a[i, d]
        room[r, d] += step * was
        a[i, d] = was + step * b[j, d]


@_inlined
def _missing(score: Any, label: Any) -> Any:
    """label - sigmoid(score): minus the slope of the Bernoulli loss (eq. 3)."""
    return label - 1 / (1 + np.exp(-score))


@_inlined
def _pool(item_in: Any, near: Any, largest: Any, room: Any) -> Any:
    """room[0]: mean (eq. 6) or maximum of the item-in vectors of `near`."""
    for d in range(item_in.shape[1]):
        room[0, d] = item_in[near[0], d]
    for n in range(1, near.size):
        row = near[n]  # read once: for all the compiler knows, room may overlap with near
        if largest is None:
            for d in range(item_in.shape[1]):
                room[0, d] += item_in[row, d]
        else:
            for d in range(item_in.shape[1]):
                room[0, d] = max(room[0, d], item_in[row, d])
    if largest is None:
        share = item_in.dtype.type(1 / near.size)
        for d in range(item_in.shape[1]):
            room[0, d] *= share


@_inlined
def _spread(item_in: Any, near: Any, largest: Any, room: Any) -> Any:
    """Add room[1], the pooled vector's step, to those that it was made of: 1/k, or to the greatest."""
    if largest is None:
        share = item_in.dtype.type(1 / near.size)
        for n in range(near.size):
            _add(item_in, near[n], share, room, 1)
    else:
        for d in range(item_in.shape[1]):
            best = near[0]
            for n in range(1, near.size):
                if item_in[near[n], d] > item_in[best, d]:
                    best = near[n]
            item_in[best, d] += room[1, d]


@_inlined
def next_item(
    tables: Any, near: Any, user: Any, drawn: Any, rate: Any, largest: Any, room: Any
) -> Any:
    """One step on "bought next, or not" (eq. 3, first line): drawn[0] was bought, the others not.

    Args:
        tables: `Tables`, changed in place.
        near: (k,) the history.
        user: the buyer; -1 leaves s(i, u) out.
        drawn: (1 + negatives,) items.
        rate: of this step.
        largest: as in `Plan`.
        room: (3, max(P, Q)) of the tables' type, overwritten: pooled history, its step, the user's.
    """
    kind = tables.item_in.dtype.type
    _pool(tables.item_in, near, largest, room)
    for d in range(room.shape[1]):
        room[1, d] = room[2, d] = 0
    for n in range(drawn.size):
        score = _dot(tables.item_out, drawn[n], room, 0)
        if user >= 0:
            score += _dot(tables.item_for_user, drawn[n], tables.user, user)
        step = kind(rate * _missing(score, kind(n == 0)))
        _exchange(step, tables.item_out, drawn[n], room, 0, room, 1)
        if user >= 0:
            _exchange(step, tables.item_for_user, drawn[n], tables.user, user, room, 2)
    _spread(tables.item_in, near, largest, room)
    if user >= 0:
        _add(tables.user, user, kind(1), room, 2)


@_inlined
def tell(vectors: Any, row: Any, words: Any, drawn: Any, rate: Any, room: Any) -> Any:
    """One step on "carries this token, or not" (eq. 4 and 5): drawn[0] does, the others do not.

    Args:
        vectors: (I, P) of items or (N, Q) of users; its row `row` is changed in place.
        row: the item or the user.
        words: (W, P) or (X, Q) of the tokens, changed in place.
        drawn: (1 + negatives,) tokens.
        rate: of this step.
        room: (1 or more, P or Q or more) of the tables' type; its first row is overwritten.
    """
    kind = vectors.dtype.type
    for d in range(vectors.shape[1]):
        room[0, d] = 0
    for n in range(drawn.size):
        step = kind(rate * _missing(_dot(words, drawn[n], vectors, row), kind(n == 0)))
        _exchange(step, words, drawn[n], vectors, row, room, 0)
    _add(vectors, row, kind(1), room, 0)


@_compiled
def run(tables: Any, baskets: Any, order: Any, plan: Any, seed: Any) -> Any:
    """One pass over some baskets, each shuffled first, since a basket has no order of its own.

    A place t >= 1 of the shuffled basket is a target, its history the up to k places before it. The
    tokens of an item are met `meets` times, or as often as it stands in a history if that is less:
    with k, all that the loss has (of histories: the released code's choice; the paper's sum has the
    target's tokens too).

    Args:
        tables: `Tables`, changed in place.
        baskets: `Baskets`.
        order: (b,) int64 — which baskets, in which order.
        plan: `Plan`.
        seed: uint64, not 0.

    Returns:
        How many observations there were.
    """
    state, seen = seed, 0
    widest = max(tables.item_in.shape[1], tables.user.shape[1])
    room = np.empty((3, widest), dtype=tables.item_in.dtype)
    drawn = np.empty(1 + plan.negatives, dtype=np.int64)
    for place in range(order.size):
        basket = order[place]
        rate = plan.first + (plan.last - plan.first) * place / order.size
        items = baskets.items[baskets.ends[basket] : baskets.ends[basket + 1]].copy()
        user = np.int64(baskets.users[basket])
        for t in range(items.size):
            state = _next(state)
            other = t + _below(state, items.size - t)
            items[t], items[other] = items[other], items[t]
        for t in range(1, items.size):
            drawn[0] = items[t]
            state = negatives(state, plan.items, drawn)
            near = items[max(0, t - plan.history) : t]
            next_item(tables, near, user, drawn, rate, plan.largest, room)
            item = items[t - 1]
            for _ in range(min(plan.meets, plan.history, items.size - t)):
                for at in range(baskets.token_ends[item], baskets.token_ends[item + 1]):
                    drawn[0] = baskets.tokens[at]
                    state = negatives(state, plan.tokens, drawn)
                    tell(tables.item_in, item, tables.token, drawn, rate, room)
            if user >= 0:
                for at in range(baskets.user_token_ends[user], baskets.user_token_ends[user + 1]):
                    drawn[0] = baskets.user_tokens[at]
                    state = negatives(state, plan.user_tokens, drawn)
                    tell(tables.user, user, tables.user_token, drawn, rate, room)
        seen += max(0, items.size - 1)
    return seen
