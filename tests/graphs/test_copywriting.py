"""Copy for a campaign: what is written, checked, revised and kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from merchgraph.graphs import copywriting, copywriting_state
from merchgraph.graphs.copywriting import Context, Request
from merchgraph.graphs.copywriting_state import Tally
from merchgraph.runtime.errors import DataError, EndpointError, SetupError
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.runtime.scripted import Always, Answer, scripted
from merchgraph.tools.use_case import USE_CASES
from tests.graphs.tea_campaign import (
    CASE,
    GOOD,
    KINDS,
    NO,
    YES,
    copies,
    copy,
    draft,
    headers,
    replies,
    run,
    told,
)
from tests.graphs.test_arag_scale import Rounds
from tests.graphs.test_arag_scale import rounds as rounds

GONE = EndpointError("The model server did not answer.")
LONG = ("Tea " * 12, "12 green teas for slow mornings")
BOTH = ("Coffee " * 6, "short")


def test_copies_that_pass_are_accepted_as_they_were_written() -> None:
    result, model = run(replies())
    assert headers(result) == [header for header, _ in GOOD]
    assert (result.rejected, result.duplicates, result.errors) == ([], [], [])
    assert result.success == [1.0, 1.0, 1.0]
    assert result.accepted[0].scores.keys() == {"topic 1", *KINDS[1:]}
    assert result.checks.keys() == set(CASE.checks)
    assert all(tally == Tally(ran=3) for tally in result.checks.values())
    assert (result.usage.calls, result.calls_per_copy) == (13, 13 / 3)
    assert result.use_case == "Tea week"
    assert model.script.asked[0][:2] == ("write", "")


def test_a_copy_that_failed_is_revised_by_what_was_found_and_all_that_is_required() -> None:
    def mended(messages: Sequence[BaseMessage]) -> Answer:
        assert told(messages) == [
            "- Header has 47 characters; allowed 8 to 30; cut at least 17; keep 'tea'"
        ]
        text = str(messages[1].content)  # the first turn of the conversation
        assert "- The header has 8 to 30 characters, blanks included." in text
        assert "- The copy never says 'coffee', in no form of the words." in text
        assert "- The tone of every phrase: calm" in text
        return copy("Tea of the green hills", "12 green teas for slow mornings.")

    result, _ = run(replies(LONG, GOOD[0], GOOD[2], refine__1=Always(mended)))
    assert result.success == [pytest.approx(2 / 3), 1.0, 1.0]
    first = next(one for one in result.accepted if one.id == "1")
    assert first.rounds == 1
    assert first.text["subheader"] == "12 green teas for slow mornings"  # tidied
    assert result.checks["header length"] == Tally(ran=3, failed=1, fixed=1)
    assert result.checks["keywords"] == Tally(ran=2)


def test_the_first_failure_only_is_told_or_every_one() -> None:
    seen: list[list[str]] = []

    def lost(messages: Sequence[BaseMessage]) -> Answer:
        seen.append(told(messages))
        return copy(*BOTH)

    def told_in(mode: str) -> list[str]:
        seen.clear()
        script = replies(BOTH, GOOD[0], GOOD[1], refine=Always(lost), tone__1=Always(NO))
        run(script, mode=mode, rounds=1)
        [faults] = seen
        return [fault.split("; ")[0] for fault in faults]

    assert told_in("fail_fast") == ["- Header has 41 characters"]
    assert told_in("collect_all") == [
        "- Header has 41 characters",
        "- Subheader has 5 characters",
        "- Header has no 'tea'",
        "- Header has 'coffee'",
        f"- Header '{(BOTH[0]).strip()}' and subheader 'short' do not have the tone asked for (calm)",
    ]


def test_each_round_starts_from_the_best_version_and_the_last_one_is_counted() -> None:
    sources: list[str] = []
    texts = iter([("Coffee or tea", "so"), ("Green tea for you", "so"), GOOD[1]])

    def next_one(messages: Sequence[BaseMessage]) -> Answer:
        sources.append(draft(messages)["header"])
        return copy(*next(texts))

    script = replies(("Tea", "short"), GOOD[0], GOOD[2], refine=Always(next_one))
    result, _ = run(script, rounds=3)
    assert sources == ["Tea", "Coffee or tea", "Coffee or tea"]
    assert result.success == [pytest.approx(2 / 3)] * 3 + [1.0]
    assert result.checks["header length"] == Tally(ran=3, failed=1, fixed=1)


def test_an_evaluator_below_the_threshold_sends_its_guideline_to_the_reviser() -> None:
    seen: list[list[str]] = []

    def rewrite(messages: Sequence[BaseMessage]) -> Answer:
        seen.append(told(messages))
        return copy("A calm cup of tea", "12 green teas for slow mornings")

    script = replies(tone__2=[NO, YES], refine=Always(rewrite))
    result, _ = run(script)
    assert seen == [
        [
            "- Header 'Your cup of tea' and subheader '12 green teas for slow mornings' do not have "
            "the tone asked for (calm); say the same in that tone."
        ]
    ]
    assert result.checks["tone"] == Tally(ran=3, failed=1, fixed=1)
    [second] = [one for one in result.accepted if one.id == "2"]
    assert second.scores["tone"] == pytest.approx(0.9)
    strict, _ = run(replies(refine=Always(copy(*GOOD[0]))), threshold=0.95)
    assert (strict.accepted, strict.success) == ([], [0.0, 0.0, 0.0])
    assert (strict.calls_per_copy, strict.tokens_per_copy) == (None, None)


def test_calibrated_evaluators_are_asked_of_the_empty_copy_and_the_examples_once() -> None:
    result, model = run(replies(), calibrate=True)
    assert [one for one in result.accepted[0].scores.values()] == [pytest.approx(0.5)] * 4
    assert result.usage_by_agent["topic"].calls == 1 + 1 + 3
    assert len(model.script.asked) == 1 + 4 * (1 + 1) + 4 * 3


def test_an_evaluator_that_likes_its_examples_less_than_nothing_does_not_close_the_gate() -> None:
    def tone(messages: Sequence[BaseMessage]) -> Answer:
        share = 0.4 if "(no text)" in str(messages[-1].content) else 0.3
        return {"Yes": share, "No": 1 - share}

    assert run(replies(tone=Always(tone), refine=Always(copy(*BOTH))))[0].accepted == []
    result, _ = run(replies(tone=Always(tone)), calibrate=True)
    assert len(result.accepted) == 3
    assert result.accepted[0].scores["tone"] == pytest.approx(0.5)


def test_an_evaluator_that_cannot_be_calibrated_answers_as_it_is() -> None:
    once: list[Answer] = [GONE, YES, YES, YES]
    result, _ = run(replies(tone=once), calibrate=True)
    assert result.accepted[0].scores["tone"] == pytest.approx(0.9)
    assert result.accepted[0].scores["personal"] == pytest.approx(0.5)


def test_accepted_copies_stand_best_first_and_doubles_are_set_aside() -> None:
    near = (GOOD[0][0], GOOD[0][1] + "s")
    better: Answer = {"Yes": 0.95, "No": 0.05}
    result, _ = run(replies(GOOD[0], near, GOOD[1], tone__2=[better], tone__3=[better]))
    assert [one.id for one in result.accepted] == ["2", "3"]
    assert [one.id for one in result.duplicates] == ["1"]
    assert result.success[0] == 1.0
    apart, _ = run(replies(GOOD[0], near, GOOD[1]), alike=1.0)
    assert [one.id for one in apart.accepted] == ["1", "2", "3"]


def test_a_revised_copy_that_repeats_an_example_is_no_new_copy() -> None:
    example = copy("Time for TEA", "12 green teas wait for you!")
    result, _ = run(replies(LONG, GOOD[0], GOOD[2], refine=Always(example)))
    assert [one.id for one in result.duplicates] == ["1"]
    assert headers(result) == [GOOD[0][0], GOOD[2][0]]


def test_meaning_is_compared_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    class Alike:
        def embed(self, texts: Sequence[str]) -> Any:
            return np.ones((len(texts), 2), dtype=np.float32)

    monkeypatch.setattr(copywriting, "Embedder", Alike)
    result, _ = run(replies(), alike_meaning=0.9)
    assert (headers(result), len(result.duplicates)) == ([], 3)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_bundled_use_case_or_a_file_runs_without_more(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text((USE_CASES / f"{name}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    case = copywriting_state.loaded(name)
    assert copywriting_state.loaded(str(file)) == case
    drafts = [{part: f"{text} here" for part, text in one.items()} for one in case.examples]
    script = replies(write=[json.dumps({"copies": drafts})] * 2, refine=Always(GONE))
    result, _ = run(script, name)
    assert list(result.checks) == case.checks
    assert len(result.success) == 3


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ("none.yaml", SetupError, "none.yaml"),
        ({"name": "x"}, SetupError, "use_case"),
        (7, SetupError, "use_case"),
        (None, SetupError, "use_case"),
    ],
)
async def test_a_use_case_that_is_none_is_said_before_a_model_is_asked(
    given: Any, kind: type[Exception], said: str
) -> None:
    request: Any = {"use_case": given}
    with scripted({}) as model, pytest.raises(kind, match=said):
        await copywriting.graph.ainvoke(request, context=Context(model=model))


def test_a_broken_file_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("name: x\nrole: [", encoding="utf-8")
    with scripted({}) as model, pytest.raises(DataError, match=r"x\.yaml, line 2"):
        copywriting.run(Request(use_case=str(file)), Context(model=model))


@pytest.mark.parametrize(
    ("script", "settings"),
    [
        ({}, {}),
        ({"refine": Always("no JSON"), "tone": Always(NO)}, {"rounds": 1}),
        ({"tone__2": Always(GONE), "refine": Always(copy(*LONG))}, {"mode": "collect_all"}),
        ({"write": [copies(GOOD[0]), GONE]}, {"seed": 7, "calibrate": True}),
    ],
)
def test_a_replayed_run_is_the_recorded_one(
    tmp_path: Path, script: dict[str, Any], settings: dict[str, Any]
) -> None:
    file, trace = tmp_path / "case.yaml", tmp_path / "x.jsonl.zst"
    file.write_text(CASE.model_dump_json(), encoding="utf-8")
    request = Request(use_case=str(file))
    with scripted(replies(**script), name="copy") as model, recorded(trace):
        context = Context(model=model, **settings)
        then = copywriting.run(request, context)
    file.unlink()
    for _ in range(2):
        with replayed(trace):
            assert copywriting.run(request, context).model_dump() == then.model_dump()


async def test_copies_are_checked_side_by_side(rounds: Rounds) -> None:
    texts = [(f"Tea number {word}", GOOD[0][1]) for word in "abcdefghij"]
    script = replies(*texts, refine=Always(copy(*GOOD[1])), tone=Always(NO))
    with scripted(script, delay_s=0.1, cap=64) as model:
        context = Context(model=model, copies=10, mode="collect_all")
        result = await copywriting.arun(Request(use_case=CASE), context)
    # write; four evaluators of ten copies, revise, once more; the second revision says nothing new
    assert rounds.sleepers == [1, 40, 10, 40, 10]
    assert result.usage.calls == 101


async def test_a_thread_that_runs_again_starts_afresh() -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    graph = copywriting.build().compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    given: Any = {"use_case": CASE.model_dump(mode="json")}
    with scripted(replies(write=Always(copies(*GOOD)))) as model:
        for _ in range(2):
            state = await graph.ainvoke(given, config, context=Context(model=model))
            result = copywriting.result(state)
            assert [one.id for one in result.refined] == ["1", "2", "3"]
            assert (len(state["refined"]), result.usage.calls) == (3, 13)


def test_seeds_differ_by_copy_and_by_round_and_none_is_set_by_default() -> None:
    context = Context(seed=5)
    seeds = [context.agent_model("refine", sample).seed for sample in range(3)]
    assert seeds == [5, 6, 7]
    assert (context.agent_model("write").seed, context.agent_model("tone").seed) == (5, None)
    assert Context().agent_model("write").seed is None
    assert context.agent_model("write").temperature == 0.9
    assert context.agent_model("tone").temperature == 0.0
