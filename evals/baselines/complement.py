"""Rivals of the complement tool: counts, neighbours, and gensim's item2vec.

Each is a function of a log that returns scores (C, I) of cases, larger better. Sizes: C cases, I items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from merchgraph.evals.extra import bench
from merchgraph.tools.complement.data import Log
from merchgraph.tools.complement.holdout import Case

if TYPE_CHECKING:
    from gensim.models import Word2Vec
    from scipy.sparse import csr_array

Scores = NDArray[np.float64]
Scorer = Callable[[Sequence[Case]], Scores]
SHRINK = 10
"""Of PMI: n / (n + 10) of n baskets with both items."""


def popularity(log: Log) -> Scorer:
    """Baskets that hold the item."""
    counts = log.counts.astype(np.float64)
    return lambda asked: np.broadcast_to(counts, (len(asked), len(counts))).copy()


def own_frequency(log: Log) -> Scorer:
    """Own earlier purchases; between equals the popularity."""
    shares = log.counts / (1 + log.counts.max())
    return lambda asked: _own(asked, len(shares)) + shares


def cosine(log: Log, *, sized: bool = True, own: float = 0.0) -> Scorer:
    """Sums of basket cosines with the session.

    Args:
        log: what is counted.
        sized: a basket of n items weighs 1/n.
        own: weight of log(1 + own earlier purchases).
    """
    sizes = np.diff(log.ends)
    table = _baskets(log)
    if sized:
        table.data = (1 / np.sqrt(sizes))[np.repeat(np.arange(len(sizes)), sizes)]
    lengths = np.sqrt(np.bincount(log.rows, table.data**2, minlength=len(log.items)))
    table.data = table.data / np.maximum(lengths, 1e-12)[log.rows]
    return _neighbours(table.T.tocsr() @ table, own)


def pmi(log: Log) -> Scorer:
    """Sums of positive pointwise mutual information, shrunk by n / (n + 10)."""
    table = _baskets(log)
    together = (table.T.tocsr() @ table).tocoo()
    counts = log.counts.astype(np.float64)
    chance = counts[together.row] * counts[together.col] / (len(log.ends) - 1)
    values = np.maximum(np.log(together.data / chance), 0)
    together.data = values * together.data / (together.data + SHRINK)
    return _neighbours(together.tocsr(), 0.0)


def item2vec(log: Log, seed: int, *, threads: int = 2) -> Scorer:
    """gensim's skip-gram over shuffled baskets, in-out products with the mean of the session.

    Barkan and Koenigstein 2016 (arXiv 1603.04259); width 64, window 5, 5 negatives, 10 epochs, negatives
    by count^0.75: that package's and that paper's usual settings. An item that is only bought alone has
    zeros.
    """
    model = skip_gram(log, seed, epochs=10, threads=threads)
    met = np.array([int(name) for name in model.wv.index_to_key])
    inside, outside = np.zeros((2, len(log.items), model.vector_size), np.float32)
    inside[met], outside[met] = model.wv.vectors, model.syn1neg
    return lambda asked: np.stack(
        [outside @ inside[list(case.session)].mean(axis=0) for case in asked]
    ).astype(np.float64)


def skip_gram(log: Log, seed: int, *, epochs: int, threads: int, power: float = 0.75) -> Word2Vec:
    """gensim's model of a log: items are words, baskets sentences."""
    with bench("item2vec"):
        from gensim.models import Word2Vec
    rng = np.random.default_rng(seed)
    parts = np.split(log.rows, log.ends[1:-1])
    sentences = [[str(item) for item in rng.permutation(part)] for part in parts if len(part) > 1]
    return Word2Vec(
        sentences, vector_size=64, window=5, negative=5, sg=1, hs=0, min_count=1, sample=0,
        ns_exponent=power, epochs=epochs, workers=threads, seed=seed, max_final_vocab=None,
    )  # fmt: skip


COUNTED: Mapping[str, Callable[[Log], Scorer]] = MappingProxyType({
    "popularity": popularity,
    "own frequency": own_frequency,
    "cosine": lambda log: cosine(log, sized=False),
    "cosine, baskets by size": cosine,
    "cosine + own frequency": lambda log: cosine(log, sized=False, own=0.5),
    "PMI, shrunk": pmi,
})  # fmt: skip
"""Those without a seed."""


def _baskets(log: Log) -> csr_array:
    """(B, I) float64 of ones."""
    with bench("Co-purchase counts"):
        from scipy.sparse import csr_array
    shape = len(log.ends) - 1, len(log.items)
    return csr_array((np.ones(len(log.rows)), log.rows, log.ends), shape=shape)


def _neighbours(similar: csr_array, own: float) -> Scorer:
    similar.setdiag(0)

    def scores(asked: Sequence[Case]) -> Scores:
        found = np.stack([similar[sorted(case.session)].sum(axis=0) for case in asked])
        return found + own * np.log1p(_own(asked, similar.shape[1])) if own else found

    return scores


def _own(asked: Sequence[Case], count: int) -> Scores:
    found = np.zeros((len(asked), count))
    for row, case in zip(found, asked, strict=True):
        row[list(case.own)] = list(case.own.values())
    return found
