"""Whatever a model's file holds, loading it gives a tool that answers, or one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from merchgraph.runtime.errors import DataError, MerchgraphError
from merchgraph.tools.checkpoint import WEIGHTS, as_bytes, load, save
from merchgraph.tools.complement.tool import Complement
from merchgraph.tools.contract import Past
from merchgraph.tools.fairness.tool import FairRanker
from merchgraph.tools.fairness.train import Config as FairConfig
from merchgraph.tools.gmvo.config import Config as SimilarConfig
from merchgraph.tools.gmvo.learn import Lists
from merchgraph.tools.gmvo.tool import Similar
from merchgraph.tools.reactions.config import Config as FaceConfig
from merchgraph.tools.reactions.made import FEATURES, Made, made
from merchgraph.tools.reactions.stream import Detector, Frame
from merchgraph.tools.reactions.train import fit_detector
from tests.fuzz.test_files import EXAMPLES
from tests.fuzz.wild import spoilt
from tests.tools.complement import planted

Tensors = dict[str, Any]
BASKETS = [["tea", "milk"], ["tea", "jam"], ["milk", "jam", "rye"]] * 3


@dataclass(frozen=True)
class Kept:
    """A tool's file.

    Attributes:
        make: its tensors and the config.
        use: loads it from a folder and asks it something.
    """

    make: Callable[[], tuple[Tensors, BaseModel]]
    use: Callable[[Path], object]


@cache
def complement() -> tuple[Tensors, BaseModel]:
    learned = planted.trained(planted.given(BASKETS), epochs=1).learned
    return learned.tensors(), learned.config


def use_complement(folder: Path) -> object:
    tool = Complement.load(folder)
    return tool.scores([Past(session=[tool.items[0]])]), tool.recommend([Past()], 2)


def similar() -> tuple[Tensors, BaseModel]:
    lists = Lists(
        column=np.array([0, 1, 2]),
        starts=np.array([0, 2, 3, 3]),
        target=np.array([1, 2, 0]),
        chance=np.array([0.5, 0.5, 1.0], np.float32),
    )
    return {"items": as_bytes(["a", "b", "c", "d"]), **lists._asdict()}, SimilarConfig()


def use_similar(folder: Path) -> object:
    tool = Similar.load(folder)
    return [tool.similar(item) for item in tool.items], tool.scores(
        [Past(session=list(tool.items))]
    )


def fair() -> tuple[Tensors, BaseModel]:
    numbers = {"targets": np.array([1.0, 2.0]), "subsidies": np.array([0.1, 0.0])}
    return {"sellers": as_bytes(["acme", "zeta"]), **numbers}, FairConfig()


def use_fair(folder: Path) -> object:
    tool = FairRanker.load(folder)
    return tool.rerank(["a", "b"], [0.5, 0.4], [1.0, 2.0], [*tool.sellers, "other"][:2], k=2)


@cache
def detector() -> tuple[Tensors, BaseModel]:
    with TemporaryDirectory() as folder:
        learnt = fit_detector(made(Made(people=3, clips=4, seed=3))[0])
        learnt.save(Path(folder), FaceConfig(), "")
        return load(Path(folder), FaceConfig, "")[::-1]


def use_detector(folder: Path) -> object:
    tool = Detector.load(folder)
    return [tool.see(Frame(n / 5, dict.fromkeys(FEATURES, 0.5))) for n in range(20)]


KEPT: Mapping[str, Kept] = {
    "complement": Kept(complement, use_complement),
    "gmvo": Kept(similar, use_similar),
    "fairness": Kept(fair, use_fair),
    "reactions": Kept(detector, use_detector),
}
WHATEVER = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


@st.composite
def other_tensors(draw: st.DrawFn, good: Tensors) -> Tensors:
    """A tensor that is gone, cut, turned, of another type, or holds what cannot be."""
    changed = dict(good)
    name = draw(st.sampled_from(sorted(good)))
    tensor = good[name]
    hows: list[Callable[[], Any]] = [
        lambda: tensor[:-1], lambda: tensor[:0], lambda: tensor.T, lambda: tensor[None],
        lambda: np.concatenate([tensor, tensor]), lambda: np.zeros((), tensor.dtype),
        lambda: tensor.astype(np.float64) * np.nan, lambda: tensor.astype(np.float32) + 1e30,
        lambda: tensor.astype(np.int64) + 10**6, lambda: tensor.astype(np.int64) - 5,
        lambda: tensor.astype(np.bool_), lambda: tensor[::-1], lambda: as_bytes(["x"]),
        lambda: np.frombuffer(draw(st.binary(max_size=9)), np.uint8), lambda: tensor * 0,
    ]  # fmt: skip
    if draw(st.booleans()):
        changed[name] = draw(st.sampled_from(hows))()
    else:
        del changed[name]
    return changed


def used(kept: Kept, folder: Path) -> None:
    with np.errstate(all="ignore"):
        try:
            kept.use(folder)
        except MerchgraphError as error:
            told = str(error)
        else:
            return
    assert "\n" not in told.removesuffix("\n")


@pytest.mark.parametrize("name", KEPT)
def test_a_good_model_answers(name: str, tmp_path: Path) -> None:
    tensors, config = KEPT[name].make()
    save(tmp_path, tensors, config, "")
    assert KEPT[name].use(tmp_path) is not None


@pytest.mark.parametrize("name", KEPT)
def test_other_tensors_are_taken_or_refused(name: str) -> None:
    kept = KEPT[name]
    tensors, config = kept.make()

    @WHATEVER
    @given(other_tensors(tensors))
    def each(changed: Tensors) -> None:
        with TemporaryDirectory() as folder:
            save(Path(folder), changed, config, "")
            used(kept, Path(folder))

    each()


@pytest.mark.parametrize("name", ["gmvo", "fairness"])
def test_spoilt_weights_are_taken_or_refused(name: str, tmp_path: Path) -> None:
    kept = KEPT[name]
    tensors, config = kept.make()
    save(tmp_path, tensors, config, "")

    @WHATEVER
    @given(spoilt((tmp_path / WEIGHTS).read_bytes()))
    def each(data: bytes) -> None:
        with TemporaryDirectory() as folder:
            (Path(folder) / WEIGHTS).write_bytes(data)
            used(kept, Path(folder))

    each()


@pytest.mark.parametrize("name", KEPT)
def test_a_tensor_that_is_gone_is_named(name: str, tmp_path: Path) -> None:
    tensors, config = KEPT[name].make()
    gone = next(iter(tensors))
    save(tmp_path, {key: value for key, value in tensors.items() if key != gone}, config, "")
    with pytest.raises(
        DataError, match=rf"does not fit together .*'{gone}'.*; make it anew: merch"
    ):
        KEPT[name].use(tmp_path)
