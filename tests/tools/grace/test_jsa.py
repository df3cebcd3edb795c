from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from merchgraph.tools.grace.config import BRANCHES, Branch, Config
from merchgraph.tools.grace.fast import FastJourneyAttention
from merchgraph.tools.grace.jsa import (
    Blocks,
    DenseAttention,
    JourneyAttention,
    keys_read,
)
from tests.tools.grace.grace_toy import changed

LENGTH = 3


def blocks(journeys: list[list[int]], padding: int = 0) -> Blocks:
    journey = torch.tensor(journeys)
    there = torch.ones_like(journey, dtype=torch.bool)
    there[:, 1 : 1 + padding] = False
    return Blocks(journey, there)


def states(batch: int, count: int, width: int, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, count, LENGTH, width, generator=generator).requires_grad_()


def both(config: Config) -> tuple[JourneyAttention, FastJourneyAttention]:
    torch.manual_seed(0)
    plain, fast = JourneyAttention(config, LENGTH), FastJourneyAttention(config, LENGTH)
    fast.load_state_dict(plain.state_dict())
    return plain, fast


@settings(max_examples=30)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    padding=st.integers(0, 2),
    select=st.integers(1, 9),
    window=st.integers(1, 12),
    coarse=st.integers(1, 4),
    branches=st.lists(st.sampled_from(BRANCHES), min_size=1, unique=True),
)
def test_the_fast_path_equals_the_plain_one_forward_and_backward(
    sizes: list[int], padding: int, select: int, window: int, coarse: int, branches: list[Branch]
) -> None:
    config = changed(select=select, window=window, coarse=coarse, branches=tuple(branches))
    journeys = [-1, *[-2] * padding, *np.repeat(np.arange(len(sizes)), sizes).tolist()]
    told = blocks([journeys, journeys], padding)
    plain, fast = both(config)
    one, other = (states(2, len(journeys), config.width) for _ in range(2))
    found, quick = plain(one, told), fast(other, told)
    assert found.shape == one.shape
    torch.testing.assert_close(found[told.there], quick[told.there], atol=1e-5, rtol=1e-4)
    for result in (found, quick):
        (result[told.there] ** 2).sum().backward()
    torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-3)
    for mine, yours in zip(plain.parameters(), fast.parameters(), strict=True):
        if mine.grad is not None:
            torch.testing.assert_close(mine.grad, yours.grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("branch", ["intra", "inter", "current"])
@pytest.mark.parametrize("kind", [JourneyAttention, FastJourneyAttention])
def test_a_branch_that_reads_all_is_exactly_dense(
    branch: Branch, kind: type[JourneyAttention]
) -> None:
    count = 6
    config = changed(branches=(branch,), select=count, window=count, coarse=LENGTH)
    sparse, dense = kind(config, LENGTH), DenseAttention(config, LENGTH)
    dense.query.load_state_dict(sparse.query.state_dict())
    dense.out.load_state_dict(sparse.out.state_dict())
    dense.pair.load_state_dict(sparse.pairs[branch].state_dict())
    with torch.no_grad():
        sparse.gate.weight.zero_()
        sparse.gate.bias.fill_(100.0)
    told, given_states = blocks([[0] * count] * 2), states(2, count, config.width)
    torch.testing.assert_close(
        sparse(given_states, told), dense(given_states, told), atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("kind", [JourneyAttention, FastJourneyAttention])
def test_all_branches_full_with_gates_that_add_up_to_one_are_exactly_dense(
    kind: type[JourneyAttention],
) -> None:
    count = 5
    config = changed(select=count, window=count, coarse=1)
    sparse, dense = kind(config, 1), DenseAttention(config, 1)
    with torch.no_grad():
        sparse.gate.weight.zero_()
        sparse.gate.bias.fill_(float(np.log(1 / 3)))  # sigmoid gives 1/4
    for name in config.branches:
        sparse.pairs[name].load_state_dict(dense.pair.state_dict())
    sparse.query.load_state_dict(dense.query.state_dict())
    sparse.out.load_state_dict(dense.out.state_dict())
    # a summary of a single token may be that token
    sparse.summary = nn.Identity()
    told = blocks([[0] * count] * 2)
    some = torch.randn(2, count, 1, config.width, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(sparse(some, told), dense(some, told), atol=1e-6, rtol=1e-5)


def reach(config: Config, told: Blocks, query: int) -> list[int]:
    """Interactions whose change is seen at the query's output."""
    torch.manual_seed(1)
    attention = FastJourneyAttention(config, LENGTH)
    some = states(1, told.journey.shape[1], config.width)
    attention(some, told)[0, query].pow(2).sum().backward()
    assert some.grad is not None
    return torch.flatten(some.grad[0].abs().sum((1, 2)).nonzero()).tolist()


def test_each_branch_reads_what_its_name_says() -> None:
    told = blocks([[-1, 0, 0, 0, 1, 1, 2]])
    assert reach(changed(branches=("intra",), select=9), told, 2) == [1, 2, 3]
    assert len(reach(changed(branches=("intra",), select=2), told, 2)) == 2
    assert reach(changed(branches=("intra",), select=1), told, 4) == [4]
    assert reach(changed(branches=("current",), window=2), told, 1) == [1, 5, 6]
    assert reach(changed(branches=("inter",), coarse=1), told, 1) == list(range(7))
    assert reach(changed(branches=("compressed",)), told, 1) == list(range(7))


def test_the_coarse_token_comes_after_the_behaviour() -> None:
    told = blocks([[-1, 0, 1]])
    attention = FastJourneyAttention(changed(branches=("inter",), coarse=1), LENGTH)
    some = states(1, 3, 16)
    attention(some, told)[0, 1].pow(2).sum().backward()
    assert some.grad is not None
    assert some.grad[0, 2].abs().sum(1).gt(0).tolist() == [False, True, False]


@pytest.mark.parametrize("attention", ["journey", "dense"])
def test_padding_changes_nothing(attention: str) -> None:
    config = changed(attention=attention)
    torch.manual_seed(0)
    kind = DenseAttention if attention == "dense" else FastJourneyAttention
    layer = kind(config, LENGTH)
    some = states(1, 4, config.width)
    far = torch.cat([some[:, :1], 1e3 * torch.ones(1, 2, LENGTH, config.width), some[:, 1:]], dim=1)
    short = layer(some, blocks([[-1, 0, 0, 1]]))
    long = layer(far, blocks([[-1, -1, -1, 0, 0, 1]], padding=2))
    torch.testing.assert_close(long[:, [0, 3, 4, 5]], short, atol=1e-5, rtol=1e-4)


def test_keys_follow_the_formula_of_the_cost() -> None:
    config = Config(select=8, window=5)
    assert keys_read(config, 50, 8) == 50 + 64 + 50 + 40
    assert keys_read(config.with_(attention="dense"), 50, 8) == 400
    assert keys_read(config.with_(branches=("intra",)), 4, 8) == 32
    assert 1 - keys_read(config, 250, 8) / 2_000 >= 0.48
