"""The sequential networks of the library Cornac, trained in one place for all suites.

    net = fitted("SASRec", rows, Effort(), seed=0)
    net.scores(latest)                                   # (items,) by net.code

Cornac's BERT4Rec predicts the next item at the last place, which its authors found better than masked
items. Both are trained with negatives that a batch shares, its own targets among them, drawn by count: a
score is then that much too low for an item that is bought often, and the more so the longer it learns.
Its log count is added when a score is read (logQ correction, Yi et al. 2019, 10.1145/3298689.3346996).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError

Kind = Literal["SASRec", "BERT4Rec"]
Place = tuple[str, str, str, int]
"""User, sequence, item and place in time."""


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


class Net(NamedTuple):
    """A trained network.

    Attributes:
        model: Cornac's.
        code: item -> Cornac's code, 0 upwards, of each item that it met.
        often: (items,) float64 — log count of each code.
        history: items that a prediction reads.
    """

    model: Any
    code: dict[int, int]
    often: NDArray[np.float64]
    history: int

    def scores(self, latest: Sequence[int]) -> NDArray[np.float64]:
        """(items,) by code: log chances but for a constant, after some items, oldest first."""
        known = [self.code[item] for item in latest if item in self.code]
        found = np.asarray(self.model.score(0, known[-self.history :]), np.float64)
        return found[: len(self.often)] + self.often


def fitted(kind: Kind, rows: Sequence[Place], effort: Effort, seed: int) -> Net:
    """The trained network.

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
    told = SequentialDataset.from_usit(rows, seed=seed)
    model: Any = getattr(models, kind)(
        embedding_dim=effort.width, n_epochs=effort.epochs, max_len=effort.history, num_heads=2,
        batch_size=256, n_sample=512, sample_alpha=1.0, seed=seed,
    )  # fmt: skip
    model.fit(told)
    code = {int(item): place for item, place in told.iid_map.items()}
    counts = np.bincount([code[int(row[2])] for row in rows], minlength=len(code))
    return Net(model, code, np.log(counts), effort.history)
