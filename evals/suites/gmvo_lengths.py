"""How long graph networks learn: epochs are chosen on the weeks before the cut, never on the tested ones.

    found = choose(system, earlier, seed)      # found.system has the epochs; found.tried says why

What was known some weeks before the cut (`Config.horizon_days`) is learned from in the same way, and the
substitutions of these weeks are its cases. Epochs double until more of them make nothing better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from merchgraph.evals.suites.gmvo_cases import METRICS, Cases
from merchgraph.evals.suites.gmvo_systems import Trained, Trainer
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.gmvo.config import Config
from merchgraph.tools.gmvo.learn import History

EPOCHS = (20, 40, 80, 160, 320)
TITLE = "Epochs, chosen on validation"


class Earlier(NamedTuple):
    """The weeks before the cut: their cases, and systems that learn from what was before them."""

    cases: Cases
    trainer: Trainer


class Length(NamedTuple):
    """A system with the epochs that were chosen.

    Attributes:
        system: with these epochs.
        tried: NDCG on the earlier cases by epochs.
    """

    system: Trained
    tried: Mapping[int, float]


def earlier(told: History, config: Config, data: str) -> Earlier:
    """One horizon before the end of a history.

    Args:
        told: what is known at the cut.
        config: settings of the windows.
        data: names the log and its cut.

    Raises:
        SetupError: no purchase of these weeks replaces an item.
    """
    past = replace(told, end=told.end - config.horizon_days)
    now = past.at(past.end, config)
    cases = Cases.of(now, told.moves, told.end)
    return Earlier(cases, Trainer(f"{data} earlier", lambda: list(past.windows(config)), now))


def choose(system: Trained, before: Earlier, seed: int) -> Length:
    """The system with the epochs of the best NDCG on the earlier cases.

    Args:
        system: whose epochs are free.
        before: where they are chosen.
        seed: of the trainings that choose.
    """
    tried = dict[int, float]()
    for epochs in EPOCHS:
        scores = before.trainer.scores(_with(system, epochs), seed)
        tried[epochs] = float(before.cases.judge(scores)[METRICS[0]].mean())
        if tried[epochs] < max(tried.values()):
            break
    return Length(_with(system, max(tried, key=lambda epochs: tried[epochs])), tried)


def table(found: Sequence[Length]) -> Table:
    """What was tried and what was chosen."""
    rows: list[list[Cell]] = []
    for system, tried in found:
        told = [f"{tried[epochs]:.4f}" if epochs in tried else None for epochs in EPOCHS]
        rows.append([system.name, f"{system.config.epochs}", *told])
    about = (
        f"{METRICS[0]} on the weeks before the cut of systems that knew nothing of them, first seed; "
        "epochs double until more of them make it worse."
    )
    columns = ["system", "chosen", *(f"{epochs} epochs" for epochs in EPOCHS)]
    return Table(title=TITLE, columns=columns, rows=rows, about=about)


def _with(system: Trained, epochs: int) -> Trained:
    return system._replace(config=system.config.model_copy(update={"epochs": epochs}))
