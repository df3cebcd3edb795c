"""What a threshold costs an answer, by the policy of the repair graph and nothing else of it.

    answers = Answers(share=0.3, ratio=2.0, drawn=2_000, seed=0)
    answers.of_faces(0.8).cells[2]      # (2000,) cost of each answer, repaired where p(error) > 0.3

A threshold is what the costs of another ratio would choose; what is counted are the costs of the ratio
that is given. p(error) is that of the place of use: a detector that learnt from as many errors as right
answers is read with the share of errors there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from merchgraph.evals.suites.voice_faces import Watched, seen, walk
from merchgraph.evals.suites.voice_report import Costs
from merchgraph.graphs.voice_repair import Context, Turn
from merchgraph.graphs.voice_repair_policy import decided
from merchgraph.graphs.voice_repair_state import Look, Seen

STEPS = 16
"""Readings of an answer: four a second."""
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_TURN = Turn(asked="A request", answered="An answer", readings=[])


class Answers(NamedTuple):
    """Single answers.

    Attributes:
        share: of them that are wrong.
        ratio: cost of a missed error to that of a needless repair.
        drawn: how many; the same ones for faces of any AUC and at any threshold.
        seed: of the draw.
    """

    share: float
    ratio: float
    drawn: int
    seed: int

    def of_faces(self, auc: float) -> Costs:
        """By evidence of some AUC, see `voice_faces.walk`."""
        wrong, paths = self._faces(auc)
        rows = []
        for threshold in THRESHOLDS:
            context = _at(threshold)
            repaired = [_repairs(path, context) for path in paths]
            rows.append([self._cost(*pair) for pair in zip(wrong, repaired, strict=True)])
        return Costs(f"AUC {auc:g}", rows)

    def of_clips(self, name: str, clips: Watched) -> Costs:
        """By a detector that watched clips; errors weigh as much as their share."""
        count = len(clips.wrong) + len(clips.right)
        weights = self.share * count / len(clips.wrong), (1 - self.share) * count / len(clips.right)
        rows = []
        for threshold in THRESHOLDS:
            context = _at(threshold).model_copy(update={"error_share": self.share})
            after = [weights[0] * self._cost(True, _repairs(clip, context)) for clip in clips.wrong]
            other = [
                weights[1] * self._cost(False, _repairs(clip, context)) for clip in clips.right
            ]
            rows.append(after + other)
        return Costs(name, rows)

    def doubted(self, auc: float) -> float:
        """Share of the answers that are repaired at this ratio."""
        context = Context(cost_ratio=self.ratio)
        return sum(_repairs(path, context) for path in self._faces(auc)[1]) / self.drawn

    def _faces(self, auc: float) -> tuple[list[bool], list[list[Seen]]]:
        rng = np.random.default_rng((self.seed, 1))
        wrong = (rng.random(self.drawn) < self.share).tolist()
        normals, window = rng.standard_normal((self.drawn, STEPS)), Context().watch_s
        drawn = zip(wrong, normals, strict=True)
        return wrong, [seen(walk(auc, self.share, n, wrong=one), window) for one, n in drawn]

    def _cost(self, wrong: bool, repaired: bool) -> float:
        return self.ratio * (wrong and not repaired) + (repaired and not wrong)


def _at(threshold: float) -> Context:
    """The policy with a threshold, which decides in any case."""
    return Context(cost_ratio=(1 - threshold) / threshold, margin=0.0)


def _repairs(readings: Sequence[Seen], context: Context) -> bool:
    look = Look(turn=0, start=0.0, end=context.watch_s)
    return decided(look, _TURN, readings, context).action == "repair"
