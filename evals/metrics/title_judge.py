"""The held-out judge of titles: P(a title is true of an item), by meaning and words, calibrated.

    P = 1 / (1 + exp(-(bias + a * cosine + b * words)))          a, b >= 0

cosine: between the embeddings of the title and of the item's text; of a title in parts ("Tea & jam")
the best one's, since each item needs to be in one part only. words: the share of a part's content
words, in any form, that the item's text has, weighed by their rarity in the catalogue, with `COMMON`
added to the whole, so that a part of words that most items have counts for little; of the best part
again. Weights are never negative, so P never falls when either rises.

The weights are fitted on the catalogue's own labels as titles (`title_pairs.py`), on other categories
than those that AUC, Brier score and calibration error are measured on. The judge never drives a loop,
but it is not independent of what does: CARTS clusters features with the same embedder, and its check
`evidence` looks for words too. Where a strong model can be had, let that judge (`TitleJudge`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import regex
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from merchgraph.evals.extra import bench
from merchgraph.evals.metrics.ranking import auc
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.copy_rules.word_lists import FUNCTION
from merchgraph.tools.text import stem, stems

THRESHOLD = 0.5
"""P from which a title counts as true of an item: the pairs of the fit are half true, half false."""
COMMON = 2.0
"""Added to the rarity of a part's words: one that says only what most items are says little of any."""
BINS = 10
"""Of the expected calibration error."""
FEWEST = 20
"""Pairs that a fit needs at least."""
_SEPARATOR = regex.compile(r"\s*(?:[&,;+|]|\b(?:and|or|plus)\b)\s*", regex.I)
_EMPTY = frozenset(stem(word) for word in FUNCTION)
_RIDGE = 1.0

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
Floats = NDArray[np.float64]


class Pair(NamedTuple):
    """A title, an item's text, and whether the one is true of the other."""

    title: str
    text: str
    true: bool


class Calibration(BaseModel):
    """The judge's weights, and how good it is where it was not fitted.

    Attributes:
        auc: chance that a true pair gets a higher P than a false one.
        brier: mean squared error of P.
        ece: mean distance of P from the share of true pairs, over tenths of P.
        recall, false_alarms: shares of true and of false pairs with a P from the threshold on.
        fitted, measured: pairs of the fit, and of the five measures.
    """

    model_config = ConfigDict(frozen=True)

    bias: float
    cosine: float
    words: float
    auc: float = math.nan
    brier: float = math.nan
    ece: float = math.nan
    recall: float = math.nan
    false_alarms: float = math.nan
    fitted: int = 0
    measured: int = 0

    def odds(self, signals: Floats) -> Floats:
        """(N,) P of the signals (N, 2), columns cosine and words."""
        told: Floats = 1 / (1 + np.exp(-(self.bias + signals @ [self.cosine, self.words])))
        return told

    def told(self) -> str:
        """One sentence for a report."""
        return (
            f"Held-out judge (text embedding and words, true from P = {THRESHOLD}): fitted on "
            f"{self.fitted:,} pairs of catalogue labels and items; on {self.measured:,} pairs of other "
            f"categories AUC {self.auc:.3f}, Brier {self.brier:.3f}, calibration error {self.ece:.3f}, "
            f"recall {self.recall:.2f} at {self.false_alarms:.2f} false alarms."
        )


@dataclass(frozen=True)
class Reader:
    """What is seen of a title and a text.

    Attributes:
        seen: stem -> number of the catalogue's texts that have it.
        texts: how many texts there are.
        embed: (N, D) vectors with rows of length 1.
    """

    seen: Mapping[str, int]
    texts: int
    embed: Embed

    @classmethod
    def of(cls, texts: Sequence[str], embed: Embed) -> Reader:
        """A reader that knows how rare words are among some texts."""
        seen: dict[str, int] = {}
        for text in texts:
            for form in set(stems(text)):
                seen[form] = seen.get(form, 0) + 1
        return cls(seen, len(texts), embed)

    def signals(self, pairs: Iterable[tuple[str, str]]) -> Floats:
        """(N, 2) cosine and words of pairs (title, text)."""
        pairs = list(pairs)
        needed = dict.fromkeys(each for title, text in pairs for each in (text, *parts(title)))
        vectors = dict(zip(needed, self.embed(list(needed)), strict=True)) if needed else {}
        rows = [
            (
                max((float(vectors[part] @ vectors[text]) for part in parts(title)), default=0.0),
                self.words(title, text),
            )
            for title, text in pairs
        ]
        return np.asarray(rows, np.float64).reshape(-1, 2)

    def words(self, title: str, text: str) -> float:
        """Weighted share of content words that the text has, of the title's best part, in [0, 1]."""
        there, best = set(stems(text)), 0.0
        for part in parts(title):
            said = [form for form in stems(part) if form not in _EMPTY]
            whole = math.fsum(map(self._rarity, said))
            if whole:
                shared = math.fsum(self._rarity(form) for form in said if form in there)
                best = max(best, shared / (whole + COMMON))
        return best

    def _rarity(self, form: str) -> float:
        return math.log((self.texts + 1) / (self.seen.get(form, 0) + 0.5))


@dataclass(frozen=True)
class HeldOutJudge:
    """The judge, ready to be asked."""

    reader: Reader
    calibration: Calibration

    def truth(self, title: str, texts: Sequence[str]) -> list[float]:
        """P(the title is true) of each text, in [0, 1]."""
        signals = self.reader.signals((title, text) for text in texts)
        odds: list[float] = self.calibration.odds(signals).round(6).tolist()
        return odds


def parts(title: str) -> list[str]:
    """The title, and its parts between "&", "and", "or", "plus" and commas; none of a blank one."""
    pieces = [title.strip(), *(piece.strip() for piece in _SEPARATOR.split(title))]
    return list(dict.fromkeys(filter(None, pieces)))


def calibrate(reader: Reader, fit: Sequence[Pair], measure: Sequence[Pair]) -> Calibration:
    """Fit the weights on some pairs, and measure on others what they are worth.

    Raises:
        SetupError: too few pairs, or all of one kind.
    """
    for pairs in (fit, measure):
        true = sum(pair.true for pair in pairs)
        if len(pairs) < FEWEST or not 0 < true < len(pairs):
            raise SetupError(
                f"The held-out judge has {true} true and {len(pairs) - true} false pairs of label and "
                f"item to learn from, but needs {FEWEST} of both kinds; give a catalogue with more "
                "categories, or let a model judge (judge=PROVIDER/MODEL)."
            )
    found = _fitted(reader.signals((pair.title, pair.text) for pair in fit), _truth(fit))
    odds = found.odds(reader.signals((pair.title, pair.text) for pair in measure))
    truth = _truth(measure)
    called = odds >= THRESHOLD
    measured = {
        "auc": _auc(odds, measure), "brier": float(np.mean((odds - truth) ** 2)),
        "ece": calibration_error(odds, truth), "recall": float(called[truth == 1].mean()),
        "false_alarms": float(called[truth == 0].mean()),
    }  # fmt: skip
    rounded = {name: round(value, 6) for name, value in measured.items()}
    return found.model_copy(update={**rounded, "fitted": len(fit), "measured": len(measure)})


def calibration_error(odds: Floats, truth: Floats) -> float:
    """Expected calibration error: |mean P - share of true| over tenths of P, weighed by their pairs."""
    tenth = np.minimum((odds * BINS).astype(int), BINS - 1)
    gaps = [
        abs(float(odds[tenth == n].mean() - truth[tenth == n].mean())) * float((tenth == n).mean())
        for n in np.unique(tenth)
    ]
    return math.fsum(gaps)


def _truth(pairs: Sequence[Pair]) -> Floats:
    return np.asarray([pair.true for pair in pairs], np.float64)


def _fitted(signals: Floats, truth: Floats) -> Calibration:
    """Logistic regression with weights that are 0 or more, on a small ridge."""
    with bench("The held-out judge"):
        from scipy.optimize import minimize
    table = np.column_stack([np.ones(len(signals)), signals])

    def loss(weights: Floats) -> tuple[float, Floats]:
        score = table @ weights
        odds = 1 / (1 + np.exp(-score))
        ridge = _RIDGE * np.array([0.0, *weights[1:]])
        value = float(np.sum(np.logaddexp(0, score) - truth * score) + ridge @ weights / 2)
        return value, table.T @ (odds - truth) + ridge

    bounds = [(None, None), (0, None), (0, None)]
    found = minimize(loss, np.zeros(3), jac=True, bounds=bounds, method="L-BFGS-B").x
    bias, cosine, words = (round(float(weight), 6) for weight in found)
    return Calibration(bias=bias, cosine=cosine, words=words)


def _auc(odds: Floats, pairs: Sequence[Pair]) -> float:
    scores = {f"{n}": float(one) for n, one in enumerate(odds)}
    return auc(scores, {f"{n}" for n, pair in enumerate(pairs) if pair.true})
