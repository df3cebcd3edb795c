"""Graphs inside `recorded` and `replayed`: the same result, bit by bit, and no other run than that."""

import asyncio
import random
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context, Request
from merchgraph.prompts import load
from merchgraph.runtime import software
from merchgraph.runtime.errors import EndpointError, SetupError, TapeError
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.software import changed_prompts, prompt_hashes
from merchgraph.runtime.take import Take
from merchgraph.runtime.tape import Tape
from merchgraph.runtime.trace import RunLine
from merchgraph.runtime.trace_file import read
from tests.graphs.conftest import corner as corner
from tests.graphs.conftest import replies
from tests.runtime import small_graph

pytestmark = pytest.mark.usefixtures("corner")
SLATE = ["tea", "cake", "soap", "rice"]
REQUEST = Request(user="ann", candidates=SLATE)
GONE = EndpointError("The model server did not answer.")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl.zst"


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A call closes the shop: whoever reads it then has left the tape."""

    def gone(name: str) -> Any:
        raise AssertionError(f"a replay opened the shop {name!r}")

    return lambda: monkeypatch.setattr(arag, "shop", gone)


def told(result: arag.Result) -> str:
    return result.model_dump_json()


@pytest.mark.parametrize(
    ("script", "settings"),
    [
        ({}, {}),
        ({"nli__cake": Always(GONE), "summarize": Always("no JSON")}, {}),
        ({"rank": ["no JSON", '{"ranking": ["2", "1"]}']}, {}),
        ({"prior": Always({"Yes": 0.3, "No": 0.6, "Maybe": 0.1})}, {"calibrate": True}),
        ({}, {"without": ["nli", "summarize"]}),
        (
            {"understand": Always(GONE)},
            {"evidence": True, "fusion": {"rank": 1.0, "nli": 2.0}},
        ),
    ],
)
def test_a_replayed_run_is_the_recorded_one(
    file: Path, closed: Any, script: dict[str, Any], settings: dict[str, Any]
) -> None:
    with scripted(replies({"tea": 1 / 3}, **script), name="r") as model, recorded(file):
        context = Context(model=model, k=2, **settings)
        then = arag.run(REQUEST, context)
    closed()
    for _ in range(2):
        with replayed(file):
            assert told(arag.run(REQUEST, context)) == told(then)
    [run] = read(file).runs.values()
    assert run.end.output == then.model_dump(mode="json")
    assert bool(then.errors) == bool([node for node in run.nodes if node.error])


def test_what_stands_around_the_block_changes_nothing(file: Path) -> None:
    with scripted(replies(), name="r") as model:
        context = Context(model=model, k=2)
        before = arag.run(REQUEST, context)
        with recorded(file):
            then = arag.run(REQUEST, context)
        after = arag.run(REQUEST, context)
    assert list(read(file).runs) == ["run-1"]
    assert before.ranking == then.ranking == after.ranking


def test_a_block_that_its_graph_cannot_see_is_no_silent_live_run(file: Path) -> None:
    with scripted(replies(), name="r"), asyncio.Runner() as runner:
        context = Context(model="scripted/r", k=2)
        then = runner.run(arag.arun(REQUEST, context))  # the runner keeps this context
        for block in (recorded, replayed):
            with (
                pytest.raises(
                    SetupError, match=r"No graph ran inside the block of .*x\.jsonl\.zst"
                ),
                block(file),
            ):
                runner.run(arag.arun(REQUEST, context))
        with recorded(file):
            runner.run(arag.arun(REQUEST, context), context=copy_context())
        with replayed(file):
            assert (
                runner.run(arag.arun(REQUEST, context), context=copy_context()).ranking
                == then.ranking
            )


async def test_a_notebook_records_with_a_loop_of_its_own_running(file: Path) -> None:
    with scripted(replies(), name="r") as model, recorded(file):
        context = Context(model=model, k=2)
        then = arag.run(REQUEST, context)
        later = await arag.arun(Request(user="bob", candidates=SLATE), context)
    with replayed(file):
        assert await arag.arun(REQUEST, context) == then
        assert arag.run(Request(user="bob", candidates=SLATE), context) == later


async def test_many_runs_at_once_replay_in_another_order(file: Path, closed: Any) -> None:
    dice = random.Random(7)
    requests = [Request(user="ann", candidates=dice.sample(SLATE, 4)) for _ in range(40)]
    fits = {item: n / 10 for n, item in enumerate(SLATE)}
    with scripted(replies(fits), name="r") as model, recorded(file):
        context = Context(model=model, k=2, rationales=False)
        then = await asyncio.gather(*(arag.arun(request, context) for request in requests))
    closed()
    pairs = list(zip(requests, then, strict=True))
    dice.shuffle(pairs)
    with replayed(file):
        found = await asyncio.gather(*(arag.arun(request, context) for request, _ in pairs))
    # equal requests are taken in turn: which of them is which, nobody can tell
    assert sorted(map(told, found)) == sorted(told(result) for _, result in pairs)
    assert [result.ranking for result in found] == [result.ranking for _, result in pairs]


def test_equal_runs_keep_their_own_answers_and_their_turn(file: Path) -> None:
    moods = [Always({"Yes": p, "No": 1 - p}) for p in (0.2, 0.7)]
    context = Context(model="scripted/r", k=2, rationales=False)
    then = []
    for mood in moods:
        with scripted({**replies(), "nli": mood}, name="r"), recorded(file):
            then.append(arag.run(REQUEST, context))
    assert then[0].ranking != then[1].ranking
    with replayed(file):
        assert [arag.run(REQUEST, context) for _ in moods] == then
        with pytest.raises(TapeError, match=r"no unplayed run of 'arag'.*nothing, and was played"):
            arag.run(REQUEST, context)


@pytest.fixture
def tape(file: Path) -> Iterator[Context]:
    """The context of one recorded run; its model and shop are still there."""
    with scripted(replies(), name="r") as model:
        context = Context(model=model, k=2)
        with recorded(file):
            arag.run(REQUEST, context)
        yield context


@pytest.mark.parametrize(
    ("request_", "settings", "sentence"),
    [
        ({}, {"k": 3}, r"differs in k \(recorded 2, now 3\)"),
        ({}, {"theta": 0.6}, r"differs in theta \(recorded 0.5, now 0.6\)"),
        ({"user": "bob"}, {}, r"differs in user \(recorded 'ann', now 'bob'\)"),
    ],
)
def test_another_request_or_context_is_another_run(
    file: Path, tape: Context, request_: Any, settings: Any, sentence: str
) -> None:
    other = REQUEST.model_copy(update=request_)
    with pytest.raises(TapeError, match=sentence), replayed(file):
        arag.run(other, tape.model_copy(update=settings))


def test_a_prompt_that_was_edited_is_named_with_its_words(
    file: Path, tape: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = tmp_path / "prompts"
    for old in load.FOLDER.rglob("*.md"):
        new = edited / old.relative_to(load.FOLDER)
        new.parent.mkdir(parents=True, exist_ok=True)
        text = old.read_text()
        if old == load.FOLDER / "arag" / "nli.md":
            text = text.replace("one word: Yes", "a single word: Yes")
        new.write_text(text)
    monkeypatch.setattr(load, "FOLDER", edited)
    monkeypatch.setattr(software, "PROMPTS", edited)
    load._template.cache_clear()
    with pytest.raises(TapeError) as error, replayed(file):
        arag.run(REQUEST, tape)
    load._template.cache_clear()
    assert "with [-one-]{+a single+} word: Yes, Maybe or No." in str(error.value)
    assert "message 2 (human)" in str(error.value)
    assert changed_prompts(read(file).headers[0].prompts) == ["arag/nli.md"]
    with pytest.raises(SetupError, match=r"another text of prompts/arag/nli\.md"), recorded(file):
        pass


def test_prompts_are_known_by_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    now = prompt_hashes()
    assert "arag/nli.md" in now
    assert changed_prompts(now) == []
    assert changed_prompts({**now, "arag/nli.md": "old", "gone.md": "x"}) == [
        "arag/nli.md",
        "gone.md",
    ]


def test_only_what_failed_is_asked_again_and_completes_the_run(file: Path) -> None:
    context = Context(model="scripted/r", k=2, rationales=False)
    with scripted(replies(nli__cake=Always(GONE)), name="r"), recorded(file):
        assert len(arag.run(REQUEST, context).errors) == 1
    with (
        scripted({"nli": [{"Yes": 0.9, "No": 0.1}], "rank": ['{"ranking": ["1", "2"]}'],
                  "summarize": ["no JSON", "no JSON"]}, name="r"),
        recorded(file, "record_missing"),
    ):  # fmt: skip
        whole = arag.run(REQUEST, context)
    assert [error.node for error in whole.errors] == ["summarize"]  # it was asked of more items
    assert len(read(file).runs) == 1
    with replayed(file):
        assert told(arag.run(REQUEST, context)) == told(whole)


def test_a_graph_inside_a_graph_is_a_part_of_its_run() -> None:
    take = Take(RunLine(run="1"), Tape("1", "record"))
    take.graph("outer", Request(user="ann"), Context(), {})
    take.graph("inner", Request(user="bob"), Context(), {})
    assert (take.begin.graph, take.begin.request["user"]) == ("outer", "ann")


@pytest.mark.parametrize("read_", [1, 99])
async def test_streams_stops_retries_clock_and_dice_come_out_the_same(
    file: Path, read_: int
) -> None:
    script = {"slow": Always("late"), "writer": Always("a green tea of spring")}
    small_graph.busy[:] = [1]
    with scripted(script, name="s", delay_s=2 * small_graph.WAITS_S) as model, recorded(file):
        then = await small_graph.arun("tea", model=model, read=read_)
    small_graph.busy[:] = [1] * 9  # a replay weighs nothing
    with replayed(file):
        found = await small_graph.arun("tea", model="scripted/s", read=read_)
    assert len(small_graph.busy) == 9
    small_graph.busy.clear()
    assert found == then
    assert then.told[1] == "(nothing)"
    assert then.errors[0].message == "The node 'wait' ran longer than 0.3 s and was stopped."
    assert then.told[2:] == ["a ", "green ", "tea ", "of ", "spring", ""][:read_]
    assert then.usage.calls == 2
    [run] = read(file).runs.values()
    weighed = [line for line in run.tools if line.name == "scale"]
    assert [line.fault is not None for line in weighed] == [True, False]
