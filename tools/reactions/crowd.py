"""What people say who watch clips without sound: the ceiling that a model is held against.

    told = judged(read_ratings(Path("FOLDER")), truth)     # accuracy, kappa, Dawid-Skene, AUC
    ratings = emulated(planted, raters=5)                   # made-up raters of made-up people

A rater says of each clip "error", "fine" or "unsure". Five raters a clip are what we propose; the paper's
number is not known to us. Sizes: N clips, R raters, 3 answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.reactions.data import RATINGS_FILE, read_table
from merchgraph.tools.reactions.made import Planted
from merchgraph.tools.reactions.windows import Floats

Answer = Literal["error", "fine", "unsure"]
ANSWERS: tuple[str, ...] = get_args(Answer)
VOTE = {"error": 1.0, "fine": 0.0, "unsure": 0.5}
COLUMNS = ("clip", "rater", "answer")
ROUNDS = 100
SEEN = 0.7
"""Strength of a reaction that an emulated rater sees half of the time; our choice, as is the next."""
FALSE = 0.15
"""Share of clips without a reaction in which an emulated rater sees one."""


class Rating(NamedTuple):
    """What one rater said of one clip."""

    clip: str
    rater: str
    answer: str


class Judged(NamedTuple):
    """How right and how agreed the raters are.

    Attributes:
        accuracy: of the mean vote, a tie counting half.
        single: of one rater, unsure counting half.
        kappa: Fleiss' kappa of all answers, NaN where all are the same.
        auc: of the mean vote, NaN where the clips are of one label.
        dawid_skene: accuracy of the label that is likelier under Dawid and Skene's model.
        roc: (false alarms, hits) of each threshold of the mean vote.
    """

    clips: int
    raters: int
    accuracy: float
    single: float
    kappa: float
    auc: float
    dawid_skene: float
    roc: list[tuple[float, float]]


def judged(ratings: Sequence[Rating], truth: Mapping[str, bool]) -> Judged:
    """Hold the ratings against the truth.

    Args:
        ratings: those of clips without a truth are left out.
        truth: clip -> whether the assistant erred.

    Raises:
        DataError: no rating is of a clip with a truth.
    """
    kept = [rating for rating in ratings if rating.clip in truth]
    if not kept:
        raise DataError("No rating is of a labelled clip; rate some by merchgraph data rate.")
    clips = sorted({rating.clip for rating in kept})
    error = np.array([truth[clip] for clip in clips])
    votes = np.array([VOTE[rating.answer] for rating in kept])
    at = np.array([clips.index(rating.clip) for rating in kept])
    mean = np.bincount(at, votes) / np.bincount(at)
    likely = dawid_skene(kept, clips)
    return Judged(
        clips=len(clips),
        raters=len({rating.rater for rating in kept}),
        accuracy=_right(mean, error),
        single=_right(votes, error[at]),
        kappa=fleiss(kept, clips),
        auc=auc(mean, error),
        dawid_skene=_right(likely, error),
        roc=roc(mean, error),
    )


def fleiss(ratings: Sequence[Rating], clips: Sequence[str]) -> float:
    """Fleiss' kappa over the clips that at least two raters answered (Fleiss 1971, eq. 1 to 7)."""
    counts = np.zeros((len(clips), len(ANSWERS)))
    for rating in ratings:
        counts[clips.index(rating.clip), ANSWERS.index(rating.answer)] += 1
    counts = counts[counts.sum(1) > 1]
    if not len(counts):
        return float("nan")
    n = counts.sum(1)
    agreed = ((counts * (counts - 1)).sum(1) / (n * (n - 1))).mean()
    by_chance = ((counts.sum(0) / counts.sum()) ** 2).sum()
    return float((agreed - by_chance) / (1 - by_chance)) if by_chance < 1 else float("nan")


def dawid_skene(ratings: Sequence[Rating], clips: Sequence[str]) -> Floats:
    """(N,) probability of an error: each rater has a table of mistakes of their own, found by EM.

    Dawid and Skene 1979 (doi:10.2307/2346806), two labels, three answers, one pseudo-count a cell. It
    begins with the mean votes, which fixes which of both labels is the error.
    """
    raters = sorted({rating.rater for rating in ratings})
    said = np.zeros((len(clips), len(raters), len(ANSWERS)))
    for rating in ratings:
        at = clips.index(rating.clip), raters.index(rating.rater), ANSWERS.index(rating.answer)
        said[at] = 1.0
    votes = said @ np.array([VOTE[answer] for answer in ANSWERS])
    p = votes.sum(1) / said.sum((1, 2))
    for _ in range(ROUNDS):
        labels = np.stack([1 - p, p], axis=1)
        tables = np.einsum("nl,nra->rla", labels, said) + 1.0
        tables /= tables.sum(-1, keepdims=True)
        prior = np.log((labels.sum(0) + 1) / (len(clips) + 2))
        logs = prior + np.einsum("nra,rla->nl", said, np.log(tables))
        p = 1 / (1 + np.exp(np.clip(logs[:, 0] - logs[:, 1], -500, 500)))
    return np.asarray(p)


def auc(score: Floats, error: NDArray[np.bool_]) -> float:
    """Chance that an error scores higher than another clip, ties counting half; NaN without both."""
    if error.all() or not error.any():
        return float("nan")
    gap = score[error][:, None] - score[~error][None]
    return float(((np.sign(gap) + 1) / 2).mean())


def roc(score: Floats, error: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """(false alarms, hits) from the highest threshold to the lowest; empty without both labels."""
    if error.all() or not error.any():
        return []
    cuts = [np.inf, *sorted(set(score.tolist()), reverse=True)]
    return [(float((score[~error] >= c).mean()), float((score[error] >= c).mean())) for c in cuts]


def emulated(
    planted: Mapping[str, Planted | None], *, raters: int = 5, seed: int = 0
) -> list[Rating]:
    """Ratings of made-up clips by raters who see a reaction the likelier, the stronger it is."""
    rng = np.random.default_rng(seed)
    keen = rng.normal(0.0, 0.3, raters)
    made: list[Rating] = []
    for clip, reaction in planted.items():
        strength = reaction.strength if reaction else 0.0
        shown = strength**2 / (strength**2 + SEEN**2)
        for rater in range(raters):
            p = float(np.clip(FALSE + (1 - FALSE) * shown + 0.3 * keen[rater], 0.02, 0.98))
            sees, sure = rng.random() < p, float(abs(2 * p - 1))
            unsure = rng.random() < 0.2 * (1 - sure)
            answer = "unsure" if unsure else "error" if sees else "fine"
            made.append(Rating(clip, f"r{rater}", answer))
    return made


def read_ratings(folder: Path) -> list[Rating]:
    """The ratings that `merchgraph data rate` collected in a folder of clips.

    Raises:
        SetupError: there are none.
        DataError: the file breaks its form; the message names the column and the row.
    """
    file = folder / RATINGS_FILE
    if not file.is_file():
        raise SetupError(f"There is no {str(file)!r}; rate clips by merchgraph data rate {folder}.")
    table = read_table(file, COLUMNS).select(COLUMNS)
    return [_rating(cells, n, file) for n, cells in enumerate(table.rows(), 1)]


def _rating(cells: Sequence[str | None], n: int, file: Path) -> Rating:
    clip, rater, answer = ((cell or "").strip() for cell in cells)
    if answer not in ANSWERS:
        raise DataError(
            f"{file}, column 'answer', row {n}: {answer!r}; one of {', '.join(ANSWERS)} is expected."
        )
    return Rating(clip, rater, answer)


def _right(p: Floats, error: NDArray[np.bool_]) -> float:
    """Share of clips on the right side of a half; a half counts half."""
    side = (np.sign(np.round(p - 0.5, 9)) + 1) / 2
    return float(np.where(error, side, 1 - side).mean())
