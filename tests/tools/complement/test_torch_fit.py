"""The batches of torch, on the processor: the losses of the compiled loop, and what they learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.complement import fit
from merchgraph.tools.complement.data import read
from merchgraph.tools.complement.fit import passes
from merchgraph.tools.complement.model import Model
from merchgraph.tools.complement.torch_fit import TorchPasses
from merchgraph.tools.complement.train import train
from tests.tools.complement.planted import QUICK, Stop, given, on_the_processor, shop, stopped_after

MADE = given(
    [["tv", "mount"], ["mount", "cable"], ["pan", "oil"], ["tea", "jam"]] * 60,
    facts={"brand": {"tv": "Acme", "pan": "Iron"}},
)
WHOLE = QUICK.with_(user=True, context=True, tokens=("brand",), rate=0.2, device="cuda")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The same bits again: the slopes of rows are added up in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def names_after(model: Model, item: str) -> str:
    log = read(MADE.items, MADE.events, WHOLE)
    row = model.by_basket([[log.items.index(item)]])[0]
    row[log.items.index(item)] = -np.inf
    return log.items[int(row.argmax())]


@pytest.mark.parametrize("changes", [{}, {"pooling": "max"}, {"user": False, "context": False}])
def test_batches_learn_the_chain(changes: dict[str, object]) -> None:
    config = WHOLE.with_(**changes)
    log = read(MADE.items, MADE.events, config)
    model, run = Model.fresh(log, config), TorchPasses(log, config, "cpu")
    for epoch in range(config.epochs):
        assert run.run(model, epoch) == log.observations
    assert [names_after(model, item) for item in ("tv", "tea", "pan")] == ["mount", "jam", "oil"]
    assert model.user_token.shape[0] == 0


def test_the_first_loss_is_that_of_knowing_nothing() -> None:
    log = read(MADE.items, MADE.events, WHOLE)
    run = TorchPasses(log, WHOLE, "cpu")
    tables = {n: torch.from_numpy(a) for n, a in Model.fresh(log, WHOLE).tensors().items()}
    target, near, user = run._observations(np.random.default_rng(0))
    assert near.shape == (log.observations, WHOLE.history)
    loss = run._loss(tables, target, near, user).item()
    # outputs begin at zero: each of the 6 labels costs log 2, and so do those of a token
    tokens = np.diff(log.tokens.ends)[near[:, 0].numpy()].mean()
    assert loss == pytest.approx(6 * math.log(2) * (1 + tokens), rel=1e-4)


def test_histories_are_the_places_before_in_the_same_basket() -> None:
    made = given([["a", "b", "c"], ["d", "e"]] * 5)
    log = read(made.items, made.events, QUICK)
    target, near, _ = TorchPasses(log, QUICK, "cpu")._observations(np.random.default_rng(1))
    for item, history in zip(target.tolist(), near.tolist(), strict=True):
        kept = [n for n in history if n >= 0]
        assert kept
        assert history[0] >= 0
        group = {"a", "b", "c"} if log.items[item] in "abc" else {"d", "e"}
        assert {log.items[n] for n in kept} < group
        assert item not in kept


def test_a_missing_gpu_is_said_with_the_preset() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    log = read(MADE.items, MADE.events, WHOLE)
    with pytest.raises(SetupError, match=r"device 'cuda', but torch sees none.*--preset cpu"):
        passes(log, WHOLE)


def test_a_long_history_in_a_short_log_is_what_there_is() -> None:
    made, config = given([["a", "b"]]), QUICK.with_(history=50)
    log = read(made.items, made.events, config)
    _, near, _ = TorchPasses(log, config, "cpu")._observations(np.random.default_rng(0))
    assert near.shape == (1, 50)
    assert (near[0, 1:] == -1).all()


@pytest.mark.parametrize("least", [0, 99])
def test_a_log_without_a_pair_leaves_the_model_as_it_is(least: int) -> None:
    made, config = given([["a"], ["b"]]), WHOLE.with_(least=least)
    log = read(made.items, made.events, config)
    assert len(log.items) == (0 if least else 2)
    model, fresh = Model.fresh(log, config), Model.fresh(log, config)
    assert TorchPasses(log, config, "cpu").run(model, 0) == 0
    for name, array in model.tensors().items():
        np.testing.assert_array_equal(array, fresh.tensors()[name])


def test_a_stopped_training_goes_on_with_the_sums_of_squares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    monkeypatch.setattr(fit, "passes", on_the_processor)
    config, store = WHOLE.with_(epochs=3), shop(MADE)
    whole = train(store, config, tmp_path / "whole").model.tensors()
    for passes_done in (2, 3, 5):
        folder = tmp_path / f"part {passes_done}"
        with pytest.raises(Stop):
            train(store, config, folder, progress=stopped_after(passes_done))
        again = train(store, config, folder).model.tensors()
        for name, array in again.items():
            np.testing.assert_array_equal(array, whole[name], err_msg=name)
