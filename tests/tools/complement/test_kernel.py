"""The compiled steps against the slopes that torch finds of the losses as the paper writes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import softplus

from merchgraph.tools.complement import kernel
from merchgraph.tools.complement.fit import alias

RATE = 1e-4
Tables = dict[str, NDArray[np.float64]]


def tables() -> Tables:
    rng = np.random.default_rng(0)
    shapes = {"item_in": (9, 5), "item_out": (9, 5), "item_for_user": (9, 3), "user": (4, 3),
              "token": (6, 5), "user_token": (5, 3)}  # fmt: skip
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def moved(before: Tables, after: Tables) -> Tables:
    """What a step took off, per rate: the slope, up to terms of the rate."""
    return {name: (before[name] - after[name]) / RATE for name in before}


@pytest.mark.parametrize("user", [-1, 2])
@pytest.mark.parametrize("largest", [None, True])
@pytest.mark.parametrize("near", [[3], [3, 0, 7]])
def test_a_step_follows_the_slope_of_the_loss(
    user: int, largest: bool | None, near: list[int]
) -> None:
    start, drawn = tables(), [1, 4, 8, 2]
    changed = {name: array.copy() for name, array in start.items()}
    kernel.next_item(
        kernel.Tables(**changed), np.array(near, dtype=np.int32), user,  # type: ignore[arg-type]
        np.array(drawn), RATE, largest, np.empty((3, 5)),
    )  # fmt: skip
    t = {name: torch.tensor(array, requires_grad=True) for name, array in start.items()}
    history = t["item_in"][near]
    pooled = history.amax(0) if largest else history.mean(0)
    scores = t["item_out"][drawn] @ pooled
    if user >= 0:
        scores = scores + t["item_for_user"][drawn] @ t["user"][user]
    loss = softplus(-scores[0]) + softplus(scores[1:]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    for name, slope in moved(start, changed).items():
        found = t[name].grad
        expected = np.zeros_like(slope) if found is None else found.numpy()
        np.testing.assert_allclose(slope, expected, atol=2e-3, err_msg=name)
    assert moved(start, changed)["item_out"][1].any()


def test_a_token_step_follows_the_slope_of_its_loss() -> None:
    start, drawn = tables(), [1, 5, 0]
    changed = {name: array.copy() for name, array in start.items()}
    kernel.tell(changed["item_in"], 2, changed["token"], np.array(drawn), RATE, np.empty((1, 5)))
    vector = torch.tensor(start["item_in"][2], requires_grad=True)
    words = torch.tensor(start["token"], requires_grad=True)
    scores = words[drawn] @ vector
    loss = softplus(-scores[0]) + softplus(scores[1:]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert vector.grad is not None
    assert words.grad is not None
    found = moved(start, changed)
    np.testing.assert_allclose(found["item_in"][2], vector.grad.numpy(), atol=2e-3)
    np.testing.assert_allclose(found["token"], words.grad.numpy(), atol=2e-3)


def test_negatives_come_by_the_root_of_the_count_and_never_are_the_positive() -> None:
    counts = np.array([0, 1, 4, 9, 100])
    chances = alias(counts, 0.5)
    for positive, others in ((4, [0, 1, 2, 3, 0]), (-1, [0, 1, 2, 3, 10])):
        drawn = np.full(60_001, positive)
        kernel.negatives(np.uint64(88172645463325252), chances, drawn)
        shares = np.bincount(drawn[1:], minlength=5) / 60_000
        np.testing.assert_allclose(shares, np.array(others) / sum(others), atol=0.01)


def test_a_single_item_is_its_own_negative_in_the_end() -> None:
    drawn = np.array([0, -1, -1, -1])
    kernel.negatives(np.uint64(5), alias(np.array([7]), 0.5), drawn)
    assert drawn.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("meets", [1, 2, 9])
@pytest.mark.parametrize("history", [1, 3, 6])
def test_tokens_are_met_as_often_as_the_item_is_in_a_history(meets: int, history: int) -> None:
    # an item has a token and a dimension of its own, so that the token's step along it counts meetings
    n, eye = 5, np.eye(5, dtype=np.float32)
    log, none = np.arange(n, dtype=np.int32), np.zeros(0, np.int32)
    other = (np.zeros(shape, np.float32) for shape in ((n, n), (n, 2), (1, 2), (n, n), (0, 2)))
    learned = kernel.Tables(eye, *other)
    baskets = kernel.Baskets(log, np.array([0, n]), np.array([-1], np.int32), log,
                             np.arange(n + 1), none, np.zeros(2, np.int64))  # fmt: skip
    even = alias(np.ones(n, np.int64), 1.0)
    plan = kernel.Plan(history, meets, 2, None, RATE, RATE, even, even, even)
    assert kernel.run(learned, baskets, np.array([0]), plan, np.uint64(7)) == n - 1
    met = np.diag(learned.token) / (RATE / 2)
    histories = [range(max(0, t - history), t) for t in range(1, n)]
    expected = [min(meets, sum(place in one for one in histories)) for place in range(n)]
    np.testing.assert_allclose(np.sort(met), np.sort(expected), atol=0.01)
