from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
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
from merchgraph.tools.grace import fit
from merchgraph.tools.grace.config import PRESETS, Config
from merchgraph.tools.grace.data import Journey
from merchgraph.tools.grace.tool import Generator
from merchgraph.tools.grace.train import train
from tests.conftest import Checks
from tests.tools.grace.grace_toy import QUICK, START, TEAS, changed, events, ids, items, toy_shop


class Stop(Exception):
    pass


def stopping(at: int) -> Callable[[int, int, str], None]:
    def tell(done: int, total: int, told: str) -> None:
        if done == at:
            raise Stop

    return tell


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Generator, Path]:
    folder = tmp_path_factory.mktemp("grace")
    cut = START + timedelta(days=1000)
    figures = {"Hit@10": 0.25}
    return train(toy_shop(), QUICK, folder, before=cut, validate=lambda model: figures), folder


def visits(user: int, count: int = 4) -> list[Journey]:
    return [Journey([f"tea {(user + n) % TEAS}", f"milk {user % TEAS}"]) for n in range(count)]


def test_the_generator_keeps_the_contract(keeps_the_contract: Checks) -> None:
    keeps_the_contract(Generator(changed(steps=80, batch=8, targets=4)))


def test_the_next_tea_and_the_own_milk_come_first(trained: tuple[Generator, Path]) -> None:
    model, _ = trained
    first = [model.next_items(visits(user), 2).items for user in range(TEAS)]
    expected = [{f"tea {(user + 4) % TEAS}", f"milk {user}"} for user in range(TEAS)]
    assert sum(set(one) == two for one, two in zip(first, expected, strict=True)) >= 6


def test_a_behaviour_that_is_asked_for_changes_the_answer(
    trained: tuple[Generator, Path],
) -> None:
    model, _ = trained
    assert set(model.behaviours) == {"regular", "discount"}
    for user in range(4):
        (cheap,) = model.next_items(visits(user), 1, behaviour="discount").items
        kind, number = cheap.split()
        assert (kind, int(number) % 2) == ("tea", 0)
    with pytest.raises(SetupError, match="'gift' cannot be asked for; there are"):
        model.next_items(visits(0), behaviour="gift")


def test_a_stopped_training_ends_at_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "KEEP", 4)
    config = changed(steps=12, batch=8)
    whole = train(toy_shop(), config, tmp_path / "whole").tensors()
    with pytest.raises(Stop):
        train(toy_shop(), config, tmp_path / "cut", progress=stopping(6))
    assert (tmp_path / "cut" / "training").is_dir()
    again = train(toy_shop(), config, tmp_path / "cut").tensors()
    assert whole.keys() == again.keys()
    for name in whole:
        np.testing.assert_array_equal(again[name], whole[name])
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip


def test_a_training_with_other_settings_or_data_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "KEEP", 1)
    with pytest.raises(Stop):
        train(toy_shop(), QUICK, tmp_path, progress=stopping(1))
    with pytest.raises(SetupError, match=r"other settings \('seed'\); go on with those"):
        train(toy_shop(), changed(seed=1), tmp_path)
    with pytest.raises(SetupError, match=r"other settings \('the data'\)"):
        train(toy_shop(), QUICK, tmp_path, before=START + timedelta(days=12))


def test_what_comes_after_the_cut_changes_nothing(tmp_path: Path) -> None:
    store, cut, config = toy_shop(), START + timedelta(days=15), changed(steps=3)
    early = Shop(
        "toy", store.items, Events(store.events.frame.filter(pl.col("time") < cut)),
        fingerprint="toy",
    )  # fmt: skip
    one = train(store, config, tmp_path / "one", before=cut).tensors()
    other = train(early, config, tmp_path / "other", before=cut).tensors()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_what_is_loaded_answers_as_what_was_trained(trained: tuple[Generator, Path]) -> None:
    model, folder = trained
    loaded = Generator.load(folder)
    assert loaded.config == QUICK
    assert loaded.next_items(visits(3)) == model.next_items(visits(3))
    past = Past(["tea 3", "milk 1", "gone"], ["tea 4"])
    assert loaded.recommend([past], 5) == model.recommend([past], 5)


def test_a_fresh_list_has_all_that_was_not_had_and_its_exact_scores(
    trained: tuple[Generator, Path],
) -> None:
    model = trained[0]
    told = [Journey(["tea 3", "milk 1"]), Journey(["tea 4"])]
    whole, fresh = (model.next_items(told, 99, fresh=fresh) for fresh in (False, True))
    assert not {"tea 3", "milk 1", "tea 4"} & set(fresh.items)
    assert {*fresh.items, "tea 3", "milk 1", "tea 4"} >= set(whole.items)
    past = Past(["tea 3", "milk 1"], ["tea 4"])
    exact = dict(zip(fresh.items, model.slate(past, fresh.items), strict=True))
    assert fresh.items == sorted(exact, key=exact.__getitem__, reverse=True)


@pytest.mark.parametrize("past", [Past(["tea 3", "milk 1", "gone"], ["tea 4"]), Past()])
def test_a_slate_of_all_items_has_all_of_the_probability(
    trained: tuple[Generator, Path], past: Past
) -> None:
    model = trained[0]
    slate = dict(zip(ids(), model.slate(past, ids()), strict=True))
    assert np.exp([*slate.values()]).sum() == pytest.approx(1, abs=1e-4)
    found = model.recommend([past], 3, exclude_seen=False)[0]
    np.testing.assert_allclose([slate[item] for item in found.items], found.scores, atol=1e-4)
    least = min(slate["tea 5"], slate["milk 1"])
    some = model.slate(past, ["gone", "tea 5", "milk 1"])
    assert some == pytest.approx([least, slate["tea 5"], slate["milk 1"]], abs=1e-4)
    assert model.slate(past, []) == []
    assert model.slate(past, ["gone"]) == [0.0]


def test_the_card_tells_data_paths_figures_limits_and_source(
    trained: tuple[Generator, Path],
) -> None:
    card = (trained[1] / "README.md").read_text()
    told = [
        "# Next visits at toy",
        "120 journeys of 12 shoppers",
        "| category | 2 |",
        "Hit@10: 0.2500",
    ]
    told += [
        "of which the abstract and summaries were read",
        "no figure here is the paper's",
        "window: 2",
    ]
    assert [part for part in told if part not in card] == []


def test_a_log_that_teaches_nothing_is_told(tmp_path: Path) -> None:
    once = Shop(
        "once", items(), events([("ann", 0.0, "tea 0", "buy"), ("bob", 0.0, "tea 1", "buy")])
    )
    with pytest.raises(SetupError, match="Nothing to learn from in once: no shopper came twice"):
        train(once, QUICK, tmp_path)


def test_without_a_gpu_the_gpu_preset_says_so(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SetupError, match="torch sees no GPU here; take --preset cpu"):
        train(toy_shop(), changed(device="cuda"), tmp_path)
    assert PRESETS["gpu"].device == "cuda"


@pytest.mark.parametrize(
    "wrong", [{"least": 0}, {"slots": ("colour",)}, {"branches": ()}, {"wish": 1}, {"scarce": 1}]
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate(wrong)


def test_a_missing_or_damaged_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        SetupError, match=r"There is no model at .*; make it: merchgraph train grace"
    ):
        Generator.load(tmp_path)
    (tmp_path / checkpoint.WEIGHTS).write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be read"):
        Generator.load(tmp_path)


@pytest.mark.parametrize("name", ["near", "catalogue", "model/slot"])
def test_a_model_of_another_version_says_how_to_make_it_anew(
    trained: tuple[Generator, Path], tmp_path: Path, name: str
) -> None:
    tensors = dict(trained[0].tensors())
    tensors[name] = tensors[name][:1]
    checkpoint.save(tmp_path, tensors, QUICK, "card")
    with pytest.raises(DataError, match=r"does not fit together .*make it anew: merchgraph train"):
        Generator.load(tmp_path)
    del tensors[name]
    checkpoint.save(tmp_path, tensors, QUICK, "card")
    with pytest.raises(DataError, match="make it anew: merchgraph train grace"):
        Generator.load(tmp_path)


def test_queries_that_cannot_be_answered_say_why(trained: tuple[Generator, Path]) -> None:
    model, _ = trained
    with pytest.raises(SetupError, match="k is 0"):
        model.next_items(visits(0), 0)
    with pytest.raises(SetupError, match="was not fitted; call fit"):
        Generator().next_items(visits(0))
    few = Generator(changed(least=400)).fit(items(), toy_shop().events)
    with pytest.raises(SetupError, match="no item has 400 events"):
        few.next_items(visits(0))
    assert not few.scores([Past(["tea 0"])]).any()


def test_graphs_call_it_as_a_tool(trained: tuple[Generator, Path]) -> None:
    model, _ = trained
    tool = model.as_tool()
    assert tool.name == "next_items"
    told = [list(visit.items) for visit in visits(2)]
    assert tool.invoke({"visits": told, "k": 3}) == model.next_items(visits(2), 3).items


def test_naming_presets_loads_no_torch() -> None:
    code = (
        "import sys; from merchgraph.tools.grace.train import PRESETS\n"
        "from merchgraph.tools.grace.tool import Generator\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'scipy', 'langchain_core')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_day_of_a_cut_has_no_zone(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="has a time zone"):
        train(toy_shop(), QUICK, tmp_path, before=datetime(2026, 1, 9, tzinfo=UTC))
