from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from merchgraph.tools.contract import Past
from merchgraph.tools.tmf.learn import Lesson
from merchgraph.tools.tmf.lesson import knowledge, lesson_with, model_of, view
from merchgraph.tools.tmf.network import Network
from merchgraph.tools.tmf.trust import trust
from tests.tools.gmvo.toy import toy_shop
from tests.tools.tmf.tmf_toy import quick

RIGHT = np.eye(4, dtype=np.bool_)


def test_likelihoods_that_know_better_count_more_and_noise_counts_nothing() -> None:
    rng = np.random.default_rng(0)
    right = RIGHT[rng.integers(4, size=400)]
    weak = 0.3 * right + rng.normal(size=right.shape) / 5
    noise = rng.normal(size=right.shape)
    assert trust(right * 2.0, weak, right) > 1
    assert trust(noise, weak, right) < 0.2
    assert trust(-2.0 * right, weak, right) == 0
    assert trust(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros((0, 4), np.bool_)) == 1


def test_what_few_questions_cannot_show_counts_nothing() -> None:
    rng = np.random.default_rng(5)
    right = RIGHT[rng.integers(4, size=4000)]
    fused = right + rng.normal(size=right.shape)
    likely = 0.2 * right + rng.normal(size=right.shape)
    whole = trust(likely, fused, right)
    assert whole > 0.05
    few = [trust(likely[n : n + 20], fused[n : n + 20], right[n : n + 20])
           for n in range(0, 4000, 20)]  # fmt: skip
    assert np.mean(np.array(few) == 0) > 0.7
    assert trust(right * 2.0, fused, right) >= 0.5


def test_several_right_candidates_are_right_together() -> None:
    right = np.array([[True, True, False, False]])
    assert trust(np.array([[5.0, -5.0, 0, 0]]), np.zeros((1, 4)), right) == pytest.approx(3)


def test_the_held_questions_are_never_learned_from_and_choose_the_trust(
    llm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("merchgraph.tools.tmf.learn.LEAST", 1)
    config = quick(llm, fuse_steps=40)
    seen = view(toy_shop().items, toy_shop().events, config)
    lesson = lesson_with(seen, knowledge(seen, config), config)
    met: list[int] = []
    some = Lesson._some

    def told(self: Lesson, step: int, count: int, stage: int) -> list[object]:
        found = some(self, step, count, stage)
        met.extend(id(one) for one in found)
        return list(found)

    monkeypatch.setattr(Lesson, "_some", told)
    monkeypatch.setattr("merchgraph.tools.tmf.learn.trust", lambda *given: 0.25 * len(given[0]))
    lesson.learn((tmp_path, "toy"))
    assert lesson.held > 0
    last = {id(one) for one in lesson.questions[-lesson.held :]}
    assert {id(one) for one in lesson.questions} - last == set(met)
    model = model_of(toy_shop().items, seen, lesson)
    opinion = model.opinion(lesson.questions[0])
    assert opinion.trust == 0.25 * lesson.held
    np.testing.assert_allclose(opinion.both, opinion.fused + opinion.trust * opinion.likely)
    assert torch.equal(lesson.network.own()["trust"], torch.tensor([opinion.trust]))


def test_a_language_model_that_counts_nothing_is_not_asked(
    llm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = quick(llm, fuse_steps=5, warm_steps=0, align_steps=0, joint_steps=0)
    seen = view(toy_shop().items, toy_shop().events, config)
    lesson = lesson_with(seen, knowledge(seen, config), config)
    lesson.learn((tmp_path, "toy"))
    model = model_of(toy_shop().items, seen, lesson)
    assert float(lesson.network.trust) == 0
    whole = model.opinion(lesson.questions[0])
    assert whole.likely.any()
    np.testing.assert_array_equal(whole.both, whole.fused)
    monkeypatch.setattr(Network, "likelihoods", None)
    slate = list(seen.kept.items[:4])
    assert sorted(model.rank(Past(slate[:1]), slate).items) == sorted(slate)
