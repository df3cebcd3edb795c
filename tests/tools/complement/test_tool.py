from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.checkpoint import save
from merchgraph.tools.complement.tool import Complement
from merchgraph.tools.contract import Past
from tests.conftest import Checks
from tests.tools.complement.planted import QUICK, given, trained

BASKETS = [["tv", "mount"], ["mount", "cable"], ["pan", "oil"], ["tea", "jam"]] * 30


def test_complement_keeps_the_contract(keeps_the_contract: Checks) -> None:
    keeps_the_contract(Complement(QUICK.with_(history=3)))


def test_a_missing_model_is_one_sentence_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"There is no model at .*: merchgraph train complement"):
        Complement.load(tmp_path)


def test_a_model_of_another_version_is_not_read(tmp_path: Path) -> None:
    learned = trained(given(BASKETS)).learned
    tensors = learned.tensors() | {"weights": learned.weights[:2]}
    save(tmp_path, tensors, learned.config, "")
    with pytest.raises(DataError, match=r"weighs 2 signals, .* make it anew: merchgraph train"):
        Complement.load(tmp_path)


def test_what_the_shopper_bought_before_counts() -> None:
    tool = trained(given(BASKETS))
    fresh, regular = (tool.of(Past(own, ["tv"]), ["jam"])[0] for own in ([], ["jam", "jam"]))
    assert regular > fresh


def test_a_basket_without_a_known_item_is_refused() -> None:
    tool = trained(given(BASKETS))
    for basket in ([], ["nothing", "like it"]):
        with pytest.raises(SetupError, match="No item of the basket"):
            tool.next_items(basket, 3)
    assert tool.next_items(["nothing", "tv"], 1).items == ["mount"]
    with pytest.raises(SetupError, match="k is 0"):
        tool.next_items(["tv"], 0)


def test_what_was_not_trained_is_said_with_the_command() -> None:
    tool = trained(given(BASKETS))
    with pytest.raises(SetupError, match=r"merchgraph train complement --set user=true"):
        tool.next_items(["tv"], 3, user="u0")
    with pytest.raises(SetupError, match=r"--set context=true"):
        tool.next_to_new(["brand=Acme"], 3)
    whole = trained(given(BASKETS), user=True, context=True, tokens=("price",))
    assert whole.next_items(["tv"], 1, user="nobody").items == ["mount"]
    with pytest.raises(SetupError, match=r"No token of \['brand=Acme'\] is known"):
        whole.next_to_new(["brand=Acme"], 3)


def test_the_basket_does_not_come_back() -> None:
    tool = trained(given(BASKETS))
    ranking = tool.next_items(["tv", "mount", "tv"], 99)
    assert len(ranking.items) == len(tool.items) - 2
    assert ranking.scores == sorted(ranking.scores, reverse=True)


def test_a_graph_calls_it_as_a_langchain_tool() -> None:
    tool = trained(given(BASKETS)).as_tool()
    assert tool.name == "complements"
    assert "basket" in tool.args
    assert tool.invoke({"basket": ["tea"], "k": 1}) == ["jam"]


def test_threads_share_a_tool() -> None:
    tool = trained(given(BASKETS))
    pasts = [Past(session=[item]) for item in tool.items] * 20
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda past: tool.recommend([past], 2), pasts))
    assert found == [tool.recommend([past], 2) for past in pasts]


def test_importing_and_asking_loads_nothing_heavy() -> None:
    code = (
        "import sys, merchgraph.tools.complement.tool, merchgraph.tools.complement.train;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numba', 'scipy', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
