"""Traps and models of errors from faces, side by side on the same clips, each person held out.

compared("My clips", cut_clips(clips), "12 people, 300 answers.", progress)
clocks({"My clips": cut})           # how much goes with the place in the video, and what the guard leaves
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from merchgraph.evals.baselines.reactions import Boosting, Majority, Traps
from merchgraph.evals.extra import bench
from merchgraph.evals.suites.reactions_metrics import MEASURES, Scored
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.reactions.cuts import Cut
from merchgraph.tools.reactions.gru import Gru
from merchgraph.tools.reactions.model import Fusion, Logistic, Mil, Scorer, correlations, guarded
from merchgraph.tools.reactions.windows import Floats

Make = Callable[[], Scorer]
Progress = Callable[[int, int], None]
Tell = Callable[[str], Progress]
TRAPS: Mapping[str, Make] = {
    "majority": Majority,
    "length only": lambda: Traps("frames"),
    "position only": lambda: Traps("place", "middle"),
}
MODELS: Mapping[str, Make] = {
    "logistic": Logistic,
    "boosting": Boosting,
    "MIL log-sum-exp": Mil,
    "GRU, attention": Gru,
    "fusion": Fusion,
}
REFERENCE = "position only"


def held_out(make: Make, cut: Cut) -> Floats:
    """(N,) probability of each clip by a model of all other people."""
    p = np.zeros(len(cut))
    for person in np.unique(cut.person):
        own = cut.person == person
        p[own] = make().fit(cut[~own]).p(cut[own])
    return p


def compared(title: str, cut: Cut, about: str, progress: Progress) -> Table:
    """Traps and models on the same clips."""
    makes = {**TRAPS, **MODELS}
    found: dict[str, Scored] = {}
    for done, (name, make) in enumerate(makes.items(), start=1):
        found[name] = Scored.of(held_out(make, cut), cut.error, cut.person)
        progress(done, len(makes))
    rows: list[list[Cell]] = []
    for name, scored in found.items():
        means = scored.means()
        gap = None if name == REFERENCE else scored.minus(found[REFERENCE])
        rows.append([name, *(means[measure] for measure in MEASURES), gap])
    columns = ["system", *MEASURES, f"AUC minus {REFERENCE}"]
    return Table(title=title, columns=columns, rows=rows, about=about)


def clocks(cuts: Mapping[str, Cut]) -> Table:
    """How much of the summaries goes with the place in the video, before the guard and after it."""
    rows: list[list[Cell]] = []
    for title, cut in cuts.items():
        told = cut.told.mean((1, 2))
        kept = guarded(told, cut.error, cut.clues)
        within = told - np.where(cut.error[:, None] > 0, told[cut.error > 0].mean(0),
                                 told[cut.error == 0].mean(0))  # fmt: skip
        sizes = np.max([_within(within, cut, clue) for clue in ("place", "middle")], axis=0)
        rows.append(
            [title, len(kept), int((~kept).sum()), float(sizes.max()), float(sizes[kept].max())]
        )
    return Table(
        title="Place in the video",
        columns=["clips", "summaries", "dropped", "greatest |corr|", "greatest left"],
        rows=rows,
        about="|corr| of a summary with the place in the video or closeness to its middle, within each "
        "label; above .30 it is dropped. Each model does so again on its own training people.",
    )


def _within(told: Floats, cut: Cut, clue: str) -> Floats:
    values = cut.clues[clue]
    means = np.where(cut.error > 0, values[cut.error > 0].mean(), values[cut.error == 0].mean())
    return correlations(told, values - means)


@contextmanager
def one_thread() -> Iterator[None]:
    """Small products of matrices: threads would wait for each other, ten times as long."""
    with bench("This suite"):
        # the threads of a package are held back only if it is there already
        import sklearn.ensemble  # noqa: F401
        import torch  # noqa: F401
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    with threadpool_limits(1):
        yield
