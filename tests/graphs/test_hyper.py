"""The click model of a new ad: what is looked up, asked, checked, worked out and kept."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from merchgraph.graphs import hyper
from merchgraph.graphs.front import checked
from merchgraph.graphs.hyper import Context, Request
from merchgraph.graphs.hyper_state import QUANTILES, content
from merchgraph.runtime.errors import EndpointError, SetupError
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.runtime.scripted import Always, Answer, scripted
from merchgraph.tools.ctr import weights as steps
from merchgraph.tools.ctr.images import content as content_of
from merchgraph.tools.ctr.store import Store
from tests.graphs.hyper_ads import AD, GOOD, READING, REASON, good, kept, named, replies, reply, run
from tests.graphs.hyper_ads import pool as pool
from tests.tools.ctr.small_pool import NAMES, small_pool

pytestmark = pytest.mark.usefixtures("pool")
GONE = EndpointError("The model server did not answer.")
ODDS: Answer = {"--": 0.1, "-": 0.1, "0": 0.2, "+": 0.4, "++": 0.2}


def test_a_run_goes_from_neighbours_to_calibrated_weights() -> None:
    result, model = run()
    assert [one.id for one in result.neighbours] == ["r0", "r1", "r2", "r3", "r4"]
    assert (result.ad, result.origin, result.errors) == ("new", "model", [])
    assert [weight.feature for weight in result.weights] == NAMES
    assert (result.consistency, result.reading and result.reading.intercept) == (1, -3.5)
    assert [agent for agent, _, _ in model.script.asked] == ["read", "write"]
    tea = result.weights[0]
    assert (tea.written, tea.direction, tea.because) == (0.5, "+", "they drink tea")
    assert (result.stored, result.seen, result.usage.calls) == (None, None, 2)


def test_each_step_is_in_the_result_and_follows_from_the_one_before() -> None:
    result, _ = run(share=0.6)
    shop = small_pool()
    low, high = shop.quantiles((0.01, 0.99))
    found = {row.feature: row for row in result.weights}
    table = np.array([one.weights for one in result.neighbours])
    cosines = [one.cosine for one in result.neighbours]
    mean, norm = steps.mean(table, cosines), steps.usual_norm(table)
    clipped = steps.clip(np.array(list(GOOD.values())) / 100, low, high)
    scaled = steps.clip(steps.rescale(clipped, norm), low, high)
    for place, name in enumerate(NAMES):
        row = found[name]
        assert row.written == GOOD[name] / 100
        assert row.clipped == pytest.approx(clipped[place], abs=1e-6)
        assert row.scaled == pytest.approx(scaled[place], abs=1e-6)
        assert row.neighbours == pytest.approx(mean[place], abs=1e-6)
        assert row.weight == pytest.approx(0.6 * scaled[place] + 0.4 * mean[place], abs=1e-6)


def test_the_intercept_gives_the_reference_users_the_neighbours_rate() -> None:
    result, _ = run()
    near, shop = result.calibration, small_pool()
    cosines = np.array([one.cosine for one in result.neighbours])
    rates = np.array([one.rate for one in result.neighbours])
    assert near.wanted == pytest.approx(cosines @ rates / cosines.sum(), abs=1e-6)
    logits = shop.users @ np.array(list(kept(result).values())) + result.intercept
    assert np.mean(1 / (1 + np.exp(-logits))) == pytest.approx(near.wanted, rel=1e-3)
    assert near.predicted == pytest.approx(near.wanted, rel=1e-3)
    assert abs(near.started - near.wanted) > abs(near.predicted - near.wanted)


@pytest.mark.parametrize(("share", "of"), [(0.0, "neighbours"), (1.0, "scaled")])
def test_lambda_goes_from_the_neighbours_to_the_model(share: float, of: str) -> None:
    result, _ = run(share=share)
    assert all(row.weight == getattr(row, of) for row in result.weights)


def test_features_are_asked_for_in_batches_of_one_length() -> None:
    seen: list[list[str]] = []

    def answer(messages: Sequence[BaseMessage]) -> Answer:
        seen.append(named(messages))
        return good(messages)

    result, model = run(replies(write=Always(answer)), batch=4)
    assert seen == [NAMES[:3], NAMES[3:]]
    assert [lane for agent, lane, _ in model.script.asked if agent == "write"] == [
        NAMES[0],
        NAMES[3],
    ]
    assert result.origin == "model"


def test_the_model_is_shown_as_many_examples_as_it_should_be() -> None:
    for shots in (0, 3):
        _, model = run(shots=shots)
        text = str(model.script.asked[1][2][-1].content)
        assert text.count("an advertisement for tea") == shots
        lines = [line for line in text.splitlines() if line.startswith("- ")]
        assert [line.count("|") for line in lines] == [2 if shots else 1] * 5
    shop = small_pool()
    shown = [round(weight * 100) for weight in shop.weights[:3, 0]]
    assert lines[0].endswith(" ".join(f"{weight:+d}" for weight in shown))


def test_zero_shots_still_lean_on_the_neighbours() -> None:
    result, _ = run(shots=0, share=0)
    assert kept(result) == pytest.approx(kept(run(shots=5, share=0)[0]))


def test_what_was_read_is_told_to_the_writer() -> None:
    _, model = run()
    assert "Audience: tea drinkers" in str(model.script.asked[1][2][-1].content)


def test_levels_are_quantiles_of_the_pool_in_proportion_to_their_probability() -> None:
    result, model = run(replies(level=Always(ODDS)), by="levels", share=1)
    shop = small_pool()
    values = shop.quantiles((0.05, 0.25, 0.5, 0.75, 0.95)).T
    written = [row.written for row in result.weights]
    np.testing.assert_allclose(written, values @ [0.1, 0.1, 0.2, 0.4, 0.2], atol=1e-5)  # type: ignore[arg-type]
    assert {lane for agent, lane, _ in model.script.asked if agent == "level"} == set(NAMES)
    assert (result.origin, result.consistency) == ("model", None)
    text = str(model.script.asked[1][2][-1].content)
    assert "Of the earlier ads: ad 1: +, ad 2: ++, ad 3: ++, ad 4: --, ad 5: -." in text


def test_calibrated_levels_are_what_the_ad_adds_to_no_ad() -> None:
    def answer(messages: Sequence[BaseMessage]) -> Answer:
        empty = "<ad>(no text)</ad>" in str(messages[-1].content)
        return {"--": 0.1, "-": 0.1, "0": 0.1, "+": 0.6, "++": 0.1} if empty else ODDS

    result, model = run(replies(level=Always(answer)), by="levels", calibrate=True, share=1)
    odds = np.array([1, 1, 2, 4 / 6, 2])
    values = small_pool().quantiles((0.05, 0.25, 0.5, 0.75, 0.95)).T
    written = [row.written for row in result.weights]
    np.testing.assert_allclose(written, values @ (odds / odds.sum()), atol=1e-4)  # type: ignore[arg-type]
    assert len(model.script.asked) == 1 + 2 * len(NAMES)


PNG = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(("sight", "seen"), [("sees", True), ("takes", False), ("refuses", False)])
def test_a_picture_is_shown_to_a_model_that_sees_and_to_no_other(
    sight: str, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def probed(model: object) -> str:
        return sight

    monkeypatch.setattr(hyper, "sight", probed)
    result, model = run(request=Request(text="tea", image=PNG))
    assert result.seen is seen
    for _, _, messages in model.script.asked:
        shown = str(messages[-1].content).count("image_url")
        assert shown == (2 if seen else 0)
        assert (PNG in str(messages[-1].content)) is seen
    assert result.ad == content("tea", PNG) != content("tea", "")


def test_pictures_of_examples_are_shown_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = small_pool()
    ads = tuple(ad.model_copy(update={"image": PNG}) for ad in shop.ads)
    other = dataclasses.replace(shop, ads=ads)
    monkeypatch.setattr(hyper, "pool_of", lambda shop_name, seed=0: other)
    for shots in (0, 3):
        result, model = run(shots=shots)
        assert result.seen is (True if shots else None)
        told = str(model.script.asked[0][2][-1].content)
        assert [told.count(f"The picture of ad {n}:") for n in (1, 3, 4)] == [
            int(n <= shots) for n in (1, 3, 4)
        ]


def test_weights_are_kept_as_versions_of_the_ad(tmp_path: Path) -> None:
    path = tmp_path / "weights.jsonl"
    first, _ = run(store=str(path))
    second, model = run(store=str(path))
    assert first.stored is not None
    assert second.stored is not None
    assert (first.stored.version, second.stored.version) == (1, 1)  # scripted models have names
    entry = Store(path).newest("new")
    assert entry == second.stored
    assert entry.model == str(model)
    assert entry.content == content(AD.text, "")
    assert dict(zip(NAMES, entry.weights, strict=True)) == kept(second)
    assert entry.intercept == second.intercept
    with scripted(replies()) as again:
        for _ in range(2):  # the same weights are the same version
            result = hyper.run(AD, Context(model=again, store=str(path)))
            assert result.stored is not None
            assert result.stored.version == 1


def test_an_ad_without_an_id_is_named_by_its_content() -> None:
    one, _ = run(request=Request(text="tea"))
    two, _ = run(request=Request(text="tea "))
    assert one.ad == content("tea", "")
    assert one.ad != two.ad
    assert re.fullmatch("[0-9a-f]{16}", one.ad)


def test_a_run_is_replayed_without_pool_model_store_or_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace, path, file = tmp_path / "run.jsonl.zst", tmp_path / "weights.jsonl", tmp_path / "ad.png"
    with scripted(replies(level=Always(ODDS))) as model:
        for context in ({"batch": 2}, {"by": "levels", "shots": 2}):
            request = AD.model_copy(update={"image": str(file)})
            settings = Context(model=model, store=str(path), **context)
            file.write_bytes(content_of(PNG) or b"")
            with recorded(trace):
                told = hyper.run(request, settings)
            file.unlink()
            before = path.read_bytes()

            def gone(*_: object, **__: object) -> Any:
                raise AssertionError("a replay reads no pool")

            with monkeypatch.context() as patch:
                for name in ("pool_of", "AdVectors", "Store"):
                    patch.setattr(hyper, name, gone)
                with replayed(trace):
                    again = hyper.run(request, settings)
            assert again.seen
            assert again == told
            assert path.read_bytes() == before
            trace.unlink()


async def test_a_second_ad_in_one_thread_begins_afresh() -> None:
    app = hyper.build().compile(checkpointer=InMemorySaver())
    thread: RunnableConfig = {"configurable": {"thread_id": "1"}}
    with scripted(replies()) as model:
        context = Context(model=model, batch=2)
        for text in ("green tea", "baby food"):
            state = await app.ainvoke(Request(id="new", text=text), thread, context=context)
            assert [part.features for part in state["parts"]] == [NAMES[:2], NAMES[2:4], NAMES[4:]]
            assert len(state["calls"]) == 4
    assert hyper.result(state, context).text == "baby food"


def test_the_tape_holds_the_quantiles_that_everything_needs() -> None:
    needed = {*steps.RANGE, *steps.LEVELS.values(), 0.1, 0.5, 0.9}
    assert needed <= set(QUANTILES)


@pytest.mark.parametrize(
    ("given", "context", "told"),
    [
        ({"text": ""}, {}, "The setting text is ''"),
        ({"text": 7}, {}, "The setting text is 7"),
        ({"text": "tea", "price": 1}, {}, "There is no setting 'price'"),
        ({"text": "tea", "image": "none.png"}, {}, "The image 'none.png' cannot be read"),
        ({"text": "tea", "image": "data:image/png;base64,xx"}, {}, "is none; expected PNG"),
        ({}, {"shots": 6}, "shots is 6, but only 5 neighbours"),
        ({}, {"share": 1.1}, "The setting share is 1.1"),
        ({}, {"by": "numbers"}, "The setting by is 'numbers'"),
        ({}, {"model": "smol"}, "The model name 'smol' is not known"),
        ({}, {"models": {"level": "smol"}}, "The model name 'smol' is not known"),
    ],
    ids=str,
)
def test_a_mistake_is_said_before_a_model_is_asked(given: Any, context: Any, told: str) -> None:
    def start(model: str) -> None:
        settings = checked(Context, {"model": model, **context})
        hyper.run(checked(Request, given), settings)

    with scripted({}) as model, pytest.raises(SetupError) as caught:
        start(model)
    assert told in str(caught.value)


def test_a_store_for_another_pool_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.jsonl"
    run(store=str(path))
    other = small_pool()
    other.centre[0] += 0.1
    monkeypatch.setattr(hyper, "pool_of", lambda shop_name, seed=0: other)
    with pytest.raises(SetupError, match="for other features or another pool"):
        run(store=str(path))


def test_a_server_that_answers_nobody_ends_the_run() -> None:
    with pytest.raises(SetupError, match="did not answer"):
        run(replies(read=Always(GONE), write=Always(GONE)))


def test_the_default_ad_and_context_run() -> None:
    with scripted({"read": [json.dumps(READING)], "write": [reply({**GOOD}, REASON)]}) as model:
        assert hyper.run(Request(), Context(model=model)).origin == "model"
    assert Context().share == 0.7  # the digest's lambda
