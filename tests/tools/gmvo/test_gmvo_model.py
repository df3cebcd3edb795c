from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from merchgraph.tools.gmvo.model import (
    Encoder,
    Graph,
    Scorer,
    Targets,
    expected,
    listwise,
    log_softmax,
    pointwise,
    weights_of,
)
from merchgraph.tools.gmvo.pairs import Pairs

PAIRS = Pairs.of(np.zeros(4, np.int64))
SOURCE, TARGET = torch.from_numpy(PAIRS.source), torch.from_numpy(PAIRS.target)


def targets(wanted: Tensor, value: Tensor, noise: float = 0.5) -> Targets:
    return Targets(SOURCE, wanted, value, torch.full((12,), noise))


def optimum(loss: object, known: Targets, weights: Tensor) -> Tensor:
    """Shares of the lists at the scores that minimise a loss."""
    scores = torch.zeros(12, requires_grad=True)
    optimiser = torch.optim.LBFGS([scores], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        found: Tensor = loss(scores, known, weights, 4)  # type: ignore[operator]
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return log_softmax(scores.detach(), SOURCE, 4).exp()


def shares(values: Tensor) -> Tensor:
    return values / torch.zeros(4).index_add(0, SOURCE, values)[SOURCE]


def test_shares_of_a_list_add_up_to_one() -> None:
    scores = torch.randn(12, generator=torch.Generator().manual_seed(0)) * 50
    found = log_softmax(scores, SOURCE, 4)
    for good in range(4):
        inside = good == SOURCE
        torch.testing.assert_close(found[inside], torch.log_softmax(scores[inside], 0))


def test_the_listwise_optimum_is_what_came_true_times_the_weights() -> None:
    generator = torch.Generator().manual_seed(1)
    wanted, value = (torch.rand(12, generator=generator) + 0.1 for _ in range(2))
    for weights in (torch.ones(12), weights_of(value, 1.0)):
        found = optimum(listwise, targets(wanted, value), weights)
        torch.testing.assert_close(found, shares(wanted * weights), atol=2e-3, rtol=0)


def test_weights_do_not_move_the_pointwise_optimum() -> None:
    wanted = shares(torch.rand(12, generator=torch.Generator().manual_seed(2)) + 0.1)
    found = [
        optimum(pointwise, targets(wanted, torch.ones(12)), weights)
        for weights in (torch.ones(12), torch.linspace(0.2, 5, 12))
    ]
    torch.testing.assert_close(found[0], wanted, atol=5e-3, rtol=0)
    torch.testing.assert_close(found[1], wanted, atol=5e-3, rtol=0)


def test_the_expected_value_is_highest_where_the_most_valuable_is_drawn() -> None:
    wanted, value = torch.ones(12), torch.tensor([1.0, 2, 3]).repeat(4)
    sure = torch.where(value == 3, 50.0, 0.0)
    known = targets(wanted, value)
    assert expected(sure, known, 1.0, 4).item() == pytest.approx(-1.0)
    assert expected(torch.zeros(12), known, 1.0, 4).item() == pytest.approx(-2 / 3)
    # a high temperature flattens the list
    assert expected(sure, known, 1e9, 4).item() == pytest.approx(-2 / 3)


def test_price_weights_are_clipped() -> None:
    value = torch.tensor([0.0, 0.01, 1.0, 4.0, 100.0])
    torch.testing.assert_close(weights_of(value, 1.0), torch.tensor([0.2, 0.2, 1.0, 4.0, 5.0]))
    torch.testing.assert_close(weights_of(value, 0.5), torch.tensor([0.2, 0.2, 1.0, 2.0, 5.0]))


def graph(relations: int = 2) -> Graph:
    generator = torch.Generator().manual_seed(0)
    edges = [
        (torch.tensor([[1, 2, 3], [0, 1, 0]]), torch.tensor([0.5, 1.0, 0.5]))
        for _ in range(relations)
    ]
    nodes, signals = torch.randn(4, 5, generator=generator), torch.randn(12, 3, generator=generator)
    return Graph(nodes, signals, SOURCE, TARGET, edges)


def test_scores_have_a_direction_and_each_part_can_stand_alone() -> None:
    torch.manual_seed(0)
    scale, start = torch.stack([torch.zeros(3), torch.ones(3)]), torch.tensor([1.0, 0.0, -1.0])
    here = graph()
    encoder = Encoder(5, 8, 2, 2, 0.0)
    both, by_graph, by_signals = (
        Scorer(encoder, 8, scale, start),
        Scorer(encoder, 8, None, start),
        Scorer(None, 8, scale, start),
    )
    torch.testing.assert_close(by_signals(here), here.signals @ start)
    found = by_graph(here)
    there, back = PAIRS.place(np.array([0, 1]), np.array([1, 0]))
    assert found[there] != found[back]
    assert both(here).shape == (12,)
    assert {name for name, _ in by_signals.named_parameters()} == {"weights"}
    assert "weights" not in {name for name, _ in by_graph.named_parameters()}


def test_an_item_hears_of_its_neighbours_only() -> None:
    torch.manual_seed(0)
    encoder, here = Encoder(5, 8, 2, 1, 0.0), graph()
    before = encoder(here)
    # 2 tells 1; after one layer nobody else knows of it
    changed = encoder(here._replace(nodes=here.nodes + torch.tensor([0, 0, 1.0, 0])[:, None]))
    moved = (changed - before).abs().sum(dim=1) > 1e-6
    assert moved.tolist() == [False, True, True, False]
