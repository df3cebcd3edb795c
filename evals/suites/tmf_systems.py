"""What the TMF suite compares: a language model untuned, tuned on text, with one vector, with three.

A trained system is a config, trained once per seed on the log before the cut. Its training lies in the
cache while it lasts, its opinions when it is done, so that a suite that was stopped goes on where it
stood; all systems share one warm-up per seed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.evals.baselines.cornac_nets import Effort
from merchgraph.evals.baselines.tmf_sasrec import sasrec
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.files import put
from merchgraph.runtime.settings import settings
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.data.tables import Items
from merchgraph.tools.tmf.config import MODALITIES, Config
from merchgraph.tools.tmf.data import Question
from merchgraph.tools.tmf.graph import Relations
from merchgraph.tools.tmf.items import Known
from merchgraph.tools.tmf.lesson import View, knowledge, lesson_with, model_of

VERSION = "3"  # raise it when the same config trains another model
KEEP = 10
"""Questions after which opinions are kept."""
WARM_FIELDS = ("llm", "least", "weeks", "history", "slate", "positives", "words", "rank", "alpha",
               "dropout", "warm_steps", "batch", "rate", "precision", "seed", "device")  # fmt: skip
"""What the warm-up depends on."""
EFFORT = Effort(epochs=3)
FUSION_FIELDS = ("fusion", "amsa", "cma", "wide", "width", "heads", "graph_width", "graph_layers",
                 "graph_steps", "likeness", "fuse_steps", "align_steps", "fusion_rate")  # fmt: skip
"""What a system without vectors does not depend on."""
USUAL = Config().model_dump()
Kind = Literal["baseline", "ablation", "method"]


class Trained(NamedTuple):
    """A system with a language model.

    Attributes:
        name, about: for the report.
        kind: of system.
        config: its settings but the seed.
    """

    name: str
    about: str
    kind: Kind
    config: Config


class Opinions(NamedTuple):
    """What a system thinks of each candidate.

    Attributes:
        likely: (Q, C) float32 — mean log-likelihoods.
        fused: (Q, C) float32 — scores of the fusion, 0 without one.
        answers: (G,) what the model wrote by itself on the first questions.
        trust: what a likelihood counts beside a score.
    """

    likely: NDArray[np.float32]
    fused: NDArray[np.float32]
    answers: tuple[str, ...]
    trust: float = 1.0

    @property
    def both(self) -> NDArray[np.float32]:
        """(Q, C) float32 — what the tool ranks by."""
        return self.trust * self.likely + self.fused


def systems(base: Config) -> list[Trained]:
    """All systems with a language model, the tool first."""

    def changed(**changes: object) -> Config:
        return Config.model_validate(base.model_dump() | changes)

    none = {"modalities": (), "warm_steps": 0, "align_steps": 0, "joint_steps": 0}
    without = [
        Trained(f"tmf without {name}", f"no {name} vectors", "ablation",
                changed(modalities=tuple(m for m in MODALITIES if m != name)))
        for name in MODALITIES
    ]  # fmt: skip
    return [
        Trained("tmf", "text, graph and image, AMSA over the history, CMA", "method", base),
        Trained("text-only LoRA", "as many steps on text", "baseline", changed(modalities=())),
        Trained("untuned LLM", "the language model as it comes", "baseline", changed(**none)),
        Trained("LLaRA-style", "one LightGCN vector per item, an MLP", "baseline",
                changed(fusion="single", modalities=("graph",))),
        *without,
        Trained("tmf without AMSA", "modalities do not see each other first", "ablation",
                changed(amsa="none")),
        Trained("tmf with AMSA by item", "self-attention within an item only", "ablation",
                changed(amsa="item")),
        Trained("tmf without wide", "counts reach the score through the layers alone", "ablation",
                changed(wide=False)),
        Trained("tmf without CMA", "no cross-modality attention", "ablation", changed(cma=False)),
        Trained("tmf without warm-up", "vectors from the first step", "ablation",
                changed(warm_steps=0)),
        Trained("tmf with mean pooling", "the mean of three vectors", "ablation",
                changed(fusion="mean")),
    ]  # fmt: skip


@dataclass
class Trainer:
    """Trains systems on one view of a log and asks them the same questions.

    Attributes:
        data: names the log and its cut.
        items: the catalogue.
        seen: the log before the cut.
        asked: Q questions with slates of one size.
        generate: how many of them are answered freely as well.
    """

    data: str
    items: Items
    seen: View
    asked: Sequence[Question]
    generate: int
    _known: dict[str, Known] = field(default_factory=dict)

    def known(self, config: Config, progress: Progress = quiet) -> Known:
        """Vectors of the goods, shared by systems whose graphs are the same."""
        width, layers, steps = config.graph_width, config.graph_layers, config.graph_steps
        key = f"{width} {layers} {steps} {config.seed} {config.weeks} {config.least}"
        whole = f"{key} {config.history} {config.likeness}"
        if whole not in self._known:
            file = self.folder / f"graph-{_name(VERSION, self.data, key)}.npz"
            graph = Relations(**_arrays(file)) if file.exists() else None
            self._known[whole] = knowledge(self.seen, config, progress, graph)
            if graph is None:
                _put(file, self._known[whole].relations._asdict())
        return self._known[whole]

    @cached_property
    def folder(self) -> Path:
        """Of the suite in the cache."""
        return settings().cache_dir / "tmf-suite"

    def opinions(self, system: Trained, seed: int, progress: Progress = quiet) -> Opinions:
        """Of one system, from the cache where they were found before.

        Raises:
            SetupError: a package is missing, or the cache cannot be written.
        """
        config = system.config.model_copy(update={"seed": seed})
        if not config.seeing:  # what a fusion would be like is no part of such a system
            config = config.model_copy(update={name: USUAL[name] for name in FUSION_FIELDS})
        name = _name(VERSION, self.data, config.model_dump_json(), self._questions, self.generate)
        done = self.folder / f"{name}.npz"
        kept = _read(done, len(self.asked))
        if kept:
            return kept
        known = self.known(config, progress) if config.seeing else None
        made = lesson_with(self.seen, known, config)
        told = {key: value for key, value in config.model_dump().items() if key in WARM_FIELDS}
        made.warm = self.folder / f"warm-{_name(VERSION, self.data, json.dumps(told))}"
        training = self.folder / f"training-{name}"
        made.learn((training, self.data), progress)
        # of the tool and its parts an untaught language model tells nothing; a baseline is nothing else
        every = any(config.steps) or system.kind == "baseline"
        found = self._ask(made, done.with_suffix(".part.npz"), every, progress)
        _write(done, found)
        done.with_suffix(".part.npz").unlink(missing_ok=True)
        shutil.rmtree(training, ignore_errors=True)
        return found

    def sasrec(self, seed: int, effort: Effort = EFFORT) -> Opinions:
        """Of SASRec, from the cache where they were found before.

        Raises:
            SetupError: Cornac is not installed, or the cache cannot be written.
        """
        file = (
            self.folder / f"sasrec-{_name(VERSION, self.data, effort, seed, self._questions)}.npz"
        )
        found = _read(file, len(self.asked))
        if found is None:
            scores = sasrec(self.seen.past, self.asked, effort, seed)
            found = Opinions(scores, np.zeros_like(scores), ())
            _write(file, found)
        return found

    @cached_property
    def _questions(self) -> str:
        told = [(q.user, q.asked, q.slate.tolist(), q.right.tolist()) for q in self.asked]
        return _name(repr(told))

    def _ask(self, made: object, part: Path, every: bool, progress: Progress) -> Opinions:
        """Opinions on all questions, of the language model if `every`; some are kept on the way."""
        from merchgraph.tools.tmf.learn import Lesson

        assert isinstance(made, Lesson)
        model = model_of(self.items, self.seen, made)
        early = _read(part) or Opinions(*_empty(self.asked), ())
        likely, fused, answers = [*early.likely], [*early.fused], [*early.answers]
        for number, question in enumerate(self.asked):
            if number < len(likely):
                continue
            opinion = model.opinion(question, every=every)
            likely.append(opinion.likely.astype(np.float32))
            fused.append(opinion.fused.astype(np.float32))
            if every and number < self.generate:
                answers.append(model.answer(question))
            progress(number + 1, len(self.asked), "asking")
            if (number + 1) % KEEP == 0:
                _write(part, Opinions(np.stack(likely), np.stack(fused), tuple(answers)))
        trust = float(model.network.trust)
        return Opinions(np.stack(likely), np.stack(fused), tuple(answers), trust)


def _empty(asked: Sequence[Question]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    nothing = np.zeros((0, len(asked[0].slate)), np.float32)
    return nothing, nothing


def _name(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def _read(file: Path, questions: int | None = None) -> Opinions | None:
    """What was kept; None where there is nothing, or not as many."""
    if not file.exists():
        return None
    kept = _arrays(file)
    answers = tuple(json.loads(str(kept.pop("answers"))))
    found = Opinions(**kept | {"trust": float(kept["trust"])}, answers=answers)
    return found if questions in (None, len(found.likely)) else None


def _write(file: Path, found: Opinions) -> None:
    _put(file, found._asdict() | {"answers": np.array(json.dumps(found.answers))})


def _arrays(file: Path) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as kept:
        return dict(kept)


def _put(file: Path, arrays: Mapping[str, Any]) -> None:
    data = BytesIO()
    np.savez(data, **arrays)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        put(file, data.getvalue())
    except OSError as error:
        raise SetupError(
            f"Results cannot be kept in {str(file.parent)!r} ({error.strerror or error}); set "
            f"MERCHGRAPH_CACHE to a folder that can be written to, or make room there."
        ) from error
