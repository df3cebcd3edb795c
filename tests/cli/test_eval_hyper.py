"""`merchgraph eval hyper`: its settings, and a run on a toy shop without a model."""

import json
from pathlib import Path
from typing import Any

import pytest

from merchgraph.evals.suites.hyper_launches import BASELINES, BOUNDS
from merchgraph.tools.data import shops
from tests.evals.toy_suite import use_letters
from tests.tools.ctr.toy_mailers import NEW_ADS, small, toy_shop


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--systems", "oracle"), "There is no system 'oracle'; there are all, baselines, pop"),
        (("--systems", "LLM-HYPER"), "There is no system 'LLM-HYPER' without a model; there are"),
        (("--systems", ","), "--systems names no system; give all, or names"),
        (("--seeds", "one"), "The seeds are 'one'; expected whole numbers with commas"),
        (("--model", "nobody/x"), "The model name 'nobody/x' is not known"),
        (("--set", "wish=1"), "There is no setting 'wish'; there are data, seeds,"),
    ],
)
def test_a_wrong_setting_is_a_sentence(
    typed: Any, sentence: Any, words: tuple[str, ...], told: str
) -> None:
    assert told in sentence(typed("eval", "hyper", *words))


def test_without_a_model_the_baselines_of_three_launches_are_compared(
    typed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_letters(monkeypatch)
    small(monkeypatch)
    monkeypatch.setitem(shops._shops, "complete_journey", toy_shop())
    table = tmp_path / "table.md"
    ended = typed("eval", "hyper", "--json", "--markdown", str(table))
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    assert [row["system"] for row in report["rows"]] == [*BASELINES, *BOUNDS]
    assert report["n"] == 3 * NEW_ADS
    assert report["params"]["seeds"] == "0, 1, 2"
    assert "own-aisle rule" in table.read_text()
    few = typed("eval", "hyper", "--limit", "2", "--seeds", "1")
    assert few.code == 0, few.err
    assert "LLM-HYPER: 2 ads of launches 1" in few.out
