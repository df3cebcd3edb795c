from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError, ToolError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools import embedding
from merchgraph.tools.embedding import Embedder, SentenceModel, UserWeights
from merchgraph.tools.vectors import KEY_BYTES, Floats, VectorStore

WIDTH = 8
per_example = hypothesis_settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class HashModel:
    """Vectors made of a text's hash; remembers the texts it was asked for."""

    width = WIDTH

    def __init__(self, fingerprint: str = "hash") -> None:
        self.fingerprint = fingerprint
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Floats:
        self.asked += texts
        digests = [hashlib.sha256(text.encode()).digest()[:WIDTH] for text in texts]
        return np.array([list(digest) for digest in digests], dtype=np.float32) + 1


def key_of(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[Path]:
    with use_settings(cache=tmp_path):
        yield tmp_path


def stored_in(cache: Path) -> Path:
    (path,) = (cache / "vectors").iterdir()
    return path


def test_a_text_is_embedded_once_however_often_and_by_whomever_it_is_asked_for() -> None:
    first, second = HashModel(), HashModel()
    vectors = Embedder(first).embed(["b", "a", "b"])
    again = Embedder(second).embed(["a", "b"])
    assert sorted(first.asked) == ["a", "b"]
    assert second.asked == []
    np.testing.assert_array_equal(vectors, again[[1, 0, 1]])


def test_an_open_embedder_finds_what_another_one_adds() -> None:
    late, early = HashModel(), HashModel()
    reader, writer = Embedder(late), Embedder(early)
    reader.embed(["a"])
    writer.embed(["a", "b"])
    reader.embed(["a", "b"])
    assert (late.asked, early.asked) == (["a"], ["b"])


def test_vectors_of_two_models_are_never_mixed() -> None:
    other = HashModel("other")
    Embedder(HashModel()).embed(["a"])
    Embedder(other).embed(["a"])
    assert other.asked == ["a"]


@per_example
@given(st.lists(st.text(st.characters(), max_size=20)))
def test_any_texts_give_one_normalised_row_each(texts: list[str]) -> None:
    vectors = Embedder(HashModel()).embed(texts)
    assert vectors.shape == (len(texts), WIDTH)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_array_equal(vector, vectors[texts.index(text)])


def test_progress_counts_the_new_texts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_CHUNK", 2)
    embedder = Embedder(HashModel())
    embedder.embed(["a"])
    seen: list[tuple[int, int]] = []
    embedder.embed(["a", "b", "c", "d", "b"], progress=lambda *at: seen.append(at))
    embedder.embed(["a", "b"], progress=lambda *at: seen.append(at))
    assert seen == [(2, 3), (3, 3)]


def test_a_stopped_run_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_CHUNK", 3)
    texts = [f"text {n}" for n in range(10)]

    def stop(done: int, total: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Embedder(HashModel()).embed(texts, progress=stop)
    rest = HashModel()
    Embedder(rest).embed(texts)
    assert len(rest.asked) == 4


def test_a_killed_run_goes_on_where_it_was(cache: Path) -> None:
    program = """
        import os, signal
        import numpy as np
        from merchgraph.tools import embedding

        class Model:
            fingerprint, width, calls = "hash", 8, 0
            def encode(self, texts):
                self.calls += 1
                if self.calls == 3:
                    os.kill(os.getpid(), signal.SIGKILL)
                return np.ones((len(texts), 8), np.float32)

        embedding._CHUNK = 5
        embedding.Embedder(Model()).embed([f"text {n}" for n in range(20)])
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"MERCHGRAPH_CACHE": str(cache)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    rest = HashModel()
    Embedder(rest).embed([f"text {n}" for n in range(20)])
    assert len(rest.asked) == 10


@per_example
@given(cut=st.integers(1, 10 * 52 - 1))
def test_a_torn_file_costs_only_what_was_torn_off(cache: Path, cut: int) -> None:
    texts = [f"text {n}" for n in range(10)]
    vectors = Embedder(HashModel()).embed(texts)
    path = stored_in(cache)
    record = path.stat().st_size // 10
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - cut)
    rest = HashModel()
    np.testing.assert_array_equal(Embedder(rest).embed(texts), vectors)
    assert len(rest.asked) == -(-cut // record)
    path.unlink()


@per_example
@given(at=st.integers(0, 10 * 52 - 1), bit=st.integers(0, 7))
def test_a_damaged_record_is_the_only_one_computed_again(cache: Path, at: int, bit: int) -> None:
    texts = [f"text {n}" for n in range(10)]
    vectors = Embedder(HashModel()).embed(texts)
    path = stored_in(cache)
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)
    again = HashModel()
    np.testing.assert_array_equal(Embedder(again).embed(texts), vectors)
    assert len(again.asked) == 1
    whole = HashModel()
    Embedder(whole).embed(texts)
    assert whole.asked == []
    path.unlink()


def test_a_store_deleted_under_an_open_embedder_is_made_again(cache: Path) -> None:
    model = HashModel()
    embedder = Embedder(model)
    embedder.embed(["a", "b"])
    stored_in(cache).unlink()
    embedder.embed(["a"])
    assert model.asked == ["a", "b", "a"]


def test_threads_that_want_the_same_texts_compute_them_once() -> None:
    model = HashModel()
    embedder = Embedder(model)
    texts = [f"text {n}" for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: embedder.embed(texts), range(8)))
    assert len(model.asked) == 200
    for vectors in results[1:]:
        np.testing.assert_array_equal(vectors, results[0])


@pytest.mark.parametrize(
    "bad", [np.full((1, WIDTH), np.nan), np.ones((1, WIDTH + 1)), np.ones((2, WIDTH))]
)
def test_a_model_that_gives_no_proper_vector_is_an_error_and_keeps_nothing(
    bad: Floats, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = HashModel()
    monkeypatch.setattr(model, "encode", lambda texts: bad)
    with pytest.raises(ToolError, match="embedding model gave"):
        Embedder(model).embed(["a"])
    assert not (cache / "vectors").exists()


def test_a_cache_that_cannot_be_written_to_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        use_settings(cache=tmp_path / "file"),
        pytest.raises(SetupError, match="MERCHGRAPH_CACHE"),
    ):
        Embedder(HashModel()).embed(["a"])


def test_a_user_is_the_weighted_mean_of_the_latest_and_the_session_texts() -> None:
    embedder = Embedder(HashModel())
    a, b, c = embedder.embed(["a", "b", "c"])
    weights = UserWeights(last=2, session=0.25)
    user = embedder.embed_user(["old", "a", "b"], ["c"], weights)
    np.testing.assert_allclose(user, 0.75 * (a + b) / 2 + 0.25 * c, atol=1e-6)
    np.testing.assert_allclose(embedder.embed_user(["a", "b"]), (a + b) / 2, atol=1e-6)
    np.testing.assert_allclose(embedder.embed_user([], ["c"], weights), c, atol=1e-6)
    np.testing.assert_allclose(embedder.embed_user(["a"], ["c"], UserWeights(last=0)), c, atol=1e-6)


def test_a_user_without_texts_has_no_vector() -> None:
    with pytest.raises(ToolError, match="no vector"):
        Embedder(HashModel()).embed_user([])


def test_a_model_that_is_not_on_this_machine_is_a_setup_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SetupError, match="neither"):
        SentenceModel("someone/on-the-hub")
    with pytest.raises(SetupError, match="neither"):
        SentenceModel(tmp_path)
    monkeypatch.setattr(embedding, "_PACKAGES", {embedding.DEFAULT_MODEL: "no_such_package"})
    with pytest.raises(SetupError, match=r"'no-such-package'.*pip install 'merchgraph\[local\]'"):
        SentenceModel()


def test_new_texts_without_sentence_transformers_are_a_setup_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(SetupError, match=r"'sentence_transformers'.*merchgraph\[local\]"):
        Embedder().embed(["a"])


def test_known_texts_are_served_without_importing_torch(cache: Path) -> None:
    model = SentenceModel()
    path = cache / "vectors" / f"{model.fingerprint}-{model.width}.vectors"
    VectorStore(path, width=model.width).append([key_of("a")], np.ones((1, 384), np.float32))
    program = """
        import sys
        from merchgraph.tools.embedding import Embedder

        assert Embedder().embed(["a", "a"]).shape == (2, 384)
        heavy = {"torch", "sentence_transformers", "transformers", "chromadb"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    subprocess.run(command, env={"MERCHGRAPH_CACHE": str(cache)}, check=True)


def test_the_default_model_embeds_hostile_texts_quietly_and_without_a_network(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    hostile = ["", " \n\t", "x" * 100_000, "a b\n" * 25_000, "\ud800", "\x00", "🥛" * 999, "ﷺ٪"]
    embedder = Embedder()
    vectors = embedder.embed([*hostile, "oat milk", "soy milk", "motor oil"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    oat, soy, motor = vectors[-3:]
    assert oat @ soy > oat @ motor
    assert capfd.readouterr() == ("", "")
