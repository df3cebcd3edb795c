"""What the ARAG suite reads of a shop: cases, baselines' rankings and the tools' signals.

Nothing is read before it is asked for: a replay asks for nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from merchgraph.evals.baselines.chance import Random
from merchgraph.evals.baselines.recency import Recency
from merchgraph.evals.baselines.sums import FrequencyAndCopurchase, StarLike
from merchgraph.evals.baselines.texts import MaxSimilarity, VanillaRag
from merchgraph.evals.suite import Case
from merchgraph.evals.suites.arag_cases import Fold, Stage, Target, cases, fold
from merchgraph.graphs.fusion import Signal, ToolSignal
from merchgraph.graphs.offers import Request
from merchgraph.tools import trained
from merchgraph.tools.contract import Past, Recommender
from merchgraph.tools.copurchase import CoPurchase
from merchgraph.tools.counts import OwnFrequency, Popularity
from merchgraph.tools.data.shops import shop
from merchgraph.tools.signals import signals
from merchgraph.tools.trained import ToolName

BASELINES: dict[str, tuple[Callable[[], Recommender], str]] = {
    "random": (Random, "chance"),
    "popularity": (Popularity, "purchases before the cut"),
    "own frequency": (OwnFrequency, "how often the household bought it"),
    "recency": (Recency, "nearest to the newest items, by leaf category"),
    "vanilla RAG": (VanillaRag, "cosine with the mean vector"),
    "max similarity": (MaxSimilarity, "cosine with the nearest item of the session"),
    "item-kNN": (CoPurchase, "cosine co-purchase with the session"),
    "STAR-like": (StarLike, "semantic + co-purchase"),
    "own frequency + item-kNN": (FrequencyAndCopurchase, "co-purchase + log frequency"),
}
SIGNALS: tuple[ToolSignal, ...] = ("semantic", "similar", "copurchase", "frequency")
"""The tools' signals that are weighed. Not popularity: negatives are drawn by it, so that a weight
against it would win on these slates and mean nothing in a shop."""
Added = ToolName | Literal["popularity"]
"""What can be weighed beside them: trained tools, and popularity as a control."""


@dataclass
class Shops:
    """A shop at its two cuts, read when first asked."""

    data: str
    targets: Target
    seed: int
    _fitted: dict[str, Recommender] = field(default_factory=dict)

    @cached_property
    def test(self) -> Fold:
        """The cut of the test."""
        return fold(shop(self.data), "test")

    def cases(self, stage: Stage) -> list[Case]:
        """All cases of the test window, or of the week before."""
        setting = self.test if stage == "test" else fold(shop(self.data), stage)
        return cases(setting, self.targets, seed=self.seed)

    def ranked(self, baseline: str, case: Case) -> list[str]:
        """A baseline's order of the slate; equal scores in the slate's order, which is random."""
        if baseline not in self._fitted:
            make, _ = BASELINES[baseline]
            self._fitted[baseline] = make().fit(self.test.items, self.test.train)
        slate = case.request["candidates"]
        scores = self._fitted[baseline].of(_past(case), slate)
        order = sorted(range(len(slate)), key=lambda place: -scores[place])
        return [slate[place] for place in order]

    def signals(self, case: Case, added: Sequence[Added] = ()) -> dict[Signal, list[float]]:
        """The tools' signals of the slate, counted up to the case's cut; and what is added."""
        request, store = Request.model_validate(case.request), shop(self.data)
        slate = request.candidates or []
        found = signals(store, _past(case), slate, request.before)
        tools = [name for name in added if name != "popularity"]
        found |= trained.signals(store, _past(case), slate, tools, request.before)
        return {name: found[name] for name in (*SIGNALS, *added)}

    def fingerprint(self, drawn: Sequence[Case]) -> str:
        """A hash of the cases: two recordings with the same one asked the same questions."""
        text = json.dumps([case.model_dump() for case in drawn], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _past(case: Case) -> Past:
    return Past(case.request["long_term"], case.request["session"])
