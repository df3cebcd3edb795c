"""The sequential networks of the library Cornac, trained in one place for all suites.

    model, code = fitted("SASRec", rows, Effort(epochs=1), seed=0)
    model.score(0, [code[item] for item in latest])      # (items,) by Cornac's own codes

Cornac's BERT4Rec predicts the next item at the last place, which its authors found better than masked
items; both networks are trained with a shared sample of negatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

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


def fitted(
    kind: Kind, rows: Sequence[Place], effort: Effort, seed: int
) -> tuple[Any, dict[int, int]]:
    """The trained network, and its code of each item that it met.

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
        batch_size=256, n_sample=512, seed=seed,
    )  # fmt: skip
    model.fit(told)
    return model, {int(item): place for item, place in told.iid_map.items()}
