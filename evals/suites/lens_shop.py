"""What the lens suite reads of a shop: households with a next purchase, what baselines learn, likenesses.

Nothing is read before it is asked for: a replay asks for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from merchgraph.evals.baselines.next_purchase import Learnt, learn
from merchgraph.evals.suite import Case
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.shops import shop
from merchgraph.tools.data.tables import Shop
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.histories import Episode, histories, last_weeks
from merchgraph.tools.next_purchase import bought, candidates

FOLDS, APART = 3, timedelta(weeks=4)
"""Earlier cuts whose questions the fitted baseline learns from, and the time between two cuts."""
DECIMALS = 4


class Likeness(BaseModel):
    """Cosines between items' names.

    Attributes:
        items: N names.
        cosines: (N, N), rows and columns in the order of `items`, at least 0.
    """

    model_config = ConfigDict(frozen=True)

    items: list[str]
    cosines: list[list[float]]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {item: place for place, item in enumerate(self.items)}

    def of(self, one: str, other: str) -> float:
        """In [0, 1]; 1 for the same item, 0 where a name is unknown."""
        if one == other:
            return 1.0
        if one not in self._place or other not in self._place:
            return 0.0
        return self.cosines[self._place[one]][self._place[other]]


@dataclass
class Households:
    """The households of a shop that have a whole history and a purchase after it.

    Attributes:
        size: candidates of a question.
        seed: of the candidates.
    """

    data: str
    size: int
    seed: int

    @cached_property
    def store(self) -> Shop:
        """The shop."""
        return shop(self.data)

    @cached_property
    def episodes(self) -> list[Episode]:
        """Of the test: the last four weeks."""
        return histories(self.store)

    @cached_property
    def popular(self) -> dict[str, int]:
        """What other candidates are drawn by."""
        return bought(self.episodes)

    def cases(self) -> list[Case]:
        """One question per household.

        Raises:
            SetupError: no household has a whole history, or too few items for its candidates.
        """
        return [self._case(episode) for episode in self.episodes]

    def _case(self, episode: Episode) -> Case:
        history, truth = episode.history, episode.next.item
        offered = candidates(episode, self.popular, size=self.size, seed=self.seed)
        return Case(
            id=history.user,
            segment="bought before" if truth in history.items else "new",
            request={"history": history.model_dump(mode="json"), "candidates": list(offered)},
            truth={"item": truth},
        )

    def learnt(self) -> Learnt:
        """What the baselines know: counts before the test's cut, weights of the 12 weeks before it.

        A log that is too short for an earlier cut has no questions there.
        """
        earlier = []
        for fold in range(1, FOLDS + 1):
            with suppress(SetupError):
                before = last_weeks(self.store) - fold * APART
                earlier.append(histories(self.store, before=before))
        return learn(self.episodes, earlier, size=self.size, seed=self.seed)

    def likeness(self) -> Likeness:
        """Of all items that can be candidates."""
        return likeness([*self.popular, *(episode.next.item for episode in self.episodes)])


def likeness(names: Sequence[str]) -> Likeness:
    """Cosines between the embedded names; negative ones are 0."""
    items = sorted(set(names))
    vectors = Embedder().embed(items)
    cosines = (vectors @ vectors.T).clip(0, 1)
    return Likeness(
        items=items,
        cosines=[[round(float(value), DECIMALS) for value in row] for row in cosines],
    )
