"""Other fair rankers, with settings that the weeks before chose, as they choose our own steps.

    found = rivals(validation, goal, 1.0, progress)      # one for each family and strength
    [rival for rival in found if rival.chosen]           # one for each family

Of each strength the other settings are those with the best objective of the goal; of each family the
chosen strength is the fairest of those that keep to the budget, and the best by the objective where none
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from merchgraph.evals.baselines.fairness import Quotas, p_mmf, worst_first
from merchgraph.evals.baselines.fairness_deal import fair_rec, fair_rec_plus
from merchgraph.evals.suites.fairness_ground import ORDERS, Ground
from merchgraph.evals.suites.fairness_measures import measured, reordered
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.fairness.data import Floats, Whole
from merchgraph.tools.fairness.duals import Goal, plan_of
from merchgraph.tools.fairness.loop import Shown

RATES = (1e-6, 3e-3, 1e-2, 3e-2, 1e-1)
BATCHES = (1, 256, 1_024)
TITLE = "Rivals, chosen on validation"
Lists = Callable[[Ground, Whole], Shown]


class Rival(NamedTuple):
    """A ranker and what it reached on the validation weeks.

    Attributes:
        family: of rankers.
        strength: its main setting.
        about: what it is, with its other settings.
        lists: of a ground's trips in an order.
        lost: percent of GMV.
        share: of the worst seller.
        objective: GMV + strength of the goal * share.
        chosen: whether it is its family's.
    """

    family: str
    strength: float
    about: str
    lists: Lists
    lost: float = 0.0
    share: float = 0.0
    objective: float = 0.0
    chosen: bool = False

    @property
    def name(self) -> str:
        """For the report."""
        return f"{self.family} {self.strength:g}"


def rivals(
    ground: Ground, goal: Goal, most: float, progress: Callable[[int, int], None]
) -> list[Rival]:
    """One for each family and strength, with the settings that the ground chose.

    Args:
        ground: the validation window.
        goal: whose objective decides.
        most: percent of what greedy lists earn that fairness may cost.
        progress: told after each setting.
    """
    every = list(_every())
    tried = list[Rival]()
    for rival in every:
        tried.append(_judged(ground, goal, rival))
        progress(len(tried), len(every))
    best = dict[str, Rival]()
    for rival in tried:
        if rival.name not in best or rival.objective > best[rival.name].objective:
            best[rival.name] = rival
    families = dict.fromkeys(rival.family for rival in best.values())
    chosen = {_chosen([r for r in best.values() if r.family == name], most) for name in families}
    return [rival._replace(chosen=name in chosen) for name, rival in best.items()]


def table(found: Sequence[Rival]) -> Table:
    """What each reached on the weeks before."""
    rows: list[list[Cell]] = [
        [r.name, r.about, r.lost, r.share, f"{r.objective:.4f}", "yes" if r.chosen else None]
        for r in found
    ]
    about = (
        f"On the four weeks before the tested ones, mean of {ORDERS} orders. P-MMF: the best of rates "
        f"{', '.join(f'{rate:g}' for rate in RATES)} and batches {', '.join(map(str, BATCHES))} at each "
        "strength. Chosen: the fairest within the budget, or the best objective where none keeps to it."
    )
    columns = ["system", "settings", "GMV lost, %", "min share", "objective", "chosen"]
    return Table(title=TITLE, columns=columns, rows=rows, about=about)


def note(found: Sequence[Rival]) -> str:
    """What was chosen, in a sentence."""
    told = [f"{rival.name} ({rival.about})" for rival in found if rival.chosen]
    return f"Of the rivals, the weeks before chose {'; '.join(told)}."


def _every() -> Iterator[Rival]:
    for strength in (0.03, 0.2, 0.5):
        yield Rival("worst first", strength, "minimum regulariser", partial(_worst, strength))
    for strength, rate, batch in product((0.001, 0.003, 0.01, 0.03), RATES, BATCHES):
        about = f"quotas of exposure, rate {rate:g}, batch {batch}"
        yield Rival("P-MMF", strength, about, partial(_quotas, Quotas(strength, rate, batch)))
    for share in (0.02, 0.05, 0.2):
        about = "promised places, knows all trips"
        yield Rival("FairRec", share, about, partial(_promised, share))
    # up to 1 / places there is one round, after which nobody has anything to trade
    yield Rival("FairRec+", 0.2, "FairRec without cycles of envy", partial(_traded, 0.2))


def _worst(strength: float, ground: Ground, order: Whole) -> Shown:
    plan = plan_of(Goal(strength=strength), ground.known)
    return worst_first(ground.window, plan, ground.trips.shopper[order], ground.k)


def _quotas(quotas: Quotas, ground: Ground, order: Whole) -> Shown:
    return p_mmf(ground.window, purchases(ground), ground.trips.shopper[order], ground.k, quotas)


def _promised(share: float, ground: Ground, order: Whole) -> Shown:
    trips = ground.trips.shopper[order]
    return fair_rec(ground.window, len(ground.targets), trips, ground.k, share)


def _traded(share: float, ground: Ground, order: Whole) -> Shown:
    trips = ground.trips.shopper[order]
    return fair_rec_plus(ground.window, len(ground.targets), trips, ground.k, share)


def purchases(ground: Ground) -> Floats:
    """(S,) each seller's share of the purchases before the window; P-MMF sizes sellers by them."""
    habits, seller = ground.market.habits, ground.market.seller
    counts = np.bincount(seller[habits.own], habits.counts, len(ground.targets))
    return np.asarray(counts / counts.sum(), np.float64)


def _judged(ground: Ground, goal: Goal, rival: Rival) -> Rival:
    """The rival with its means over the same few orders of the trips."""
    rng, found = np.random.default_rng(0), list[tuple[float, float]]()
    for _ in range(ORDERS):
        order = rng.permutation(len(ground.trips.shopper))
        shown = rival.lists(ground, order)
        values = measured(ground.window, ground.targets, reordered(ground.trips, order), shown)
        found.append((values["GMV"], values["min share"]))
    gmv, share = (float(value) for value in np.mean(found, axis=0))
    whole = measured(ground.window, ground.targets, ground.trips, ground.greedy)["GMV"]
    objective = gmv + goal.strength * share
    return rival._replace(lost=100 * (1 - gmv / whole), share=share, objective=objective)


def _chosen(family: Sequence[Rival], most: float) -> str:
    cheap = [rival for rival in family if rival.lost <= most]
    if cheap:
        return max(cheap, key=lambda rival: rival.share).name
    return max(family, key=lambda rival: rival.objective).name
