"""The hypernetwork agent alone: what it is told, what it makes of replies."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from merchgraph.agents import hypernetwork
from merchgraph.agents.hypernetwork import (
    LEVELS,
    Brief,
    Example,
    Hypernetwork,
    Known,
    prompt_version,
)
from merchgraph.prompts.load import FOLDER
from merchgraph.runtime.errors import ModelReplyError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import Always, Answer, Text, scripted

BRIEF = Brief(text="Green tea", examples=(Example(text="Black tea", intercept=-3),))
FEATURES = [
    Known(name=name, meaning="how much", usual=(-0.1, 0, 0.1), shown=(0.2,), levels=("+",))
    for name in ("tea", "trips")
]
REASON = {"feature": "tea", "direction": "+", "strength": 2, "because": "they drink it"}


async def wrote(weights: str, *reasons: dict[str, Any]) -> hypernetwork.Written:
    answer = f'{{"reasoning": {json.dumps(list(reasons))}, "weights": {weights}}}'
    with scripted({"write": [answer]}) as model:
        return await Hypernetwork(chat_model(model)).write(BRIEF, None, FEATURES)


async def test_hundredths_are_log_odds() -> None:
    found = await wrote('{"tea": 25, "trips": -3}', REASON)
    assert found.weights == {"tea": 0.25, "trips": -0.03}
    assert found.reasoning[0].because == "they drink it"


async def test_what_is_no_number_comes_back_as_it_stands() -> None:
    digits = "9" * 400
    found = await wrote(f'{{"tea": "much", "trips": NaN, "x": true, "y": [1], "z": {digits}}}')
    assert found.weights["tea"] == "much"
    assert math.isnan(found.weights["trips"])  # type: ignore[arg-type]
    assert (found.weights["x"], found.weights["y"], found.weights["z"]) == (True, [1], None)


async def test_a_reason_for_a_feature_that_was_not_asked_for_is_no_fault_of_the_reply() -> None:
    found = await wrote('{"tea": 1}', REASON | {"feature": "moon", "strength": 9})
    assert (found.reasoning[0].feature, found.weights) == ("moon", {"tea": 0.01})


async def test_a_reply_can_be_pickled_as_studio_does_with_states() -> None:
    found = await wrote('{"tea": 20}', REASON)
    assert found.reasoning
    assert pickle.loads(pickle.dumps(found)) == found


async def test_a_reply_that_is_no_such_object_is_asked_again_once() -> None:
    good = json.dumps({"reasoning": [REASON], "weights": {"tea": 1}})
    with scripted({"write": ["nothing", good]}) as model:
        found = await Hypernetwork(chat_model(model)).write(BRIEF, None, FEATURES)
    assert found.weights == {"tea": 0.01}
    with scripted({"write": ["nothing", "nothing"]}) as model, pytest.raises(ModelReplyError):
        await Hypernetwork(chat_model(model)).write(BRIEF, None, FEATURES)


async def test_a_reply_that_breaks_off_is_asked_again() -> None:
    good = json.dumps({"reasoning": [], "weights": {"tea": 1}})
    with scripted({"write": [Text('{"reas', "length"), good]}) as model:
        assert (await Hypernetwork(chat_model(model)).write(BRIEF, None, FEATURES)).weights


async def test_levels_are_probabilities() -> None:
    odds: Answer = {"--": 0.1, "-": 0.2, "0": 0.3, "+": 0.2, "++": 0.2}
    with scripted({"level": [odds]}) as model:
        found = await Hypernetwork(chat_model(model)).level(BRIEF, FEATURES[0])
    assert list(found) == list(LEVELS)
    assert sum(found.values()) == pytest.approx(1)
    assert found["0"] == pytest.approx(0.3)


async def test_a_model_that_says_the_same_of_every_ad_says_nothing_when_calibrated() -> None:
    odds: Answer = {"--": 0.01, "-": 0.02, "0": 0.03, "+": 0.9, "++": 0.04}
    with scripted({"level": Always(odds)}) as model:
        agent = Hypernetwork(chat_model(model))
        found = await agent.level(BRIEF, FEATURES[0], calibrate=True)
        asked = [str(messages[-1].content) for _, _, messages in model.script.asked]
    assert found == pytest.approx(dict.fromkeys(LEVELS, 0.2))
    assert ["<ad>Green tea</ad>" in text for text in asked] == [True, False]
    assert all("<ad>Black tea</ad>" in text for text in asked)


def test_a_picture_is_a_content_part_of_the_vision_api() -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    shown = BRIEF.model_copy(
        update={
            "picture": url,
            "examples": (Example(text="Black tea", intercept=-3, picture="https://x.test/1.png"),),
        }
    )
    [_, asked] = shown.conversation("Do it.")
    assert isinstance(asked, HumanMessage)
    kinds = [part["type"] for part in asked.content if isinstance(part, dict)]
    assert kinds == ["text", "text", "image_url", "text", "image_url", "text"]
    parts: list[Any] = list(asked.content)
    assert parts[1]["text"] == "The picture of ad 1:"
    assert parts[2]["image_url"] == {"url": "https://x.test/1.png"}
    assert parts[4]["image_url"] == {"url": url}
    assert parts[-1]["text"] == "Do it."
    assert isinstance(BRIEF.conversation("Do it.")[1].content, str)


def test_the_version_of_the_prompts_changes_with_each_of_them(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version() -> str:
        prompt_version.cache_clear()
        return prompt_version()

    before = version()
    assert len(before) == 12
    (tmp_path / "hyper").mkdir()
    for file in (FOLDER / "hyper").glob("*.md"):
        (tmp_path / "hyper" / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(hypernetwork, "FOLDER", tmp_path)
    assert version() == before
    for name in ("write.md", "ads.md"):
        (tmp_path / "hyper" / name).write_text("other", encoding="utf-8")
        after = version()
        assert after != before
        before = after
    prompt_version.cache_clear()
