"""Pilots by bandit on real headlines: Thompson sampling, an even split and epsilon-greedy.

    report = run(Params(limit=500))
    console.print(report.terminal()); report.markdown(); report.model_dump_json()

This is a simulation on real click rates, not a replay of real clicks: the arms of a pilot are the
headlines that Upworthy really showed with one image, each arm's rate is its clicks divided by its
shows, and each simulated show is clicked with that rate (seeded). Such a rate has the noise of some
3,500 shows in it, so the arms are further apart here than the headlines were.

A pilot has as many shows as the real test had for these arms. They go out in batches, and the answers
of a batch come in `delay` batches after it. Every policy keeps its state in a `Pilot`, and begins with
the same first shows of each arm. The last headline stands for the control; no policy treats it apart.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.suites.pilot_report import (
    MEASURES,
    POLICIES,
    Columns,
    PilotReport,
    summary,
)
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.bandit import Pilot, Stop
from merchgraph.tools.data import upworthy

EPSILON = 0.1
CLOSE = 0.05
"""Relative loss of click rate up to which a wrong winner is a near miss."""
Policy = Callable[[Pilot, int], dict[str, int]]
"""Given a pilot and a number, how often to show each arm next."""


class Params(BaseModel):
    """What is simulated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, Field(ge=1)] | None = None
    """Tests, drawn by the seed; None is all 1,971, which take half a minute."""
    batch: Annotated[int, Field(ge=1)] = 500
    """Shows that are chosen at a time."""
    delay: Annotated[int, Field(ge=0)] = 1
    """Batches that go out before the answers of one are in."""
    stop: Stop = Stop()
    seed: Annotated[int, Field(ge=0)] = 0


class Trial(NamedTuple):
    """A real test: its id, the click rate of each arm, and how many shows there are to give."""

    id: str
    rates: tuple[float, ...]
    horizon: int


def run(
    params: Params | None = None, *, progress: Callable[[int, int], None] | None = None
) -> PilotReport:
    """Simulate the tests of the usable weeks under each policy.

    Args:
        params: None is `Params()`.
        progress: called with (done, total) after each test.

    Raises:
        SetupError: the data is not there, or the extra bench is not installed.
    """
    params = params or Params()
    return evaluate(real_trials(upworthy.load(), params), params, progress=progress)


def real_trials(headlines: pl.DataFrame, params: Params) -> list[Trial]:
    """The tests that are simulated, in the order in which the seed draws them."""
    tests = [
        Trial(
            rows["test"][0],
            tuple((rows["clicks"] / rows["shows"]).to_list()),
            int(rows["shows"].sum()),
        )
        for rows in upworthy.pilots(headlines).partition_by("test", maintain_order=True)
    ]
    order = np.random.default_rng(params.seed).permutation(len(tests))
    return [tests[n] for n in order[: params.limit]]


def evaluate(
    tests: Sequence[Trial], params: Params, *, progress: Callable[[int, int], None] | None = None
) -> PilotReport:
    """Simulate some tests under each policy; every difference is paired by test.

    Raises:
        SetupError: there is no test, or the extra bench is not installed.
    """
    if not tests:
        raise SetupError("A simulation needs at least 1 test, but there is none.")
    played: dict[str, list[Played]] = {name: [] for name in POLICIES}
    for done, test in enumerate(tests, start=1):
        for name, policy in policies(params.seed + done).items():
            played[name].append(simulate(test, policy, params, seed=(params.seed, done)))
        if progress:
            progress(done, len(tests))
    columns = [
        Columns(name, stops, _columns(tests, played[name], stops=stops))
        for stops in (True, False)
        for name in POLICIES
    ]
    return summary(columns, params.model_dump(mode="json") | {"epsilon": EPSILON})


def policies(seed: int) -> dict[str, Policy]:
    """Thompson sampling as the tool has it, and what it is compared with."""
    rng = np.random.default_rng(seed)
    found: list[Policy] = [Pilot.choose, even, partial(epsilon_greedy, rng=rng)]
    return dict(zip(POLICIES, found, strict=True))


def even(pilot: Pilot, n: int) -> dict[str, int]:
    """The same number for each arm; what is left over goes to those that were given fewest."""
    given = {arm.id: arm.shows + arm.pending for arm in pilot.arms}
    share, left = divmod(n, len(given))
    fewest = sorted(given, key=lambda name: given[name])[:left]
    return {name: share + (name in fewest) for name in given}


def epsilon_greedy(pilot: Pilot, n: int, *, rng: np.random.Generator) -> dict[str, int]:
    """Each show goes to the leader, or with probability 0.1 to any arm; first each arm has its least."""
    if any(arm.shows + arm.pending < pilot.stop.least for arm in pilot.arms):
        return even(pilot, n)
    any_arm = int(rng.binomial(n, EPSILON))
    shows = rng.multinomial(any_arm, [1 / len(pilot.arms)] * len(pilot.arms))
    chosen = {arm.id: int(number) for arm, number in zip(pilot.arms, shows, strict=True)}
    chosen[pilot.leader] += n - any_arm
    return chosen


class Played(NamedTuple):
    """One simulated pilot.

    Attributes:
        given: shows of each arm over the whole horizon.
        leader: the arm with the greatest mean rate once all is answered.
        winner: the arm that would have stopped the pilot before its last batch; None if none did.
        given_then: shows of each arm that had gone out by then; all, if no arm did.
    """

    given: tuple[int, ...]
    leader: int
    winner: int | None
    given_then: tuple[int, ...]


def simulate(test: Trial, policy: Policy, params: Params, *, seed: tuple[int, int]) -> Played:
    """Give out all shows of a test, and note when the rule to stop first held."""
    names = [str(n) for n in range(len(test.rates))]
    pilot = Pilot.start(
        names[:-1], control=names[-1], stop=params.stop, seed=seed[0] * 1_000_003 + seed[1]
    )
    rng, waiting = np.random.default_rng(seed), deque[dict[str, int]]()
    winner, then, left = None, None, test.horizon
    while left:
        shows = policy(pilot, min(params.batch, left))
        pilot, left = pilot.give(shows), left - min(params.batch, left)
        waiting.append(shows)
        if len(waiting) > params.delay:
            pilot = _answered(pilot, waiting.popleft(), test, rng)
        if then is None and left and (found := pilot.winner) is not None:
            winner, then = int(found), _given(pilot)
    while waiting:
        pilot = _answered(pilot, waiting.popleft(), test, rng)
    given = _given(pilot)
    return Played(given, int(pilot.leader), winner, then or given)


def _answered(pilot: Pilot, shows: dict[str, int], test: Trial, rng: np.random.Generator) -> Pilot:
    for name, number in shows.items():
        if number:
            clicks = int(rng.binomial(number, test.rates[int(name)]))
            pilot = pilot.observe(name, shows=number, clicks=clicks)
    return pilot


def _given(pilot: Pilot) -> tuple[int, ...]:
    return tuple(arm.shows + arm.pending for arm in pilot.arms)


def measured(test: Trial, played: Played, *, stops: bool) -> dict[str, float]:
    """The measures of one pilot; see `MEASURES` of `evals/suites/pilot_report.py`.

    Args:
        test: with the real rates.
        played: under any policy.
        stops: whether the pilot ends where the rule first held; the winner has the shows that are left.
    """
    rates, best = np.array(test.rates), max(test.rates)
    early = stops and played.winner is not None
    winner = played.winner if early and played.winner is not None else played.leader
    given = np.array(played.given_then if early else played.given)
    lost = given @ (best - rates) + (test.horizon - given.sum()) * (best - rates[winner])
    wrong = float(rates[winner] < best)
    return {
        "regret": 1_000 * float(lost) / test.horizon,
        "wrong": wrong,
        "wrong_far": float(rates[winner] < (1 - CLOSE) * best),
        "wrong_stopped": wrong if early else math.nan,
        "stopped": float(early) if stops else math.nan,
        "shows": float(given.sum()),
    }


def _columns(
    tests: Sequence[Trial], played: Sequence[Played], *, stops: bool
) -> dict[str, list[float]]:
    values = [measured(*pair, stops=stops) for pair in zip(tests, played, strict=True)]
    return {measure: [value[measure] for value in values] for measure in MEASURES}
