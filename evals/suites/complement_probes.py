"""What else the item vectors know: an item's kind, and where an item that nobody bought yet belongs.

Both are tasks of the paper (its product classification, and section 3.5). Classification is done with
context tokens that do not hold the answer: brand, seller and price only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.evals.extra import bench
from merchgraph.evals.metrics.bootstrap import mean
from merchgraph.evals.suites.complement_systems import LONG, Asked, config_of, fitted
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.complement.config import Config, Source
from merchgraph.tools.complement.data import Log, item_tokens
from merchgraph.tools.complement.holdout import Case, Placed, placed
from merchgraph.tools.complement.model import Model
from merchgraph.tools.data.tables import Shop

LEVELS = {"department": 0, "category": 1}
FEWEST = 10
"""Items of a kind below which it is no label."""
GRID = (0.01, 0.1, 1.0, 10.0)
HIDDEN = 0.1
"""Share of the items that are taken out of the log to be cold."""
TOLD: tuple[Source, ...] = ("brand", "seller", "price")
Vectors = NDArray[np.floating]


def classified(store: Shop, asked: Asked, seed: int) -> Table | None:
    """F1 of a logistic regression on item vectors, half of the items as labels; None without kinds."""
    kinds = _kinds(store, asked.log)
    if not kinds:
        return None
    runs = {
        "full": config_of(asked.shop, "full").with_(tokens=TOLD),
        "no user": Config(**LONG).with_(context=True, tokens=TOLD),
        "no context": config_of(asked.shop, "no context"),
        "items alone": Config(**LONG),
        "items alone, k = 2": Config(**LONG).with_(history=2),
    }
    rows: list[list[Cell]] = []
    told = _with_tokens(asked, TOLD)
    for name, config in runs.items():
        vectors = fitted(told, config.with_(seed=seed)).item_in
        rows.append([name, *(f1 for labels in kinds.values() for f1 in scored(vectors, labels))])
    heads = [f"{level}, {average}" for level in kinds for average in ("micro F1", "macro F1")]
    return Table(
        title="Product classification",
        columns=["vectors", *heads],
        rows=rows,
        about=f"Logistic regression on item-in, half of the {len(asked.log.items):,} items learned on, "
        f"its strength by 5-fold cross-validation on the departments; kinds of {FEWEST} items or more. "
        "Tokens are brand, seller and price: none holds the answer.",
    )


def scored(vectors: Vectors, labels: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """Micro and macro F1 of the half that was not learned on; "" is no label."""
    with bench("Classification"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score
        from sklearn.model_selection import GridSearchCV
        from sklearn.multiclass import OneVsRestClassifier
    names, numbers, counts = np.unique(np.array(labels), return_inverse=True, return_counts=True)
    rows = np.flatnonzero((names[numbers] != "") & (counts[numbers] >= FEWEST))
    rows = np.random.default_rng(seed).permutation(rows)
    learn, test = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    scaled = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    one = OneVsRestClassifier(LogisticRegression(solver="liblinear", C=GRID[-1]))
    if len(set(numbers[rows])) < 50:  # the fine labels' grid would take an hour
        one = GridSearchCV(one, {"estimator__C": GRID}, cv=5, scoring="f1_micro")
    found = one.fit(scaled[learn], numbers[learn]).predict(scaled[test])
    micro, macro = (
        f1_score(numbers[test], found, average=kind, zero_division=0.0)
        for kind in ("micro", "macro")
    )
    return float(micro), float(macro)


def cold(asked: Asked, seed: int) -> Table | None:
    """Items taken out of the log, placed by their tokens: what goes with each, in the test baskets."""
    config = Config(**LONG).with_(context=True, seed=seed)
    rng = np.random.default_rng(seed)
    hidden = np.zeros(len(asked.log.items), dtype=np.bool_)
    hidden[rng.permutation(len(hidden))[: int(HIDDEN * len(hidden))]] = True
    cases = [
        Case([item], {}, case.target)
        for case in asked.cases
        for item in [item for item in case.session if hidden[item]][:1]
        if not hidden[case.target]
    ]
    if not cases or not asked.log.tokens.names:
        return None
    warm, left = fitted(asked.log, config), without(asked.log, hidden)
    model = fitted(left, config)
    items = sorted({case.session[0] for case in cases})
    known = np.flatnonzero(~hidden)
    ways = {
        "trained with it": warm.item_in[items] @ warm.item_out.T,
        "by its tokens (eq. 9)": _inferred(asked.log, model, items) @ model.item_out.T,
        "nearest item's vector, by Jaccard": model.item_in[
            [twin(asked.log, item, known) for item in items]
        ] @ model.item_out.T,
        "popularity": np.broadcast_to(left.counts, (len(items), len(hidden))),
    }  # fmt: skip
    rows: list[list[Cell]] = []
    for name, scores in ways.items():
        found = among(known, scores[np.searchsorted(items, [c.session[0] for c in cases])], cases)
        rows.append([name, len(cases), mean(found.ndcg.tolist()), mean(found.auc.tolist())])
    return Table(
        title="Cold start",
        columns=["vector of the cold item", "n", "NDCG@10", "AUC"],
        rows=rows,
        about=f"{HIDDEN:.0%} of the items are taken out of the log; a test basket's item is looked for "
        f"from one cold item of the same basket, among the {len(known):,} that are left. Criterion 1 "
        "throughout.",
    )


def among(
    known: NDArray[np.int64], scores: NDArray[np.number[Any]], asked: Sequence[Case]
) -> Placed:
    """Where targets stand among the known items alone.

    Args:
        known: (K,) columns, ascending; they hold the targets and nothing of the sessions.
        scores: (C, I).
        asked: C cases.
    """
    moved = [Case([], {}, int(np.searchsorted(known, case.target))) for case in asked]
    return placed(scores[:, known].astype(np.float64), moved)


def without(log: Log, hidden: NDArray[np.bool_]) -> Log:
    """The log as if some items were never bought; they keep their columns and tokens."""
    kept = ~hidden[log.rows]
    ends = np.concatenate([[0], np.cumsum(kept)])[log.ends]
    return Log(log.items, log.users, log.rows[kept], ends.astype(np.int64), log.user_of,
               log.tokens, log.user_tokens)  # fmt: skip


def twin(log: Log, item: int, known: NDArray[np.int64]) -> int:
    """The known item whose tokens are most alike, by Jaccard's index; the first of equal ones."""
    mine = np.zeros(len(log.tokens.names))
    mine[log.tokens.row(item)] = 1
    shared = np.add.reduceat(np.append(mine[log.tokens.of], 0), log.tokens.ends[:-1])
    sizes = np.diff(log.tokens.ends)
    shared = np.where(sizes > 0, shared, 0)
    alike = shared / np.maximum(sizes + mine.sum() - shared, 1)
    return int(known[np.argmax(alike[known])])


def _inferred(log: Log, model: Model, items: Sequence[int]) -> Vectors:
    counts = np.bincount(log.tokens.of, minlength=len(log.tokens.names))
    return np.stack([model.cold(log.tokens.row(item).tolist(), counts) for item in items])


def _kinds(store: Shop, log: Log) -> dict[str, list[str]]:
    """Level -> kind of each item of the log; levels without two large kinds are left out."""
    paths = dict(store.items.frame.select("item", "category").iter_rows())
    parts = [paths[item].split(" > ") for item in log.items]
    kinds = {
        name: [path[level] if len(path) > level else "" for path in parts]
        for name, level in LEVELS.items()
    }
    sizes = {name: Counter(label for label in labels if label) for name, labels in kinds.items()}
    large = {name: sum(n >= FEWEST for n in counts.values()) for name, counts in sizes.items()}
    return {name: labels for name, labels in kinds.items() if large[name] > 1}


def _with_tokens(asked: Asked, sources: tuple[Source, ...]) -> Log:
    """The same log, told by other tokens."""
    order = pl.DataFrame({"item": asked.log.items})
    rows = order.join(asked.given.items.frame, on="item", how="left", maintain_order="left")
    return replace(asked.log, tokens=item_tokens(rows, sources))
