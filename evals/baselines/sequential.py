"""SASRec and BERT4Rec of the library Cornac, on the latest purchases of each household.

    sequential("SASRec", cases, Effort(epochs=1), seed=0)     # (N, 10) item codes, best first

A household is one sequence, shuffled inside its journeys, since a basket has no order; the next item is
predicted from the items before it. Lists keep what was bought before. Cornac's BERT4Rec predicts the next
item at the last place, which its authors found better than masked items; both are trained with a shared
sample of negatives.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from merchgraph.evals.baselines.grace import best
from merchgraph.evals.suites.grace_cases import Cases
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.grace.data import Ints, Log

Kind = Literal["SASRec", "BERT4Rec"]
KINDS: tuple[Kind, ...] = ("SASRec", "BERT4Rec")


class Effort(NamedTuple):
    """How much is trained.

    Attributes:
        epochs: passes.
        latest: purchases of each household that are learned from, the newest.
        width: of the vectors.
        history: items that a prediction reads.
    """

    epochs: int = 1
    latest: int = 50
    width: int = 64
    history: int = 40


def sequential(kind: Kind, cases: Cases, effort: Effort, seed: int) -> Ints:
    """Train on the cases' log and list for each household.

    Raises:
        SetupError: Cornac is not installed.
    """
    try:
        from cornac import models
        from cornac.data import SequentialDataset
    except ModuleNotFoundError as error:
        raise SetupError(
            f"{kind} needs the package {error.name!r}, which is not installed: pip install cornac; "
            f"or name other systems (--systems)."
        ) from error
    told = SequentialDataset.from_usit(_rows(cases.log, effort.latest, seed), seed=seed)
    model: Any = getattr(models, kind)(
        embedding_dim=effort.width, n_epochs=effort.epochs, max_len=effort.history, num_heads=2,
        batch_size=256, n_sample=512, seed=seed,
    )  # fmt: skip
    model.fit(told)
    column = np.array([int(item) for item in told.iid_map], dtype=np.int64)
    found = []
    for case in range(len(cases)):
        past = [told.iid_map[str(item)] for item in cases.history(case).item[-effort.history :]
                if str(item) in told.iid_map]  # fmt: skip
        scores = np.full(len(cases.log.goods.items), -np.inf)
        scores[column] = np.asarray(model.score(0, past))[: len(column)]
        found.append(best(scores))
    return np.stack(found)


def _rows(log: Log, latest: int, seed: int) -> list[tuple[str, str, str, int]]:
    """user, sequence, item and place of the newest purchases of each household."""
    rng = np.random.default_rng(seed)
    journey = np.repeat(np.arange(len(log.user)), np.diff(log.starts))
    order = np.lexsort((rng.random(len(log.item)), journey))
    owner = log.user[journey]
    left = np.bincount(owner)[owner] - (np.arange(len(owner)) - np.searchsorted(owner, owner))
    rows = []
    for place, source in enumerate(order):
        if left[place] <= latest:
            user = str(owner[place])
            rows.append((user, user, str(log.item[source]), place))
    return rows
