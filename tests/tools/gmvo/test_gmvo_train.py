from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.contract import Past
from merchgraph.tools.data.tables import Events, Shop
from merchgraph.tools.gmvo.config import PRESETS, Config
from merchgraph.tools.gmvo.learn import history
from merchgraph.tools.gmvo.tool import Similar
from merchgraph.tools.gmvo.train import train
from tests.conftest import Checks
from tests.tools.gmvo.toy import QUICK, START, bought, ids, items, toy_shop


class Stop(Exception):
    pass


def stopping(at: int) -> Callable[[int, int, str], None]:
    def tell(done: int, total: int, told: str) -> None:
        if done == at:
            raise Stop

    return tell


def changed(**values: object) -> Config:
    return QUICK.model_copy(update=values)


def test_similar_items_keep_the_contract(keeps_the_contract: Checks) -> None:
    keeps_the_contract(Similar(QUICK))


def test_the_planted_substitute_comes_first(tmp_path: Path) -> None:
    model = train(toy_shop(), changed(epochs=20), tmp_path)
    first = [
        model.similar(f"{kind} {n}", 3).items[0] for kind in ("tea", "soap") for n in range(11)
    ]
    expected = [f"{kind} {n + 1}" for kind in ("tea", "soap") for n in range(11)]
    assert sum(a == b for a, b in zip(first, expected, strict=True)) >= 18


@pytest.mark.parametrize("parts", ["both", "signals", "graph"])
def test_a_stopped_training_ends_at_the_same_bits(tmp_path: Path, parts: str) -> None:
    config = changed(parts=parts)
    whole = train(toy_shop(), config, tmp_path / "whole")
    with pytest.raises(Stop):
        train(toy_shop(), config, tmp_path / "cut", progress=stopping(2))
    assert (tmp_path / "cut" / "training").is_dir()
    again = train(toy_shop(), config, tmp_path / "cut")
    np.testing.assert_array_equal(again.tensors()["chance"], whole.tensors()["chance"])
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip


def test_a_training_with_other_settings_or_data_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(toy_shop(), QUICK, tmp_path, progress=stopping(1))
    with pytest.raises(SetupError, match=r"other settings \('seed'\); go on with those"):
        train(toy_shop(), changed(seed=1), tmp_path)
    with pytest.raises(SetupError, match=r"other settings \('the data'\)"):
        train(toy_shop(), QUICK, tmp_path, before=START + timedelta(weeks=12))


def test_what_comes_after_the_cut_changes_nothing(tmp_path: Path) -> None:
    store, cut = toy_shop(), START + timedelta(weeks=10)
    frame = store.events.frame.filter(pl.col("time") < cut)
    early = Shop("toy", store.items, Events(frame), fingerprint="toy")
    one = train(store, QUICK, tmp_path / "one", before=cut).tensors()
    other = train(early, QUICK, tmp_path / "other", before=cut).tensors()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_what_is_loaded_answers_as_what_was_trained(tmp_path: Path) -> None:
    model = train(toy_shop(), QUICK, tmp_path)
    loaded = Similar.load(tmp_path)
    assert loaded.config == QUICK
    past = Past(session=["tea 3", "soap 1"])
    assert loaded.recommend([past], 5) == model.recommend([past], 5)
    assert loaded.similar("tea 3") == model.similar("tea 3")


def test_value_shows_dearer_items(tmp_path: Path) -> None:
    def price(value: float) -> float:
        model = train(toy_shop(), changed(value=value, gamma=2.0, epochs=40), tmp_path / str(value))
        shown = [item for one in ids() for item in model.similar(one, 3).items]
        return float(np.mean([int(item.split()[1]) + 1 for item in shown]))

    assert price(1.0) > price(0.0) + 0.5


def test_the_card_tells_data_figures_limits_and_source(tmp_path: Path) -> None:
    cut = datetime(2026, 3, 1)
    train(toy_shop(), QUICK, tmp_path, before=cut, validate=lambda model: {"NDCG@8": 0.25})
    card = (tmp_path / "README.md").read_text()
    told = ["# Similar items of toy", "before 2026-03-01", "24 goods", "NDCG@8: 0.2500"]
    told += ["the abstract was read", "no figure here is the paper's", "horizon_days: 14"]
    assert [part for part in told if part not in card] == []


def test_a_log_in_which_nothing_replaces_anything_is_told(tmp_path: Path) -> None:
    loyal = Shop("loyal", items(), bought([("ann", day, "tea 0") for day in range(9)]))
    with pytest.raises(
        SetupError, match="Nothing to learn from in loyal: no item of a product type"
    ):
        train(loyal, QUICK, tmp_path)


def test_without_a_gpu_the_gpu_preset_says_so(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SetupError, match="torch sees no GPU here; take --preset cpu"):
        train(toy_shop(), changed(device="cuda"), tmp_path)
    assert PRESETS["gpu"].device == "cuda"


@pytest.mark.parametrize(
    "wrong", [{"value": 1.5}, {"least": 0}, {"parts": "text"}, {"wish": 1}, {"relations": ()}]
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate(wrong)


def test_a_missing_or_damaged_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        SetupError, match=r"There is no model at .*; make it: merchgraph train gmvo"
    ):
        Similar.load(tmp_path)
    (tmp_path / checkpoint.WEIGHTS).write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be read"):
        Similar.load(tmp_path)


def test_queries_that_cannot_be_answered_say_why(tmp_path: Path) -> None:
    model = train(toy_shop(), QUICK, tmp_path)
    with pytest.raises(SetupError, match="k is 0"):
        model.similar("tea 0", 0)
    with pytest.raises(SetupError, match=r"'tea 99'.*did you mean 'tea"):
        model.similar("tea 99")
    with pytest.raises(SetupError, match="was not fitted"):
        Similar().similar("tea 0")
    few = Similar(changed(least=400)).fit(items(), toy_shop().events)
    assert few.similar("tea 0").items == []


def test_graphs_call_it_as_a_tool(tmp_path: Path) -> None:
    model = train(toy_shop(), QUICK, tmp_path)
    tool = model.as_tool()
    assert tool.name == "similar_items"
    assert tool.invoke({"item": "tea 3", "k": 2}) == model.similar("tea 3", 2).items


def test_earlier_moments_ask_for_fewer_purchases() -> None:
    store = toy_shop()
    told = history(store.items, store.events, changed(least=20))
    counts = store.events.frame.group_by("item").len()
    assert set(told.goods.items) == set(counts.filter(pl.col("len") >= 20)["item"])
    assert len(told.at(told.end - 49, changed(least=20)).pairs) > 0
    assert [window.past.day for window, _ in told.windows(QUICK)] == [told.end - 14, told.end - 28]


def test_answering_and_importing_load_no_torch(tmp_path: Path) -> None:
    train(toy_shop(), QUICK, tmp_path)
    code = (
        "import sys; from pathlib import Path; from merchgraph.tools.gmvo.train import PRESETS\n"
        "from merchgraph.tools.gmvo.tool import Similar\n"
        f"assert Similar.load(Path({str(tmp_path)!r})).similar('tea 1').items\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'torch_geometric', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
