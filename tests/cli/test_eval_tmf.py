"""`merchgraph train tmf` and `eval tmf`: what a shop is too small for is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "tmf"], "Nothing to learn from in "),
        (["train", "tmf", "--set", "amsa=all"], "The setting amsa is 'all', but"),
        (["eval", "tmf"], "questions of "),
        (["eval", "tmf", "--set", "wish=1"], "There is no setting 'wish'; there are llm,"),
        (["eval", "tmf", "--systems", "tmf,gpt"], "There is no system 'gpt'; there are all, main,"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    typed: Any, sentence: Any, gifts: Path, words: list[str], told: str
) -> None:
    assert told in sentence(typed(*words, "--data", str(gifts)))
