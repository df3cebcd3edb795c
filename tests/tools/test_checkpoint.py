"""A trained model on disk: whole or not there, and never with another's settings."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.checkpoint import as_bytes, as_texts, command, home, load, save

COMMAND = "merchgraph train tea"


class Brew(BaseModel):
    model_config = ConfigDict(extra="forbid")

    minutes: int = 3


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid")

    grams: float


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    weights = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "n": np.array(7)}
    save(tmp_path / "new", {**weights, "items": as_bytes(["a", "b"])}, Brew(minutes=4), "# Tea\n")
    config, tensors = load(tmp_path / "new", Brew, COMMAND)
    assert config == Brew(minutes=4)
    assert tensors["w"].tolist() == weights["w"].tolist()
    assert tensors["n"] == 7
    assert as_texts(tensors["items"]) == ["a", "b"]
    assert json.loads((tmp_path / "new" / "config.json").read_text()) == {"minutes": 4}
    assert (tmp_path / "new" / "README.md").read_text() == "# Tea\n"
    assert len(list((tmp_path / "new").iterdir())) == 3


def test_a_newer_model_replaces_the_older(tmp_path: Path) -> None:
    save(tmp_path, {"w": np.zeros(2)}, Brew(), "old")
    save(tmp_path, {"v": np.ones(3)}, Brew(minutes=9), "new")
    config, tensors = load(tmp_path, Brew, COMMAND)
    assert config.minutes == 9
    assert list(tensors) == ["v"]


def test_a_model_that_is_not_there_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=rf"There is no model at .*; make it: {COMMAND}$"):
        load(tmp_path / "none", Brew, COMMAND)
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="There is no model at"):
        load(tmp_path / "file", Brew, COMMAND)


def test_a_cut_model_is_not_read(tmp_path: Path) -> None:
    save(tmp_path, {"w": np.zeros(200)}, Brew(), "")
    file = tmp_path / "model.safetensors"
    whole = file.read_bytes()
    for data in (b"", whole[:50], whole[:-9], b"\xff" * 100):
        file.write_bytes(data)
        with pytest.raises(DataError, match=f"cannot be read .*make it anew: {COMMAND}"):
            load(tmp_path, Brew, COMMAND)


def test_another_tools_model_is_told_by_its_settings(tmp_path: Path) -> None:
    save(tmp_path, {"w": np.zeros(2)}, Brew(), "")
    with pytest.raises(DataError, match=r"other settings .*\(grams: Field required\)"):
        load(tmp_path, Leaf, COMMAND)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be written to"):
        save(tmp_path / "file", {}, Brew(), "")


def test_a_model_is_kept_by_tool_and_shop() -> None:
    assert home("complement", "online_retail").parts[-3:] == (
        "models", "complement", "online_retail",
    )  # fmt: skip
    cut = datetime(2017, 11, 20, 8)
    assert home("gmvo", "shop", cut).name == "shop@2017-11-20T08%3A00%3A00"
    assert command("gmvo", "online_retail", cut) == (
        "merchgraph train gmvo --data online_retail --before 2017-11-20T08:00:00"
    )
    assert command("gmvo", "tea") == "merchgraph train gmvo --data 'the mapping file of tea'"
    assert home("gmvo", "../etc").parts[-2:] == ("gmvo", "..%2Fetc")


@given(st.lists(st.text()))
def test_any_texts_come_back(texts: list[str]) -> None:
    assert as_texts(as_bytes(texts)) == texts
