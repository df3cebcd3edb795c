"""`merchgraph train`: a model where graphs look for it, or one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

QUICK = [word for pair in ("epochs=2", "dim=8", "least=0", "days=1", "user=false", "context=false",
                           "threads=1") for word in ("--set", pair)]  # fmt: skip


def test_a_model_lands_where_graphs_look_for_it(typed: Any, gifts: Path, cache: Path) -> None:
    ended = typed("train", "complement", "--data", str(gifts), *QUICK)
    assert ended.code == 0, ended
    (model,) = (cache / "models" / "complement").glob("*/model.safetensors")
    assert str(model) in ended.out.replace("\n", "")
    assert (model.parent / "README.md").read_text().startswith("#")


def test_a_model_that_ends_earlier_lands_beside_it(typed: Any, gifts: Path, cache: Path) -> None:
    ended = typed("train", "complement", "--data", str(gifts), "--before", "2026-01-09", *QUICK)
    assert ended.code == 0, ended
    (model,) = (cache / "models" / "complement").glob("*@2026-01-09*/model.safetensors")
    assert model.is_file()


def test_any_time_may_be_named(typed: Any, gifts: Path) -> None:
    ended = typed("train", "complement", "--data", str(gifts), "--before",
                  "2026-01-09T10:00:00.250000", *QUICK)  # fmt: skip
    assert ended.code == 0, ended


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["complement", "--set", "wish=1"], "There is no setting 'wish'; there are dim,"),
        (["complement", "--set", "dim=1"], "The setting dim is 1, but: "),
        (["gmvo"], "Nothing to learn from in "),
        (["grace"], "no shopper came twice for items of 20 events or more"),
        (["fairness"], "names no sellers"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(
    typed: Any, sentence: Any, gifts: Path, words: list[str], told: str
) -> None:
    assert told in sentence(typed("train", *words, "--data", str(gifts)))


def test_another_preset_is_refused(typed: Any) -> None:
    ended = typed("train", "complement", "--preset", "tpu")
    assert ended.code == 2
    assert "'cpu', 'gpu'" in " ".join(ended.err.replace("│", " ").split())
