from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from merchgraph.evals.suites import pilot as suite
from merchgraph.evals.suites.pilot import (
    Params,
    Played,
    Trial,
    epsilon_greedy,
    evaluate,
    even,
    measured,
    real_trials,
    run,
    simulate,
)
from merchgraph.evals.suites.pilot_report import MEASURES, POLICIES, PilotReport
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import settings, use_settings
from merchgraph.tools.bandit import Pilot, Stop
from merchgraph.tools.data import upworthy

PARAMS = Params(batch=100, delay=2, stop=Stop(least=100))
CLEAR = Trial("clear", (0.02, 0.3, 0.05), 6_050)
EQUAL = Trial("equal", (0.05, 0.05), 3_000)


@pytest.fixture(scope="module")
def report() -> PilotReport:
    tests = [Trial(f"{n}", (0.02 + 0.001 * n, 0.06, 0.04), 4_000) for n in range(25)]
    return evaluate(tests, PARAMS)


def test_an_even_split_is_even() -> None:
    pilot = Pilot.start(["a", "b"], control="m")
    assert even(pilot, 300) == {"a": 100, "b": 100, "m": 100}
    given = pilot.give({"a": 2, "b": 1})
    assert even(given, 4) == {"a": 1, "b": 1, "m": 2}


def test_epsilon_greedy_gives_a_tenth_to_all_and_the_rest_to_the_leader() -> None:
    pilot = Pilot.start(["a", "b"], control="m", stop=Stop(least=100))
    rng = np.random.default_rng(0)
    assert epsilon_greedy(pilot, 30, rng=rng) == {"a": 10, "b": 10, "m": 10}
    for arm, clicks in (("a", 3), ("b", 9), ("m", 5)):
        pilot = pilot.give({arm: 100}).observe(arm, shows=100, clicks=clicks)
    shows = epsilon_greedy(pilot, 30_000, rng=rng)
    assert sum(shows.values()) == 30_000
    assert shows["a"] == pytest.approx(1_000, abs=120)
    assert shows["m"] == pytest.approx(1_000, abs=120)


@pytest.mark.parametrize("name", POLICIES)
def test_each_show_is_given_once_and_a_clear_winner_is_found(name: str) -> None:
    played = simulate(CLEAR, suite.policies(0)[name], PARAMS, seed=(0, 1))
    assert sum(played.given) == CLEAR.horizon
    assert played.leader == played.winner == 1
    assert 300 <= sum(played.given_then) < 2_000
    assert all(then <= all_ for then, all_ in zip(played.given_then, played.given, strict=True))


def test_answers_come_two_batches_late() -> None:
    seen: list[tuple[int, int]] = []

    def spy(pilot: Pilot, n: int) -> dict[str, int]:
        pending = sum(arm.pending for arm in pilot.arms)
        seen.append((pending, sum(arm.shows for arm in pilot.arms)))
        return even(pilot, n)

    simulate(CLEAR, spy, PARAMS, seed=(0, 1))
    assert seen[:5] == [(0, 0), (100, 0), (200, 0), (200, 100), (200, 200)]
    assert all(after[1] - before[1] == 100 for before, after in pairwise(seen[2:]))
    assert len(seen) == 61


def test_without_a_delay_nothing_is_pending() -> None:
    def spy(pilot: Pilot, n: int) -> dict[str, int]:
        assert not any(arm.pending for arm in pilot.arms)
        return even(pilot, n)

    simulate(CLEAR, spy, PARAMS.model_copy(update={"delay": 0}), seed=(0, 1))


def test_a_pilot_that_is_never_sure_does_not_stop() -> None:
    strict = PARAMS.model_copy(update={"stop": Stop(sure=0.999_999)})
    played = simulate(EQUAL, even, strict, seed=(0, 1))
    assert (played.winner, played.given_then) == (None, played.given)


def test_a_pilot_that_is_sure_after_its_last_batch_did_not_stop_early() -> None:
    params = PARAMS.model_copy(update={"batch": 1_000, "delay": 0})
    played = simulate(Trial("x", (0.01, 0.5), 2_000), even, params, seed=(0, 1))
    assert (played.winner, sum(played.given_then)) == (1, 1_000)
    played = simulate(Trial("x", (0.01, 0.5), 1_000), even, params, seed=(0, 1))
    assert (played.winner, sum(played.given_then)) == (None, 1_000)


def test_the_same_seed_plays_the_same() -> None:
    first, again, other = (simulate(CLEAR, Pilot.choose, PARAMS, seed=(0, n)) for n in (1, 1, 2))
    assert first == again != other


def test_measures_are_those_of_a_calculation_by_hand() -> None:
    test = Trial("x", (0.10, 0.20, 0.195), 1_000)
    played = Played(given=(200, 400, 400), leader=1, winner=2, given_then=(100, 100, 100))
    stopped = measured(test, played, stops=True)
    lost = 100 * 0.1 + 100 * 0.005 + 700 * 0.005
    assert stopped == pytest.approx(
        {"regret": lost, "wrong": 1, "wrong_far": 0, "wrong_stopped": 1, "stopped": 1, "shows": 300}
    )
    to_the_end = measured(test, played, stops=False)
    assert to_the_end["regret"] == pytest.approx(200 * 0.1 + 400 * 0.005)
    assert (to_the_end["wrong"], to_the_end["shows"]) == (0, 1_000)
    assert np.isnan([to_the_end["stopped"], to_the_end["wrong_stopped"]]).all()


def test_a_pilot_without_a_winner_counts_by_its_leader() -> None:
    test = Trial("x", (0.10, 0.20), 1_000)
    played = Played(given=(300, 700), leader=0, winner=None, given_then=(300, 700))
    found = measured(test, played, stops=True)
    assert (found["wrong"], found["wrong_far"], found["stopped"]) == (1, 1, 0)
    assert found["regret"] == pytest.approx(30)
    assert np.isnan(found["wrong_stopped"])


def test_arms_of_the_same_best_rate_are_both_right() -> None:
    played = Played(given=(500, 500), leader=1, winner=None, given_then=(500, 500))
    assert measured(Trial("x", (0.2, 0.2), 1_000), played, stops=True)["wrong"] == 0


def test_thompson_sampling_loses_fewer_clicks_than_an_even_split(report: PilotReport) -> None:
    assert [(row.policy, row.stops) for row in report.rows] == [
        (name, stops) for stops in (True, False) for name in POLICIES
    ]
    thompson, split = report.rows[:2]
    assert thompson.difference["regret"].verdict == "worse"  # which is less
    assert thompson.difference.keys() == {"regret", "wrong"}
    assert split.difference == {}
    assert split.means["shows"].mean < 4_000
    assert report.rows[4].means.keys() == {"regret", "wrong", "wrong_far", "shows"}


def test_a_report_is_shown_and_kept(report: PilotReport) -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(report.terminal())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    text = report.markdown()
    for part in (shown, text):
        assert all(head in part for head in MEASURES.values())
        assert "n = 25 tests, batch 100, delay 2, seed 0, epsilon 0.1" in part
        assert all(name in part for name in ("epsilon-greedy", "Thompson, no stop"))
        assert part.count(" better ") >= 2
    assert "A simulation" in text
    assert PilotReport.model_validate_json(report.model_dump_json()) == report


def test_progress_is_told_after_each_test() -> None:
    told: list[tuple[int, int]] = []
    evaluate([EQUAL, EQUAL], PARAMS, progress=lambda *count: told.append(count))
    assert told == [(1, 2), (2, 2)]


def test_arms_are_the_headlines_of_a_test_with_their_real_rates() -> None:
    rows = [("t", 201420, "tree", "A", 100, 5), ("t", 201420, "tree", "B", 300, 3)]
    columns = ["test", "week", "image", "headline", "shows", "clicks"]
    frame = pl.DataFrame([*rows, ("u", 201420, "sea", "A", 9, 1)], schema=columns, orient="row")
    assert real_trials(frame, Params()) == [Trial("t", (0.05, 0.01), 400)]


def test_no_test_is_a_sentence() -> None:
    with pytest.raises(SetupError, match="at least 1 test"):
        evaluate([], PARAMS)


def test_an_absent_folder_is_a_sentence(tmp_path: Path) -> None:
    with use_settings(data=tmp_path), pytest.raises(SetupError, match="MERCHGRAPH_DATA"):
        run()


def test_real_headlines_are_simulated() -> None:
    if not (settings().data / upworthy.FILE).is_file():
        pytest.skip(
            f"{settings().data / upworthy.FILE} is not there; set MERCHGRAPH_DATA to test it"
        )
    report = run(Params(limit=60))
    assert report.n == 60
    thompson, split, greedy = (row.means["regret"].mean for row in report.rows[3:])
    assert max(thompson, greedy) < 0.7 * split
    assert 1 < split < 8
