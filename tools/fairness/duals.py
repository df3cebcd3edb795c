"""The price of fairness: one subsidy per seller, from what sellers got so far.

The plan of T trips, in the fluid limit, with outcomes a_s a trip and targets rho_s:

    max  reward a trip  +  strength * R(a)

    max_min        R = min(1, min_s a_s / rho_s)
    shortfall      R = sum_s omega_s min(1, a_s / rho_s)     omega = rho (in currency) or 1 / S (even)
    proportional   R = sum_s rho_s log(EPSILON + a_s / rho_s)

Its dual has one multiplier mu_s <= 0 per seller (Ye et al., arXiv 2312.03253, name duality and bandits
and no more that is public; this is the regularised online allocation of Balseiro, Lu and Mirrokni,
ICML 2021, as far as the digest of it goes). We write it nu_s = -rho_s mu_s >= 0, in the unit of the
reward: an item of seller s with outcome o is worth o * nu_s / rho_s more than its reward.

    D(nu) = E[max over lists of reward + sum_s nu_s y_s / rho_s]  +  max_x { strength * R(x) - nu . x }

`leader` gives nu in closed form of the outcomes summed so far: entropic for max_min and shortfall, whose
bias is the same whatever a seller's size, and the gradient of R for proportional. That choice is ours;
the projected gradient steps of the papers take `best_shares` and `project`. Sizes: S sellers. These
three functions are plain loops that numba compiles (`loop.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.fairness.data import Floats

EPSILON = 0.01
MAX_MIN, SHORTFALL, PROPORTIONAL = 0, 1, 2
KINDS = {"max_min": MAX_MIN, "shortfall": SHORTFALL, "even_shortfall": SHORTFALL,
         "proportional": PROPORTIONAL}  # fmt: skip
MOST_SPARE = 10.0
"""Log of the most that a budget changes the strength by; else one without effect would overflow."""
HALVINGS = 60
"""Of an interval, until a double has no more bits to tell."""


class Goal(BaseModel):
    """What is fair, and what it may cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fair: Annotated[
        Literal["max_min", "shortfall", "even_shortfall", "proportional"],
        Field(description="What is raised: the worst seller, or shares of targets up to 1."),
    ] = "max_min"
    strength: Annotated[
        float,
        Field(
            ge=0,
            le=1e6,
            allow_inf_nan=False,
            description="Reward a trip that perfect fairness is worth; 0 ranks by reward alone.",
        ),
    ] = 0.3
    budget: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="Share of the reward that may be lost; the strength then follows it.",
        ),
    ] = None
    pace: Annotated[
        float,
        Field(
            gt=0,
            le=100,
            description="Step: pace / sqrt(horizon); larger reacts faster and costs more.",
        ),
    ] = 1.0
    horizon: Annotated[int, Field(ge=1, description="Trips that are planned for.")] = 12_000


class Plan(NamedTuple):
    """A goal for certain sellers, as the loops read it.

    Attributes:
        kind: MAX_MIN, SHORTFALL or PROPORTIONAL.
        strength: of R, in reward a trip.
        targets: (S,) rho, outcome a trip, above 0.
        caps: (S,) the greatest subsidy of each seller; for max_min of all together.
        step: pace / sqrt(horizon).
        budget: share of the reward that may be lost; 0 where the strength stays as it is.
        lead: (S + 1,) log of the weights that max_min begins with, the last that of no subsidy; the
            others read no lead.
    """

    kind: int
    strength: float
    targets: Floats
    caps: Floats
    step: float
    budget: float
    lead: Floats


def plan_of(goal: Goal, targets: Floats, start: Floats | None = None, *, keep: float = 0.5) -> Plan:
    """The plan of a goal.

    Args:
        goal: its kind, strength and pace.
        targets: (S,) outcome a trip that is fair.
        start: (S,) subsidies found on a forecast; None begins with equal ones.
        keep: share of the start that is believed; the rest is equal over sellers.

    Raises:
        SetupError: a target that is not above 0.
    """
    if not len(targets) or not (targets > 0).all() or not np.isfinite(targets).all():
        raise SetupError(
            f"Every seller needs a target above 0, not {np.asarray(targets).tolist()[:5]}; leave out "
            "sellers without sales, or join them to others."
        )
    kind, strength = KINDS[goal.fair], goal.strength
    caps = {
        "max_min": np.full(len(targets), strength),
        "shortfall": strength * targets,
        "even_shortfall": np.full(len(targets), strength / len(targets)),
        "proportional": strength * targets / EPSILON,
    }[goal.fair]
    lead = np.zeros(len(targets) + 1)
    if start is not None and strength > 0:
        shares = np.append(start, max(0.0, strength - start.sum())) / strength
        lead = np.log(keep * shares / shares.sum() + (1 - keep) / len(lead))
    step = goal.pace / np.sqrt(goal.horizon)
    return Plan(kind, strength, targets, caps, step, goal.budget or 0.0, lead)


def fairness(plan: Plan, outcomes: Floats) -> float:
    """R of outcomes a trip, (S,); not yet times the strength."""
    shares = outcomes / plan.targets
    if plan.kind == MAX_MIN:
        return float(min(1.0, shares.min()))
    if plan.kind == SHORTFALL:
        return float(_weights(plan) @ np.minimum(shares, 1.0))
    return float(plan.targets @ np.log(EPSILON + np.minimum(shares, most(plan))))


def conjugate(plan: Plan, subsidies: Floats) -> float:
    """max_x strength * R(x) - nu . x, with x = a / rho in [0, 1], of proportional in [0, `most`]."""
    if plan.kind == MAX_MIN:
        return max(0.0, plan.strength - float(subsidies.sum()))
    if plan.kind == SHORTFALL:
        return float(np.maximum(plan.caps - subsidies, 0).sum())
    best = best_shares(plan.kind, plan.strength, plan.targets, plan.caps, subsidies)
    gain = plan.strength * plan.targets * np.log(EPSILON + best) - subsidies * best
    return float(gain.sum())


def most(plan: Plan) -> Floats:
    """(S,) — the greatest share of its target that proportional counts: of a seller that has all."""
    found: Floats = plan.targets.sum() / plan.targets
    return found


def _weights(plan: Plan) -> Floats:
    """omega, (S,); 0 where the strength is."""
    return plan.caps / plan.strength if plan.strength else np.zeros_like(plan.caps)


def best_shares(
    kind: int, strength: float, targets: Floats, caps: Floats, subsidies: Floats
) -> Floats:
    """x* of the conjugate, (S,) outcomes as shares of their targets.

    max_min: 1 while the subsidies sum to less than the strength, else 0; shortfall: 1 below the cap, else
    0; proportional: strength * rho / nu - EPSILON, within its box.
    """
    best = np.zeros(len(subsidies))
    total = subsidies.sum()
    for s in range(len(subsidies)):
        if kind == MAX_MIN:
            best[s] = 1.0 if total < strength * (1 - 1e-9) else 0.0
        elif kind == SHORTFALL:
            best[s] = 1.0 if subsidies[s] < caps[s] * (1 - 1e-9) else 0.0
        else:
            box = targets.sum() / targets[s]
            share = strength * targets[s] / max(subsidies[s], 1e-300) - EPSILON
            best[s] = min(max(share, 0.0), box)
    return best


def project(kind: int, strength: float, caps: Floats, subsidies: Floats) -> None:
    """Onto the dual's domain, in place: nu >= 0, each at most its cap, or all together for max_min.

    For max_min the Euclidean projection, by bisection on the scalar that is taken off each.
    """
    for s in range(len(subsidies)):
        subsidies[s] = min(max(subsidies[s], 0.0), np.inf if kind == MAX_MIN else caps[s])
    if kind != MAX_MIN or subsidies.sum() <= strength:
        return
    low, high = 0.0, subsidies.max()
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if np.maximum(subsidies - middle, 0.0).sum() > strength:
            low = middle
        else:
            high = middle
    for s in range(len(subsidies)):
        subsidies[s] = max(subsidies[s] - high, 0.0)


def leader(plan: Plan, sums: Floats, trips: float, subsidies: Floats) -> None:
    """The subsidies after some trips, written into `subsidies` (S,).

    max_min: strength * softmax of -step * sum over sellers and a place of no subsidy, whose sum is the
    trips: Hedge (Freund and Schapire 1997). shortfall: cap * sigmoid of step * (trips - sum), the same
    between two. proportional: the gradient of R at the mean, as if one trip at target had gone before.

    Args:
        plan: of the goal.
        sums: (S,) outcomes so far, each as a share of its target.
        trips: how many.
        subsidies: (S,) overwritten.
    """
    n = len(sums)
    if plan.kind == MAX_MIN:
        top = plan.lead[n] - plan.step * trips
        for s in range(n):
            top = max(top, plan.lead[s] - plan.step * sums[s])
        total = np.exp(plan.lead[n] - plan.step * trips - top)
        for s in range(n):
            subsidies[s] = np.exp(plan.lead[s] - plan.step * sums[s] - top)
            total += subsidies[s]
        for s in range(n):
            subsidies[s] *= plan.strength / total
    elif plan.kind == SHORTFALL:
        for s in range(n):
            ahead = plan.step * (sums[s] - trips)
            subsidies[s] = plan.caps[s] * 0.5 * (1 - np.tanh(ahead / 2))
    else:
        for s in range(n):
            share = (sums[s] + 1) / (trips + 1)
            subsidies[s] = plan.strength * plan.targets[s] / (EPSILON + share)


def affordable(plan: Plan, whole: float, lost: float, trips: float) -> float:
    """What the strength is multiplied by so that the loss ends at the budget.

    max R with a loss of at most budget * whole has a Lagrangian of our form, whose strength is the
    inverse of the budget's multiplier. This is Hedge on that multiplier, with the step of the subsidies.

    Args:
        plan: of the goal.
        whole: reward of the trips so far, had their lists been the best ones.
        lost: how much of it the subsidies cost.
        trips: how many.
    """
    if plan.budget == 0 or whole <= 0:
        return 1.0
    spare = plan.step * trips * (1 - lost / (plan.budget * whole))
    return float(np.exp(min(max(spare, -MOST_SPARE), MOST_SPARE)))
