from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.complement import fit
from merchgraph.tools.complement import train as module
from merchgraph.tools.complement.blend import PRIOR
from merchgraph.tools.complement.config import Config
from merchgraph.tools.complement.fit import Passes
from merchgraph.tools.complement.learned import Learned
from merchgraph.tools.complement.model import Model
from merchgraph.tools.complement.tool import Complement
from merchgraph.tools.complement.train import train
from merchgraph.tools.contract import Past
from tests.tools.complement.planted import (
    FIRST,
    QUICK,
    Stop,
    given,
    on_the_processor,
    shop,
    stopped_after,
)

SOME = QUICK.with_(epochs=3, context=True, user=True)
STORE = shop(given([["tv", "mount", "cable"], ["pan", "oil"], ["tea", "jam", "bun"]] * 20))


def same(one: Learned, other: Learned) -> bool:
    mine, theirs = one.tensors(), other.tensors()
    return mine.keys() == theirs.keys() and all(np.array_equal(mine[n], theirs[n]) for n in mine)


@pytest.mark.parametrize("passes", [1, 3, 5])
def test_a_stopped_training_ends_as_one_that_never_stopped(tmp_path: Path, passes: int) -> None:
    whole = train(STORE, SOME, tmp_path / "whole")
    with pytest.raises(Stop):
        train(STORE, SOME, tmp_path / "part", progress=stopped_after(passes))
    assert not (tmp_path / "part" / "model.safetensors").exists()
    told: list[int] = []
    again = train(STORE, SOME, tmp_path / "part", progress=lambda done, *_: told.append(done))
    assert told[0] == passes
    assert told[-1] == 6
    assert same(whole, again)
    assert {file.name for file in (tmp_path / "part").iterdir()} == {
        "model.safetensors", "config.json", "README.md"
    }  # fmt: skip


def test_an_unfinished_training_with_other_settings_is_not_touched(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(STORE, SOME, tmp_path, progress=stopped_after(2))
    with pytest.raises(SetupError, match=r"another settings: epochs is 3 there and 4 here; finish"):
        train(STORE, SOME.with_(epochs=4), tmp_path)
    with pytest.raises(SetupError, match=r"another log: .*planted"):
        train(STORE, SOME, tmp_path, before=FIRST + timedelta(hours=40))


def test_what_was_kept_answers_as_what_was_trained(tmp_path: Path) -> None:
    learned = train(STORE, SOME, tmp_path)
    tool = Complement.load(tmp_path)
    assert same(tool.learned, learned)
    pasts = [Past(["tea"], ["tv"]), Past(), Past(session=["unknown", "pan"])]
    np.testing.assert_array_equal(tool.scores(pasts), Complement.knowing(learned).scores(pasts))


def test_tied_vectors_are_tied_after_loading(tmp_path: Path) -> None:
    train(STORE, SOME.with_(dual=False), tmp_path)
    model = Complement.load(tmp_path).learned.model
    assert model.item_out is model.item_in


def test_nothing_at_or_after_the_time_is_seen(tmp_path: Path) -> None:
    learned = train(STORE, SOME, tmp_path, before=FIRST + timedelta(hours=3))
    assert dict(zip(learned.items, learned.counts.tolist(), strict=True)) == dict.fromkeys(
        ["bun", "cable", "jam", "mount", "oil", "pan", "tea", "tv"], 1
    )


def test_the_card_says_what_the_model_is(tmp_path: Path) -> None:
    train(STORE, SOME, tmp_path)
    card = (tmp_path / "README.md").read_text()
    for part in ("160 events", "8 items", "7 shoppers", "WSDM 2020", "Blend: basket", "NDCG@10"):
        assert part in card


def test_one_thread_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    one, two, other = (
        train(STORE, SOME.with_(seed=seed), tmp_path / str(n)) for n, seed in enumerate((0, 0, 1))
    )
    assert same(one, two)
    assert not same(one, other)


def test_a_rate_that_diverges_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Passes.run

    def wild(self: Passes, model: Model, epoch: int) -> int:
        model.item_in[0] = np.nan
        return run(self, model, epoch)

    monkeypatch.setattr(Passes, "run", wild)
    with pytest.raises(SetupError, match=r"diverged at the rate 0.1; .* --set rate=0.05"):
        train(STORE, SOME, tmp_path)


def test_presets_are_settings_and_wrong_settings_are_refused() -> None:
    assert module.PRESETS["cpu"].device == "cpu"
    assert module.PRESETS["gpu"].device == "cuda"
    for wrong in ({"epochs": 0}, {"rate": 0}, {"history": 0}, {"tokens": ("colour",)}, {"x": 1}):
        with pytest.raises(ValidationError):
            Config().with_(**wrong)


def test_a_damaged_state_asks_for_its_folder_to_be_removed(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(STORE, SOME, tmp_path, progress=stopped_after(2))
    (tmp_path / "training" / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"unfinished training in '.*training' is damaged") as told:
        train(STORE, SOME, tmp_path)
    assert "remove that folder and begin again: merchgraph train complement" in str(told.value)
    shutil.rmtree(tmp_path / "training")
    assert train(STORE, SOME, tmp_path).items


def test_a_shop_without_a_frequent_item_is_told_how_few_baskets_to_set(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"is in 21 baskets .* is in 20: .* --set least=10\.$"):
        train(STORE, SOME.with_(least=21), tmp_path)
    assert not list(tmp_path.iterdir())
    assert len(train(STORE, SOME.with_(least=20), tmp_path).items) == 8
    with pytest.raises(SetupError, match=r"is in 0: give a longer log\.$"):
        train(STORE, SOME.with_(least=1), tmp_path, before=FIRST)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_log_whose_items_are_frequent_in_its_last_days_only_is_learned(
    tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "cuda":
        monkeypatch.setattr(fit, "passes", on_the_processor)
    learned = train(STORE, SOME.with_(least=15, device=device), tmp_path)
    assert len(learned.items) == 8
    np.testing.assert_array_equal(learned.weights, PRIOR)
