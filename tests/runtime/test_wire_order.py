"""JSON that is the same in every process and holds what it should: sets, odd names, split secrets."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk
from pydantic import BaseModel, computed_field

from merchgraph.runtime.log import HIDDEN
from merchgraph.runtime.playing import on_tape, use_tape
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.tape import Enter, Tape
from merchgraph.runtime.wire import as_plain, hide, hide_split, key_of, message_json
from tests.runtime.tapes import again, stored

ROOT = Path(__file__).parents[2]
KEY = "sk-planted-0123456789abcdef"
OURS = "our key of 7 words"


class Model(BaseModel):
    names: set[str]
    pairs: frozenset[tuple[int, str]] = frozenset()
    deep: dict[str, list[set[int]]] = {}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def many(self) -> int:
        """How many names there are."""
        return len(self.names)


@dataclass
class Data:
    names: set[str]


SETS = {
    "bare": {"tea", "jam", "soap", "rice"},
    "deep": [{"a": ({"x", "y", "z"},)}, {3, 20, 100}],
    "nested": {frozenset({"q", "r"}), frozenset({"a", "z"})},
    "model": Model(names={"b", "c", "a"}, pairs=frozenset({(2, "x"), (1, "z")}), deep={"d": [{2, 1}]}),
    "data": Data({"n", "m", "o"}),
    7: {None, 1, "one"},
}  # fmt: skip
ORDERED = {
    "bare": ["jam", "rice", "soap", "tea"],
    "deep": [{"a": [["x", "y", "z"]]}, [100, 20, 3]],  # by their text
    "nested": [["a", "z"], ["q", "r"]],
    "model": {
        "names": ["a", "b", "c"],
        "pairs": [[1, "z"], [2, "x"]],
        "deep": {"d": [[1, 2]]},
        "many": 3,
    },
    "data": {"names": ["m", "n", "o"]},
    "7": ["one", 1, None],
}


def test_sets_stand_in_the_order_of_their_json() -> None:
    assert as_plain(SETS) == ORDERED


def test_the_key_of_a_set_is_the_same_under_every_hash_seed() -> None:
    code = (
        "from tests.runtime.test_wire_order import SETS, as_plain, key_of; "
        "print(next(iter(SETS['bare'])), key_of(as_plain({'args': SETS})))"
    )
    told = []
    for seed in ("1", "2", "3"):
        env = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.split())
    firsts, keys = (set(column) for column in zip(*told, strict=True))
    assert len(firsts) > 1  # their order did differ
    assert keys == {key_of({"args": ORDERED})}


async def test_a_tool_that_is_given_a_set_replays() -> None:
    tape = Tape("run", "record")
    with use_tape(tape):
        await on_tape("fetch", lambda: 7, int, items={"tea", "jam", "soap"})
    [line] = stored(tape).tools
    assert line.args == {"items": ["jam", "soap", "tea"]}
    with use_tape(again(tape)):
        assert await on_tape("fetch", lambda: 8, int, items={"soap", "tea", "jam"}) == 7


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a\ud83d\ude00b", "a\N{GRINNING FACE}b"), ("cut \ud83d", "cut \ufffd"), ("\udfff", "\ufffd")],
)
def test_half_a_character_in_a_name_is_treated_as_in_a_value(name: str, kept: str) -> None:
    for data in ({name: name}, [{"in": ({name: {name: 1}}, {2, 1})}], Model(names={name})):
        told = json.dumps(hide(as_plain(data)), ensure_ascii=False)
        assert kept in told
        assert told.encode().decode() == told
    assert hide(as_plain({name: {2, 1}})) == {kept: [1, 2]}


async def test_a_tool_may_answer_with_such_a_name() -> None:
    tape = Tape("run", "record")
    with use_tape(tape):
        then = await on_tape("fetch", lambda: {"cut \ud83d": 1}, dict[str, int], text={"\udfff": 2})

    def gone() -> dict[str, int]:
        raise AssertionError("asked in a replay")

    with use_tape(again(tape)):
        now = await on_tape("fetch", gone, dict[str, int], text={"\udfff": 2})
    assert then == now == {"cut \ufffd": 1}


def split(text: str, cuts: list[int]) -> list[str]:
    """A text in pieces."""
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def chunk(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


SECRET = st.sampled_from([KEY, OURS, f"Bearer {KEY}", "https://ann:hunter22@shop.test/v1", "Tea."])


@given(st.text("ab -", max_size=5), SECRET, st.lists(st.integers(0, 99), max_size=6))
@example("", KEY, [2, 5, 9])
@example("", KEY, [15])  # its beginning alone has the shape of a key
def test_a_secret_is_hidden_however_it_is_split(before: str, secret: str, cuts: list[int]) -> None:
    with use_settings(openai_api_key=OURS):
        text = f"{before} {secret} and more"
        parts = split(text, cuts)
        chunks = [message_json(chunk(part)) for part in parts]
        kept = [one["content"] for one in hide_split(chunks, parts)]
        assert "".join(kept) == hide(text)
        assert len(kept) == len(parts)
        if hide(text) == text:
            assert kept == parts  # nothing to hide: as they came


def test_only_the_text_of_the_chunks_moves() -> None:
    parts = ["the ", KEY[:9], KEY[9:], " opens"]
    chunks = [message_json(chunk(part)) | {"id": f"c{n}"} for n, part in enumerate(parts)]
    kept = hide_split(chunks, parts)
    assert [one["content"] for one in kept] == [f"the {HIDDEN} opens", "", "", ""]
    assert [one["id"] for one in kept] == ["c0", "c1", "c2", "c3"]


def test_blocks_that_are_no_text_stay_as_they_are() -> None:
    blocks: list[Any] = [{"type": "text", "text": "tea"}]
    message = AIMessageChunk(content=blocks)
    chunks = [message_json(ChatGeneration(message=message)), message_json(chunk("a"))]
    assert list(hide_split(chunks, [blocks, "a"])) == chunks


async def test_a_key_that_comes_in_chunks_is_not_in_the_file() -> None:
    parts = ["my key: ", KEY[:6], KEY[6:16], KEY[16:], "!"]

    async def live(enter: Enter) -> AsyncGenerator[ChatGenerationChunk, None]:
        for part in parts:
            yield chunk(part)

    tape = Tape("run", "record")
    then = [str(piece.message.content) async for piece in tape.stream({"model": "m"}, live)]
    assert "".join(then) == f"my key: {KEY}!"  # what was passed on cannot be taken back
    assert KEY[6:16] not in stored(tape).calls[0].model_dump_json()
    now = [piece.message.content async for piece in again(tape).stream({"model": "m"}, live)]
    assert now == [f"my key: {HIDDEN}!", "", "", "", ""]
