"""Simulated dialogues: the evidence is right, the people are the same, and the counts add up."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rich.console import Console

from merchgraph.evals.suites import voice, voice_faces
from merchgraph.evals.suites.voice import REFERENCE, Params, converse, run, systems
from merchgraph.evals.suites.voice_costs import Answers
from merchgraph.evals.suites.voice_faces import Watched, distance, seen, walk, watched
from merchgraph.evals.suites.voice_report import Spoken, VoiceReport
from merchgraph.evals.suites.voice_user import HELPS, TROUBLES, Luck, Person, luck
from merchgraph.graphs.voice_repair_state import Seen

SMALL = Params(limit=25, aucs=(0.7, 0.95), expressiveness=(), answers=300)


@pytest.fixture(scope="module")
def report() -> VoiceReport:
    return run(SMALL)


def means(report: VoiceReport, system: str) -> dict[str, float]:
    (row,) = (row for row in report.rows if row.system.startswith(system))
    return {name: found.mean for name, found in row.means.items()}


@pytest.mark.parametrize("auc", [0.6, 0.8, 0.95])
def test_a_walk_has_the_auc_that_it_is_to_have(auc: float) -> None:
    rng = np.random.default_rng(0)
    after, before = (
        np.array([walk(auc, 0.3, rng.standard_normal(16), wrong=wrong)[-1] for _ in range(2000)])
        for wrong in (True, False)
    )
    won = np.searchsorted(np.sort(before), after).mean() / len(before)
    assert won == pytest.approx(auc, abs=0.02)
    assert distance(0.5) == pytest.approx(0)


def test_a_walk_means_what_it_says_at_every_moment() -> None:
    rng, share = np.random.default_rng(1), 0.3
    wrong = rng.random(6000) < share
    paths = np.array([walk(0.8, share, rng.standard_normal(8), wrong=bool(one)) for one in wrong])
    for step in (0, 3, 7):
        for low, high in ((0.1, 0.3), (0.3, 0.5), (0.5, 0.8)):
            here = (paths[:, step] >= low) & (paths[:, step] < high)
            if here.sum() >= 200:
                told = paths[here, step].mean()
                assert wrong[here].mean() == pytest.approx(told, abs=0.06)


def chance(**changed: Any) -> Luck:
    """A dialogue whose first answer is misheard, and where all that can help helps."""
    made = luck(Person(), 16, (0, 0))
    told: dict[str, Any] = {"trouble": "misheard", "wrong": True, "options": False, "helped": np.zeros(6),
            "corrected": np.ones(6), "stayed": np.zeros(6)}  # fmt: skip
    return made._replace(**(told | changed))


async def talk(name: str, drawn: Luck, **person: float) -> Spoken:
    return await converse(drawn, systems(SMALL, {})[name], Person(**person))


async def test_what_nobody_sees_is_missed_and_the_person_leaves() -> None:
    found = await talk(REFERENCE, chance())
    assert found == Spoken(done=False, alone=False, needless=0, missed=1, repairs=0, turns=2,
                           person=False, cost=2.0)  # fmt: skip


async def test_a_person_who_corrects_by_themselves_needs_no_detector() -> None:
    found = await talk(REFERENCE, chance(corrected=np.zeros(6)))
    assert (found.done, found.missed, found.turns) == (True, 1, 4)


async def test_the_truth_repairs_what_is_wrong_and_nothing_else() -> None:
    found = await talk("the truth", chance())
    assert found == Spoken(done=True, alone=True, needless=0, missed=0, repairs=1, turns=5,
                           person=False, cost=0.0)  # fmt: skip
    right = await talk("the truth", chance(wrong=False))
    assert (right.done, right.repairs, right.turns) == (True, 0, 2)


async def test_a_right_answer_that_is_doubted_is_a_needless_repair() -> None:
    found = await talk("every answer doubted", chance(wrong=False))
    assert (found.done, found.needless, found.repairs, found.turns) == (True, 1, 1, 4)
    assert found.cost == 1.0


async def test_what_the_assistant_cannot_do_ends_with_a_person() -> None:
    never_helped = chance(trouble="cannot", helped=np.full(6, 0.5))
    found = await talk("the truth", never_helped)
    assert (found.done, found.alone, found.person, found.repairs) == (True, False, True, 3)


async def test_a_person_without_patience_leaves_after_the_repair() -> None:
    found = await talk("the truth", chance(stayed=np.ones(6)))
    assert (found.done, found.repairs, found.missed, found.person) == (False, 1, 0, False)


@given(st.integers(0, 10_000))
def test_luck_is_the_same_at_every_draw_and_another_for_another_dialogue(number: int) -> None:
    one, two = luck(Person(), 4, (0, number)), luck(Person(), 4, (0, number))
    assert np.array_equal(one.face, two.face)
    assert one[:3] == two[:3]
    assert not np.array_equal(one.face, luck(Person(), 4, (0, number + 1)).face)


def test_chances_are_chances_and_cannot_is_helped_by_a_person_alone() -> None:
    assert sum(TROUBLES.values()) == pytest.approx(1)
    assert all(0 <= p <= 1 for kinds in HELPS.values() for p in kinds.values())
    assert {kind for kind, p in HELPS["cannot"].items() if p} == {"hand over"}


def test_the_bounds_of_the_table_are_what_they_must_be(report: VoiceReport) -> None:
    never, always = means(report, REFERENCE), means(report, "every answer doubted")
    truth = means(report, "the truth")
    assert (never["needless"], truth["needless"], truth["missed"]) == (0, 0, 0)
    assert (always["missed"], never["person"]) == (0, 0)
    assert always["needless"] > 0.5
    assert always["repairs"] > truth["repairs"] > never["repairs"] == 0
    assert truth["done"] >= never["done"]
    assert truth["cost"] == 0 < never["cost"]
    for row in report.rows:
        assert row.means["done"].mean >= row.means["alone"].mean
        assert row.means["done"].n == SMALL.limit


def test_faces_that_tell_more_cost_less(report: VoiceReport) -> None:
    least = [min(found.mean for found in row.means) for row in report.costs]
    assert least == sorted(least, reverse=True)
    assert len(report.costs[0].means) == len(report.thresholds) == 9


def test_the_report_says_what_it_is_and_is_the_same_each_time(report: VoiceReport) -> None:
    assert run(SMALL) == report
    told = report.markdown()
    assert "made-up people" in told
    assert told.count("| faces of AUC") == 2
    console = Console(file=io.StringIO(), width=120)
    console.print(report.terminal())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Cost of one answer by the threshold" in shown
    assert VoiceReport.model_validate_json(report.model_dump_json()) == report


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    few = voice_faces.MADE.model_copy(update={"people": 8, "clips": 8})
    monkeypatch.setattr(voice_faces, "MADE", few)
    monkeypatch.setattr(voice, "MADE", few)


@pytest.mark.usefixtures("_few")
def test_our_detector_watches_people_from_whom_it_has_not_learnt() -> None:
    found = watched(3.0, 0)
    assert (len(found.wrong), len(found.right)) == (32, 32)
    assert found.auc(4.0) > 0.65
    one, two = ([Seen(time=1, p_error=p)] for p in (0.7, 0.4))
    assert Watched([one, two], [two, two]).auc(4.0) == 0.75
    assert Watched([one, two], [two, two]).auc(0.5) == 0.5
    assert found.draw(0.0, wrong=True) is found.wrong[0]
    assert found.draw(0.999, wrong=False) is found.right[-1]


@pytest.mark.usefixtures("_few")
def test_our_detector_stands_in_both_tables_with_its_auc() -> None:
    found = run(Params(limit=4, aucs=(0.8,), expressiveness=(3.0,), answers=50))
    name = "our detector, faces of 3"
    assert [row.system for row in found.rows][-2:] == [name, "the truth"]
    assert [row.faces for row in found.costs] == ["AUC 0.8", name]
    assert [row.means[0].n for row in found.costs] == [50, 64]
    (note,) = found.notes
    assert note.startswith(f"{name} times the usual strength: AUC 0.")
    assert "32 errors and 32 right answers of 8 made-up people" in note


def test_clips_cost_by_the_share_of_errors_and_not_by_how_many_there_are() -> None:
    answers = Answers(share=0.2, ratio=3.0, drawn=10, seed=0)
    sure, calm = ([Seen(time=n / 4, p_error=p) for n in range(17)] for p in (0.99, 0.01))
    blind = [Seen(time=n / 4) for n in range(17)]
    found = answers.of_clips("all seen", Watched([sure] * 4, [calm] * 2))
    assert [sum(row) for row in found.cells] == [0] * 9
    found = answers.of_clips("none seen", Watched([blind] * 4, [blind] * 2))
    for row in found.cells:
        assert sum(row) / len(row) == pytest.approx(0.2 * 3)
    found = answers.of_clips("upside down", Watched([calm] * 4, [sure] * 2))
    assert sum(found.cells[4]) / 6 == pytest.approx(0.2 * 3 + 0.8)


@pytest.mark.parametrize(
    "given", [{"limit": 0}, {"aucs": (0.4,)}, {"aucs": (1.0,)}, {"aucs": ()}, {"person": {"errors": 0}},
              {"person": {"stays": 2}}, {"cost_ratio": 0}, {"faces": 1}],
    ids=str,
)  # fmt: skip
def test_wrong_settings_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate(given)


def test_a_system_s_readings_fill_the_window() -> None:
    assert [one.time for one in seen(np.full(4, 0.5), 4.0)] == [1, 2, 3, 4]
