from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools import candidates, checkpoint
from merchgraph.tools.contract import Past
from merchgraph.tools.data.tables import Events, Shop
from merchgraph.tools.tmf import train as training
from merchgraph.tools.tmf.learn import Lesson
from merchgraph.tools.tmf.tool import Tmf
from merchgraph.tools.trained import ReadsSlates, signals
from tests.conftest import Checks
from tests.tools.gmvo.toy import START, toy_shop
from tests.tools.tmf.tmf_toy import quick

PAST = Past(long_term=["tea 0", "tea 1", "soap 3"], session=["soap 4"])
SLATE = ["tea 2", "soap 9", "tea 7", "soap 5"]


def test_a_model_that_was_kept_ranks_as_the_one_that_was_trained(llm: Path, tmp_path: Path) -> None:
    told: list[str] = []
    made = training.train(
        toy_shop(), quick(llm), tmp_path, progress=lambda done, total, what: told.append(what)
    )
    read = Tmf.load(tmp_path)
    first, again = made.rank(PAST, SLATE), read.rank(PAST, SLATE)
    assert first.items == again.items
    np.testing.assert_allclose(first.scores, again.scores, atol=1e-3)  # texts are kept as float16
    assert sorted(first.items) == sorted(SLATE)
    stages = [what.split(",")[0] for what in told if "graph" not in what]
    assert stages == ["fuse"] * 2 + ["warm"] * 2 + ["align"] + ["joint"] * 2
    card = (tmp_path / "README.md").read_text()
    assert "No item has a picture." in card or "No image modality" in card  # by what is installed
    assert "joint: 2 steps" in card
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()
    assert not (tmp_path / training.UNFINISHED).exists()
    tensors = made.tensors()
    for wrong in (tensors | {"scale": tensors["scale"][:-2]}, {"items": tensors["items"]}):
        checkpoint.save(tmp_path, wrong, made.config, "card")
        with pytest.raises(DataError, match=r"does not fit together .*merchgraph train tmf"):
            Tmf.load(tmp_path)


def test_a_training_goes_on_where_it_was_stopped(
    llm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = quick(llm, joint_steps=4)
    monkeypatch.setattr("merchgraph.tools.tmf.learn.KEEP", 2)
    whole = training.train(toy_shop(), config, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        if what.startswith("joint") and done == 2 + 2 + 1 + 3:
            raise Stop

    with pytest.raises(Stop):
        training.train(toy_shop(), config, tmp_path / "cut", progress=stop)
    other = quick(llm, joint_steps=5)
    with pytest.raises(SetupError, match="holds a training with other settings"):
        training.train(toy_shop(), other, tmp_path / "cut")
    steps: list[str] = []
    rest = training.train(
        toy_shop(), config, tmp_path / "cut", progress=lambda *told: steps.append(told[2])
    )
    assert [what.split(",")[0] for what in steps if "graph" not in what] == ["joint"] * 2
    assert rest.rank(PAST, SLATE) == whole.rank(PAST, SLATE)


def test_a_warm_up_is_shared_and_a_second_training_reads_it(
    llm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from merchgraph.tools.tmf.lesson import lesson, view

    def learn(name: str, modalities: tuple[str, ...]) -> Lesson:
        config = quick(llm, modalities=modalities, joint_steps=0, align_steps=0)
        made = lesson(view(toy_shop().items, toy_shop().events, config), config)
        made.warm = tmp_path / "warm"
        made.learn((tmp_path / name, name))
        return made

    seen = learn("seen", ("text", "graph"))
    monkeypatch.setattr(Lesson, "_read", None)  # nothing is left to read
    text = learn("text", ())
    theirs = {name: weight.detach() for name, weight in seen.network.own().items()}
    assert any(weight.abs().sum() > 0 for name, weight in theirs.items() if "lora_B" in name)
    for name, weight in text.network.own().items():
        np.testing.assert_array_equal(weight.detach(), theirs[name])


def test_it_keeps_the_contract_of_recommenders(keeps_the_contract: Checks, llm: Path) -> None:
    quiet = quick(llm, fuse_steps=0, warm_steps=1, align_steps=0, joint_steps=0, weeks=1)
    keeps_the_contract(Tmf(quiet), learns="own")


def test_a_model_of_text_alone_has_no_vectors(llm: Path, tmp_path: Path) -> None:
    made = training.train(toy_shop(), quick(llm, modalities=()), tmp_path)
    assert made.network.fusion is None
    assert made.known is None
    read = Tmf.load(tmp_path)
    assert read.rank(PAST, SLATE) == made.rank(PAST, SLATE)


def test_what_was_trained_on_a_gpu_answers_on_a_cpu(
    llm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = training.train(toy_shop(), quick(llm, modalities=()), tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    elsewhere = quick(llm, modalities=(), device="cuda", precision="bfloat16")
    checkpoint.save(tmp_path, made.tensors(), elsewhere, "")
    assert Tmf.load(tmp_path).rank(PAST, SLATE) == made.rank(PAST, SLATE)


def test_what_cannot_be_done_is_one_sentence(llm: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"There is no model at .* make it: merchgraph train tmf"):
        Tmf.load(tmp_path)
    (tmp_path / checkpoint.WEIGHTS).write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be read"):
        Tmf.load(tmp_path)
    with pytest.raises(SetupError, match="neither smollm2-135m nor a folder with"):
        training.train(toy_shop(), quick(Path("nowhere")), tmp_path / "a")
    with pytest.raises(SetupError, match="no household came back"):
        training.train(toy_shop(), quick(llm, least=10_000), tmp_path / "b")
    with pytest.raises(SetupError, match="torch sees no GPU"):
        training.train(toy_shop(), quick(llm, device="cuda", modalities=()), tmp_path / "c")
    model = Tmf(quick(llm, warm_steps=0, joint_steps=0, modalities=()))
    with pytest.raises(SetupError, match="was not fitted"):
        model.rank(PAST, SLATE)
    model.fit(toy_shop().items, toy_shop().events)
    with pytest.raises(SetupError, match="cannot rank the item 'tea 99'"):
        model.rank(PAST, ["tea 99"])
    assert model.rank(PAST, []).items == []


def test_a_model_knows_nothing_from_the_cut_on(llm: Path, tmp_path: Path) -> None:
    before = START + timedelta(weeks=8)
    store = toy_shop()
    early = Events(store.events.frame.filter(pl.col("time") < before))
    cut = Shop("toy", store.items, early, fingerprint="toy")
    whole = training.train(store, quick(llm), tmp_path / "a", before=before)
    short = training.train(cut, quick(llm), tmp_path / "b", before=before)
    assert whole.kept.items == short.kept.items
    np.testing.assert_array_equal(whole.kept.counts, short.kept.counts)
    assert whole.rank(PAST, SLATE) == short.rank(PAST, SLATE)


def test_graphs_call_it_as_a_tool(llm: Path) -> None:
    model = Tmf(quick(llm, modalities=(), warm_steps=0, joint_steps=0))
    model.fit(toy_shop().items, toy_shop().events)
    tool = model.as_tool()
    assert tool.name == "rank_slate"
    bought = ["tea 0", "tea 1"]
    found = tool.invoke({"bought": bought, "candidates": SLATE})
    assert found == model.rank(Past(long_term=bought), SLATE).items


def test_it_is_a_source_and_a_signal_for_agents(llm: Path) -> None:
    store = toy_shop()
    assert isinstance(Tmf(), ReadsSlates)
    model = training.train(store, quick(llm), checkpoint.home("tmf", "toy"))
    found = candidates.gather(store, ["tmf"], long_term=["tea 0", "tea 1"], session=[], k=3)
    assert [one.sources for one in found] == [("tmf",)] * 3
    values = signals(store, PAST, [*SLATE, "unheard of"], ["tmf"])["tmf"]
    ranked = model.rank(PAST, SLATE)
    assert sorted(SLATE, key=lambda item: -values[SLATE.index(item)]) == ranked.items
    assert values[-1] == min(values)
    assert model.slate(PAST, ["unheard of"]) == [0.0]


def test_importing_loads_no_torch() -> None:
    code = (
        "import sys; from merchgraph.tools.tmf.train import PRESETS\n"
        "from merchgraph.tools.tmf.tool import Tmf\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'peft')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
