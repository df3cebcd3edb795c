"""The GRACE suite on the toy shop, small enough to train in a second."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from merchgraph.evals.suites.grace import Params
from tests.tools.grace.grace_toy import START, changed

TINY = changed(steps=2, batch=4)
BEFORE = START + timedelta(days=24)


def params(**given: Any) -> Params:
    usual = {"data": "toy", "before": BEFORE, "days": 6, "seeds": 2, "config": TINY}
    return Params.model_validate(usual | given)
