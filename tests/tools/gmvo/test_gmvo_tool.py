from __future__ import annotations

from merchgraph.tools.gmvo.config import Config
from merchgraph.tools.gmvo.tool import Similar
from tests.conftest import Checks

QUICK = Config(least=1, text=False, epochs=3, width=4, layers=1, similar=1, move=1)


def test_similar_items_keep_the_contract(keeps_the_contract: Checks) -> None:
    keeps_the_contract(Similar(QUICK))
