"""The similar-item suite on the toy shop, small enough to train in seconds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from merchgraph.evals.suites.gmvo import Params
from tests.tools.gmvo.toy import QUICK, START

TINY = QUICK.model_copy(update={"epochs": 1})
BEFORE = START + timedelta(weeks=11)


def params(**given: Any) -> Params:
    usual = {"data": "toy", "before": BEFORE, "days": 21, "seeds": 2, "config": TINY}
    return Params.model_validate(usual | given)
