"""Keys planted wherever a recording looks are nowhere in its file, and it replays all the same."""

import asyncio
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from zstandard import ZstdDecompressor

from merchgraph.evals.replay import replay_file
from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context, Request
from merchgraph.runtime.errors import EndpointError, ToolError
from merchgraph.runtime.log import HIDDEN
from merchgraph.runtime.playing import on_tape
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data.tables import Items, Shop
from tests.graphs.conftest import UNDERSTANDING, replies
from tests.graphs.conftest import corner as corner

HOSTED, LOCAL = "plain-hosted-key-77", "vllm-key-of-ours"
SHAPES = ["sk-planted-0123456789abcdef", "Bearer eyJhbGciOiJIUzI1NiJ9.e30", "ann:hunter22"]
PLANTED = [HOSTED, LOCAL, *SHAPES]
TEXT = f"{HOSTED}, {LOCAL}, {SHAPES[0]}, {SHAPES[1]}, https://{SHAPES[2]}@shop.test/tea"
SLATE = ["tea", "cake", "soap"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl.zst"


def plain(file: Path) -> str:
    """The file's text."""
    with ZstdDecompressor().stream_reader(
        io.BytesIO(file.read_bytes()), read_across_frames=True
    ) as reader:
        return reader.read().decode()


def holds_none(file: Path) -> bool:
    text = plain(file)
    assert HIDDEN in text
    return not any(key.removeprefix("Bearer ") in text for key in PLANTED)


@pytest.fixture
def leaky(corner: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The corner shop, whose tea has all keys for a title."""
    frame = corner.items.frame.with_columns(
        title=pl.when(pl.col("item") == "tea").then(pl.lit(TEXT)).otherwise("title")
    )
    store = Shop("corner", Items(frame), corner.events)
    monkeypatch.setattr(arag, "shop", lambda name: store)
    return store


@pytest.mark.usefixtures("leaky")
def test_keys_in_titles_replies_and_errors_are_nowhere_in_the_file(file: Path) -> None:
    gone = EndpointError(f"The server said: no such key {TEXT}")
    leaking = UNDERSTANDING.model_copy(update={"session_goal": f"to find {SHAPES[0]}"})
    script = replies(nli__cake=Always(gone), understand=Always(leaking))
    with (
        use_settings(openai_api_key=HOSTED, vllm_api_key=LOCAL),
        scripted(script, name="r"),
        recorded(file, params={"note": TEXT}),
    ):
        context = Context(model="scripted/r", k=2)
        then = arag.run(Request(user="ann", candidates=SLATE), context)
    assert holds_none(file)
    assert then.errors[0].message.endswith(TEXT)  # the person may see what the file may not hold
    # whoever replays has other keys, or none
    found = asyncio.run(replay_file(file))
    assert found.same, found.differences
    with replayed(file):
        again = arag.run(Request(user="ann", candidates=SLATE), context)
    assert again.ranking == then.ranking
    assert next(row.title for row in again.ranking if row.item == "tea").startswith(HIDDEN)


def test_keys_in_a_tool_and_in_a_case_are_nowhere_in_the_file(file: Path) -> None:
    def work() -> dict[str, Any]:
        return {"found": TEXT, TEXT: [TEXT]}

    def busy() -> int:
        raise ToolError(f"busy with {TEXT}")

    async def run(recorder: Recorder) -> Any:
        with recorder.run("1", case={"id": "1", "request": {"key": TEXT}}, system="s") as take:
            found = await on_tape("fetch", work, dict[str, Any], url=TEXT)
            with pytest.raises(ToolError):
                await on_tape("scale", busy, int, url=TEXT)
            take.failed(f"no answer with {TEXT}", take.end.usage)
        return found

    with use_settings(openai_api_key=HOSTED, vllm_api_key=LOCAL):
        recorder = Recorder(file)
        then = asyncio.run(run(recorder))
        recorder.close()
        assert holds_none(file)
        assert asyncio.run(run(Recorder(file, "replay"))) == then
    assert HIDDEN in then["found"]
