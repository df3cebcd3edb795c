"""`merchgraph run lens`: what it prints, saves and refuses."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from merchgraph.graphs.behavior_lens import Result
from merchgraph.runtime.scripted import Always, scripted
from tests.cli.conftest import Command, Ended

SCRIPT = {
    "predict": Always('{"explanation": "It is [b]due[/b] \\u001b[31magain.", "prediction": "A"}'),
    "weigh": Always({"A": 0.7, "B": 0.3}),
    "count": Always({"A": 0.7, "B": 0.3}),
}
Lens = Callable[..., Ended]


@pytest.fixture
def lens(typed: Command, gifts: Path) -> Lens:
    """`merchgraph run lens` for shopper 7 of the small shop."""

    def run(*words: str, script: Any = SCRIPT, user: str = "7") -> Ended:
        with scripted(script) as model:
            return typed(
                "run", "lens", "--data", str(gifts), "--user", user, "--model", model, *words
            )

    return run


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_candidates_stand_by_their_probability_with_the_prediction_marked(lens: Lens) -> None:
    ended = lens("--candidates", "Fresh milk,[red]Soap[/]\x1b[2J")
    assert (ended.code, ended.err) == (0, "")
    lines = [line for line in ended.out.splitlines() if "0.70" in line or "0.30" in line]
    assert re.search(r"▸\s+Fresh milk\s+1\s+0\.70\s+█{20}", lines[0])
    assert "[red]Soap[/]" in lines[1]
    assert "why It is [b]due[/b]" in flat(ended.out)
    assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in ended.out)
    for step in ("read", "show", "predict", "weigh", "total"):
        assert step in ended.out


def test_json_is_the_result_without_the_picture(lens: Lens) -> None:
    ended = lens("--as", "scatter", "--set", "count_picture=true", "--json")
    assert (ended.code, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert "picture" not in told["shown"]
    found = Result.model_validate(told)
    assert found.shown.kind == "scatter"
    assert found.prediction == found.candidates[0]
    assert set(found.candidates) == {"Fresh milk", "Rye bread"}
    assert found.tokens.picture is not None
    assert found.tokens.picture > 100


@pytest.mark.parametrize("kind", ["scatter", "flowchart", "page", "both"])
def test_what_is_saved_is_the_picture(lens: Lens, tmp_path: Path, kind: str) -> None:
    ended = lens("--as", kind, "--save", str(tmp_path / "out.png"))
    assert (ended.code, ended.err) == (0, "")
    assert f"saved in {tmp_path / 'out.png'}" in flat(ended.out)
    image = Image.open(io.BytesIO((tmp_path / "out.png").read_bytes()))
    assert (image.format, image.size) == ("PNG", (1024, 768))
    assert "0.70" in ended.out


def test_what_is_saved_of_a_text_is_the_text(lens: Lens, tmp_path: Path) -> None:
    ended = lens("--as", "ranks", "--save", str(tmp_path / "out.txt"))
    assert (ended.code, ended.err) == (0, "")
    assert (tmp_path / "out.txt").read_text() == "1. Fresh milk\n2. Rye bread\n"


def test_a_model_that_reads_text_only_does_not_keep_a_picture_from_being_saved(
    typed: Command, gifts: Path, tmp_path: Path
) -> None:
    words = ("run", "lens", "--data", str(gifts), "--user", "7", "--as", "flowchart")
    ended = typed(*words, "--variant", "gaps", "--save", str(tmp_path / "out.png"))
    assert (ended.code, ended.err) == (0, "")
    assert "embedded/smollm2-135m takes no pictures: nothing was predicted" in flat(ended.out)
    assert (tmp_path / "out.png").stat().st_size > 5_000
    ended = typed(*words)
    assert ended.code == 2
    assert "The model 'embedded/smollm2-135m' takes no pictures; name one that sees" in flat(
        ended.err
    )


def test_an_answer_that_cannot_be_used_is_named(lens: Lens) -> None:
    ended = lens(script=SCRIPT | {"predict": Always("nonsense")})
    assert ended.code == 0
    assert "predict: The model gave agent 'predict' no usable NextPurchase" in flat(ended.out)
    assert "▸" not in ended.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--as pie", "The setting rendering is 'pie', but: input should be 'text', 'scatter'"),
        (
            "--as table --variant colour",
            "The rendering 'table' has no variant 'colour'; it has none",
        ),
        ("--variant pink", "The setting variants.0 is 'pink'"),
        ("--as scatter --save out.txt", "'scatter' is a picture; name a file that ends in .png"),
        ("--as text --save out.png", "The rendering 'text' is text, and no .png, not 'out.png'"),
        ("--save gone/out.txt", "The file 'gone/out.txt' cannot be written: No such file"),
        (
            "--candidates milk",
            "The setting candidates is ['milk'], but: list should have at least 2",
        ),
        ("--candidates milk,milk", "candidates has 'milk' twice; name each item once"),
        ("--set size=1", "The setting size is 1, but: input should be greater than or equal to 2"),
        ("--set theta=1", "There is no setting 'theta'; there are model, rendering"),
        ("--model smol", "The model name 'smol' is not known"),
    ],
)
def test_a_mistake_is_one_sentence(
    lens: Lens, sentence: Callable[[Ended], str], words: str, told: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert told in sentence(lens(*words.split(), script={}))
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("user", ["9", "8"])
def test_a_shopper_without_a_history_is_said(
    lens: Lens, sentence: Callable[[Ended], str], user: str
) -> None:
    assert f"The user '{user}'" in sentence(lens(user=user, script={}))
