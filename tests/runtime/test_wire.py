"""Requests and replies as JSON: keys that hold for years, replies that come back whole, no secrets."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk
from pydantic import BaseModel

from merchgraph.runtime.log import HIDDEN
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.wire import (
    as_chunk,
    as_plain,
    as_result,
    hide,
    key_of,
    message_json,
    request_json,
)

KEY = "sk-planted-0123456789abcdef"
OPTIONS = {"temperature": 0.0, "max_tokens": 9}
ASKED = [SystemMessage("Be short."), HumanMessage("Tea or jam? \N{SNOWMAN}")]
USED: UsageMetadata = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}


def test_the_key_of_a_request_is_the_same_for_ever() -> None:
    asked = request_json("vllm/x", ASKED, OPTIONS)
    assert asked == {
        "model": "vllm/x",
        "messages": [
            {"type": "system", "content": "Be short."},
            {"type": "human", "content": "Tea or jam? \N{SNOWMAN}"},
        ],
        "options": OPTIONS,
    }
    # this very text stands in traces that people have kept: another key would orphan them all
    assert key_of(asked) == "9e3fa3637e756cdae316"


def test_the_order_of_names_is_no_part_of_the_key_and_that_of_messages_is() -> None:
    turned = request_json("vllm/x", ASKED, dict(reversed(OPTIONS.items())))
    assert key_of(turned) == key_of(request_json("vllm/x", ASKED, OPTIONS))
    assert key_of(request_json("vllm/x", ASKED[::-1], OPTIONS)) != key_of(turned)


@pytest.mark.parametrize(
    "changed",
    [
        ("vllm/y", ASKED, OPTIONS),
        ("vllm/x", [ASKED[0], HumanMessage("Tea or jam?")], OPTIONS),
        ("vllm/x", [HumanMessage("Be short."), ASKED[1]], OPTIONS),
        ("vllm/x", ASKED, OPTIONS | {"temperature": 0.1}),
        ("vllm/x", ASKED, OPTIONS | {"stop": ["."]}),
        ("vllm/x", ASKED, OPTIONS | {"labels": ("Yes", "No")}),
    ],
)
def test_whatever_decides_a_reply_is_part_of_the_key(changed: Any) -> None:
    assert key_of(request_json(*changed)) != key_of(request_json("vllm/x", ASKED, OPTIONS))


def test_a_reply_that_is_sent_back_brings_no_id_and_no_bill_into_the_key() -> None:
    fresh = AIMessage("Tea.")
    lived = AIMessage(
        "Tea.", id="run-81f3", usage_metadata=USED, response_metadata={"system_fingerprint": "b7"}
    )
    keys = {key_of(request_json("m/1", [*ASKED, turn], OPTIONS)) for turn in (fresh, lived)}
    assert len(keys) == 1
    called = AIMessage("", tool_calls=[{"name": "weigh", "args": {"n": 1}, "id": "c1"}])
    assert key_of(request_json("m/1", [*ASKED, called], OPTIONS)) not in keys


def test_a_whole_reply_comes_back_with_everything_that_it_carried() -> None:
    logprobs = {"content": [{"token": "Yes", "top_logprobs": [{"token": "Yes", "logprob": -0.1}]}]}
    reply = AIMessage(
        "Yes", id="chat-1", usage_metadata=USED, additional_kwargs={"refusal": "no"},
        response_metadata={"finish_reason": "stop", "logprobs": logprobs, "model_name": "x"},
    )  # fmt: skip
    info = {"finish_reason": "stop", "logprobs": logprobs, "extra": 1}
    told = json.loads(json.dumps(message_json(ChatGeneration(message=reply, generation_info=info))))
    [back] = as_result([told]).generations
    assert back.message == reply
    assert back.generation_info == {"extra": 1}  # the rest stands in the message already


def test_chunks_come_back_one_by_one_and_together() -> None:
    pieces = [
        ChatGenerationChunk(message=AIMessageChunk(content="Te", id="chat-1")),
        ChatGenerationChunk(message=AIMessageChunk(content="a.", id="chat-1")),
        ChatGenerationChunk(
            message=AIMessageChunk(content="", id="chat-1", usage_metadata=USED),
            generation_info={"finish_reason": "stop"},
        ),
    ]
    told = json.loads(json.dumps([message_json(piece) for piece in pieces]))
    back = [as_chunk(one) for one in told]
    assert [one.message.content for one in back] == ["Te", "a.", ""]
    assert [one.generation_info for one in back] == [None, None, {"finish_reason": "stop"}]
    assert back[2].message == pieces[2].message
    [whole] = as_result(told).generations
    assert isinstance(whole.message, AIMessage)
    assert (whole.message.content, whole.message.usage_metadata) == ("Tea.", USED)


def test_a_reply_that_was_not_streamed_is_one_chunk() -> None:
    reply = AIMessage("Tea.", usage_metadata=USED, response_metadata={"finish_reason": "stop"})
    chunk = as_chunk(message_json(ChatGeneration(message=reply)))
    assert chunk.message == AIMessageChunk(**reply.model_dump(exclude={"type"}))


@pytest.mark.parametrize(
    "secret",
    [KEY, f"Bearer {KEY}", "hf_0123456789abc", "https://ann:hunter22@shop.test/v1", "plain-key-77"],
)
def test_a_secret_is_hidden_wherever_it_stands(secret: str) -> None:
    data = {"a": [secret, {"b": f"before {secret}, after"}], secret: (secret,)}
    with use_settings(openai_api_key="plain-key-77", vllm_api_key="short"):
        told = hide(as_plain(data))
    written = json.dumps(told)
    for part in (secret.split("//")[-1].split("@")[0].removeprefix("Bearer "), "hunter22"):
        assert part not in written
    assert written.count(HIDDEN) == 4
    assert "before " in told["a"][1]["b"]


HARMLESS = [
    "Desk-organizer de luxe", "a disk-10023845 and a task-12345678", "Ring bearer accessories",
    "risk-management", "at http://shop.test:8000/v1", "short", "whisk-2000-professional",
]  # fmt: skip


@pytest.mark.parametrize("text", HARMLESS)
def test_a_product_that_only_looks_like_a_secret_stays_word_for_word(text: str) -> None:
    with use_settings(vllm_api_key="short"):  # so short a key would hide ordinary words
        assert hide(text) == text


class Thing(BaseModel):
    odds: tuple[float, ...]


def test_what_json_does_not_know_is_written_so_that_it_can_be_read() -> None:
    told = hide(as_plain(Thing(odds=(float("-inf"), float("nan"), float("inf"), 0.5))))
    assert told == {"odds": ["-Infinity", "NaN", "Infinity", 0.5]}
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert repr(Thing(**told).odds) == "(-inf, nan, inf, 0.5)"


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\ud83d\ude00b", "a\N{GRINNING FACE}b"), ("cut \ud83d", "cut \ufffd"), ("\udfff", "\ufffd")],
)
def test_half_a_character_ends_no_recording(text: str, kept: str) -> None:
    assert hide([text]) == [kept]
    key_of({"text": text})


TEXT = st.text(st.characters(), max_size=30)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(DATA)
def test_what_was_hidden_once_is_strict_json_and_stays_as_it_is(data: Any) -> None:
    once = hide(as_plain(data))
    assert repr(json.loads(json.dumps(once, allow_nan=False).encode())) == repr(once)
    assert hide(as_plain(once)) == once
