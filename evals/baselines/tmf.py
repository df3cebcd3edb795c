"""Who orders a slate of the TMF suite without a language model: counts, and a graph.

    popularity       rows of the log before the cut
    own frequency    how often the household took it; of equal ones the popular
    LightGCN         household times item under the behaviour that is asked for

Sizes: C candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.tmf.data import Question
from merchgraph.tools.tmf.goods import Goods
from merchgraph.tools.tmf.items import Known

Ranker = Callable[[Goods, Known, Question], NDArray[np.float64]]
"""(C,) larger is better."""


def popularity(kept: Goods, known: Known, question: Question) -> NDArray[np.float64]:
    """Counts before the cut."""
    return kept.counts[question.slate].astype(np.float64)


def own_frequency(kept: Goods, known: Known, question: Question) -> NDArray[np.float64]:
    """The household's rows; popularity, below 1, decides between equal ones."""
    mine = np.bincount(question.trail.items, minlength=len(kept))[question.slate]
    return np.asarray(mine + popularity(kept, known, question) / (1 + kept.counts.max()))


def light_gcn(kept: Goods, known: Known, question: Question) -> NDArray[np.float64]:
    """The household folded in from its trail, as the tool's graph modality has it."""
    found = known.relations.affinities(question.trail, question.slate)[question.asked]
    return found.astype(np.float64)


RANKERS: Mapping[str, tuple[Ranker, str]] = {
    "popularity": (popularity, "rows of the log before the cut"),
    "own frequency": (own_frequency, "how often the household took it, then popularity"),
    "LightGCN": (light_gcn, "the graph modality's own ranking"),
}
