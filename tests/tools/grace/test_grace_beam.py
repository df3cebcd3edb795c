from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.tools.grace.answer import Ask, anyhow, listed
from merchgraph.tools.grace.beam import search
from merchgraph.tools.grace.config import SLOTS
from merchgraph.tools.grace.data import Journey, past
from merchgraph.tools.grace.model import Grace
from merchgraph.tools.grace.samples import Batch, collate, sample
from tests.tools.grace.grace_toy import ATTRIBUTES, changed, ids, untrained

SETTINGS: list[dict[str, Any]] = [
    {},
    {"behaviours": False},
    {"slots": ()},
    {"slots": SLOTS, "codes": 3},
    {"attention": "dense", "prior": False, "layers": 2},
]


def pasts(model: Grace, log: object, visits: list[list[list[str]]]) -> Batch:
    goods = log.goods  # type: ignore[attr-defined]
    told = [past(goods, [Journey(visit) for visit in one]) for one in visits]
    return collate(told, goods, model.config, np.random.default_rng(0))


@settings(max_examples=15)
@given(
    st.sampled_from(range(len(SETTINGS))),
    st.integers(0, 3),
    st.integers(1, 20),
    st.lists(st.lists(st.sampled_from(ids()), max_size=3), max_size=3),
)
def test_every_path_that_is_told_is_a_real_item_told_once(
    which: int, seed: int, width: int, visits: list[list[str]]
) -> None:
    model, log = untrained(changed(**SETTINGS[which]), seed=seed)
    read = model.read(pasts(model, log, [visits, []]))
    found = search(model, read, width)
    total = len(log.goods.items)
    assert (found.item >= 0).sum(1).tolist() == [min(width, total) * model.predicted] * 2
    for told in torch.stack([found.item, found.behaviour], dim=2):
        real = [tuple(pair) for pair in told.tolist() if pair[0] >= 0]
        assert len(set(real)) == len(real)
        assert max(real)[0] < total
    assert torch.equal(found.score.isfinite(), found.item >= 0)


@pytest.mark.parametrize("which", range(len(SETTINGS)))
def test_a_wide_beam_tells_exactly_what_the_decoder_gives_each_item(which: int) -> None:
    model, log = untrained(changed(**SETTINGS[which]))
    batch = pasts(model, log, [[["tea 1", "milk 0"], ["tea 2"]], []])
    with torch.no_grad():
        read, total = model.read(batch), len(log.goods.items)
        every = torch.arange(total).expand(2, -1)
        for behaviour in range(model.predicted):
            told = model.told_paths(read, every, torch.full_like(every, behaviour))
            found = search(model, read, total, behaviour)
            found = search(model, read, total) if model.predicted == 1 else found
            torch.testing.assert_close(
                found.score, told.gather(1, found.item), atol=1e-4, rtol=1e-4
            )
            assert (found.score.diff(dim=1) <= 1e-6).all()


@pytest.mark.parametrize("which", range(len(SETTINGS)))
def test_probabilities_of_all_items_and_behaviours_add_up_to_one(which: int) -> None:
    model, log = untrained(changed(**SETTINGS[which]))
    batch = pasts(model, log, [[["tea 1", "milk 0"], ["tea 2"]], []])
    total = len(log.goods.items)
    pairs = list(itertools.product(range(total), range(model.predicted)))
    item, behaviour = (torch.tensor(column).expand(2, -1) for column in zip(*pairs, strict=True))
    with torch.no_grad():
        told = model.told_paths(model.read(batch), item, behaviour)
        copies = model.copies(model.read(batch), batch)
    np.testing.assert_allclose(told.exp().sum(1), 1, rtol=1e-4)
    np.testing.assert_allclose((copies.gate.exp() + copies.rest.exp()), 1, rtol=1e-5)
    np.testing.assert_allclose(copies.share[0].exp().sum(), 1, rtol=1e-5)
    assert copies.gate[1].exp() == 0, "nothing to copy for who has had nothing"
    for one in map(anyhow, listed(model, batch, Ask(width=total))):
        assert len(one) == total
        np.testing.assert_allclose(sum(np.exp(answer.score) for answer in one), 1, rtol=1e-3)


def test_the_three_tasks_are_views_of_one_distribution() -> None:
    model, log = untrained(changed())
    batch, total = pasts(model, log, [[["tea 1", "milk 0"]]]), len(log.goods.items)
    (together,) = listed(model, batch, Ask(total))
    given_behaviour = {
        (answer.item, code): answer.score
        for code in range(model.predicted)
        for answer in listed(model, batch, Ask(total, behaviour=code))[0]
    }
    pairs = {(answer.item, answer.behaviour): answer.score for answer in together}
    assert pairs.keys() == given_behaviour.keys()
    for pair, score in pairs.items():
        assert given_behaviour[pair] == pytest.approx(score, abs=1e-4)
    for answer in anyhow(together):
        parts = [pairs[answer.item, code] for code in range(model.predicted)]
        assert np.exp(answer.score) == pytest.approx(np.exp(parts).sum(), rel=1e-4)


def test_own_items_are_found_even_by_a_narrow_search() -> None:
    model, log = untrained(changed())
    batch = pasts(model, log, [[["tea 1", "milk 0", "tea 5"], ["tea 7", "milk 3"]]])
    one = anyhow(listed(model, batch, Ask(width=1))[0])
    named = {log.goods.items[answer.item] for answer in one}
    assert {"tea 1", "milk 0", "tea 5", "tea 7", "milk 3"} <= named
    alone, _ = untrained(changed(copies=False))
    assert len(listed(alone, batch, Ask(width=1))[0]) <= alone.predicted


def test_without_the_trie_a_path_may_be_no_item() -> None:
    model, log = untrained(changed(trie=False, copies=False, slots=ATTRIBUTES[:2]))
    # no item of the department has a third category
    found = search(model, model.read(pasts(model, log, [[["tea 1"]]])), 200, 0)
    invalid = found.item < 0
    assert found.score[invalid].isneginf().all()
    real = found.item[~invalid].tolist()
    assert len(set(real)) == len(real) == len(log.goods.items)


def test_the_loss_is_that_of_the_whole_distribution() -> None:
    model, log = untrained(changed())
    batch, targets = sample(log, log.samples[3:5], model.config, np.random.default_rng(0))
    with torch.no_grad():
        read, (item, behaviour, _) = model.read(batch), map(torch.from_numpy, targets)
        decoded = model.told_paths(read, item.clamp(min=0), behaviour.clamp(min=0))[item >= 0]
        loss = model.loss(batch, targets) + model.config.alone * decoded.mean()
    told, every = [], listed(model, batch, Ask(len(log.goods.items)))
    for row in range(2):
        found = every[row]
        scores = {(answer.item, answer.behaviour): answer.score for answer in found}
        wanted = zip(targets.item[row], targets.behaviour[row], strict=True)
        told += [scores[item, done] for item, done in wanted if item >= 0]
    assert loss.item() == pytest.approx(-np.mean(told), rel=1e-4)


def test_before_it_has_learned_the_model_tells_what_is_popular() -> None:
    model, log = untrained(changed(copies=False))
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    (one,) = listed(model, pasts(model, log, [[]]), Ask(width=len(log.goods.items)))
    shares = {answer.item: np.exp(answer.score) for answer in anyhow(one)}
    counts = log.goods.counts + 1
    for item, share in shares.items():
        assert share == pytest.approx(counts[item] / counts.sum(), rel=1e-4)
