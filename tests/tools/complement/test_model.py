from __future__ import annotations

import numpy as np

from merchgraph.tools.complement.model import _sigmoid


def test_a_far_value_has_a_probability_without_an_overflow() -> None:
    found = _sigmoid(np.array([-200.0, 0.0, 200.0], dtype=np.float32))
    np.testing.assert_allclose(found, [0.0, 0.5, 1.0], atol=1e-7)
