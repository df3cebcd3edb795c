from __future__ import annotations

import numpy as np
import pytest

from merchgraph.evals.baselines.cornac_nets import Effort, Kind, fitted

CHANCES = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])


@pytest.mark.parametrize("kind", ["SASRec", "BERT4Rec"])
def test_without_any_order_the_scores_are_the_shares_of_the_log(kind: Kind) -> None:
    pytest.importorskip("cornac")
    rng = np.random.default_rng(0)
    drawn = rng.choice(len(CHANCES), size=(300, 12), p=CHANCES)
    rows = [(str(user), str(user), str(item), place)
            for user, items in enumerate(drawn) for place, item in enumerate(items.tolist())]  # fmt: skip
    net = fitted(kind, rows, Effort(epochs=12, width=8, history=6), seed=0)
    scores = net.scores([0, 1, 77, 0])
    found = np.exp(scores - np.logaddexp.reduce(scores))[[net.code[item] for item in range(6)]]
    np.testing.assert_allclose(found, CHANCES, atol=0.06)
