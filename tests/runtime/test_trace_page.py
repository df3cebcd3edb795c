"""The page of a trace: complete, small, and deaf to what hostile titles ask for."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import sys
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.page_data import page_data, status, token_odds
from merchgraph.runtime.recorded import reply, turns
from merchgraph.runtime.trace import CallLine, EndLine, Run, RunLine, Trace
from merchgraph.runtime.trace_page import trace_page
from tests.runtime.made_traces import HOSTILE, made


class Elements(HTMLParser):
    """The tags of a page, and what its scripts hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


def unpacked(data: dict[str, Any], place: int) -> str:
    """A text of the page, put together as `page/data.js` does: in UTF-16."""
    packed = data["texts"][place]
    if isinstance(packed, str):
        return packed
    before, units, rest = packed
    shared = unpacked(data, before).encode("utf-16-le", "surrogatepass")[: 2 * units]
    return shared.decode("utf-16-le", "surrogatepass") + str(rest)


def of_texts(texts: list[str]) -> Trace:
    """One run whose calls ask these texts."""
    run = Run(begin=RunLine(run="r"), end=EndLine(output={}))
    run.calls = [
        CallLine(
            key=str(n), agent="a", request={"messages": [{"type": "human", "content": text}]},
            chunks=[{"content": text[::-1]}],
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip
    return Trace(path="t", runs={"r": run})


def test_the_page_is_one_file_that_asks_nobody_for_anything() -> None:
    page = trace_page(made())
    tags = Elements(page).tags
    assert [tag for tag, _ in tags if tag in {"link", "img", "iframe", "object", "base"}] == []
    assert all("src" not in attributes and "href" not in attributes for _, attributes in tags)
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}


def test_hostile_titles_are_data_and_nothing_else() -> None:
    trace = made()
    page = trace_page(trace)
    elements = Elements(page)
    assert len(elements.scripts) == 2
    assert page.count("<script") == page.count("</script") == 2
    assert "<img" not in page
    assert page.count("<!--") == 0
    assert "\u202e" not in page
    titles = str(json.loads(elements.scripts[0])["values"])
    assert all(repr(title)[1:-1] in titles for title in HOSTILE)


def test_the_page_runs_no_script_but_its_own_which_makes_no_markup() -> None:
    page = trace_page(made())
    data, script = Elements(page).scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "fetch(",
    ):
        assert way not in script
    assert "<" not in data


def test_a_hostile_file_name_is_a_title_only() -> None:
    trace = made(1)
    trace.path = "</title><script>alert(1)</script>\udce9.zst"
    page = trace_page(trace)
    assert len(Elements(page).scripts) == 2
    page.encode()


def test_every_prompt_and_answer_is_on_the_page_word_for_word() -> None:
    trace = made(2, systems=("ARAG", "ARAG without nli"))
    data = json.loads(Elements(trace_page(trace)).scripts[0])
    compared = 0
    for shown, run in zip(data["runs"], trace.runs.values(), strict=True):
        assert shown["id"] == run.id
        for told, call in zip(shown["calls"], run.calls, strict=True):
            exchange = data["exchanges"][told["exchange"]]
            messages = [(role, unpacked(data, place)) for role, place in exchange["messages"]]
            assert messages == turns(call)
            assert unpacked(data, exchange["reply"]) == reply(call).text
            assert data["values"][exchange["options"]] == call.request["options"]
            compared += 1
    assert compared == sum(len(run.calls) for run in trace.runs.values()) > 40


@given(st.lists(st.text(st.characters(exclude_categories=()), min_size=0, max_size=12), max_size=6))
def test_texts_that_begin_alike_come_back_whole(ends: list[str]) -> None:
    start = "\N{SHOPPING TROLLEY}\ud800 begins alike " * 4
    texts = [start[: 20 * n] + end for n, end in enumerate(ends)]
    data = json.loads(json.dumps(page_data(of_texts(texts))))
    asked = [data["exchanges"][call["exchange"]] for call in data["runs"][0]["calls"]]
    assert [unpacked(data, one["messages"][0][1]) for one in asked] == texts
    assert [unpacked(data, one["reply"]) for one in asked] == [text[::-1] for text in texts]


def test_what_calls_and_systems_share_stands_there_once() -> None:
    systems = ["popularity", "ARAG", *(f"ARAG without {n}" for n in range(4))]
    trace = made(8, items=20, systems=systems)
    calls = sum(len(run.calls) for run in trace.runs.values())
    assert calls > 1_000
    # 25 MB for the 15,000 calls of 50 cases and 10 systems
    assert len(trace_page(trace)) / calls < 25e6 / 15_000 / 2


def test_numbers_that_a_browser_would_misread_become_text() -> None:
    trace = made(1)
    run = trace.runs["200/ARAG"]
    run.end = run.end.model_copy(
        update={"output": {"odd": [math.nan, math.inf], "id": 2**60}, "metrics": {"AUC": math.nan}}
    )
    data = json.loads(Elements(trace_page(trace)).scripts[0])
    shown = next(one for one in data["runs"] if one["id"] == run.id)
    assert data["values"][shown["output"]] == {"odd": ["nan", "inf"], "id": str(2**60)}
    assert shown["metrics"] == {"AUC": "nan"}


def test_runs_of_a_case_stand_side_by_side_whenever_they_ended() -> None:
    trace = made(2)
    trace.runs = dict(sorted(trace.runs.items(), key=lambda pair: pair[1].begin.system))
    assert list(trace.runs)[:2] == ["200/ARAG", "201/ARAG"]
    order = [run["id"] for run in page_data(trace)["runs"]]
    assert order == ["200/ARAG", "200/popularity", "201/ARAG", "201/popularity"]


def test_a_run_is_ok_or_degraded_or_failed() -> None:
    runs = made(1, systems=("popularity", "broken", "ARAG")).runs.values()
    assert [status(run) for run in runs] == ["ok", "failed", "degraded"]


def test_odds_are_those_of_the_model_likeliest_first() -> None:
    calls = made(1).runs["200/ARAG"].calls
    odds = token_odds(calls[1])
    assert [token for token, _ in odds] == ["No", "Yes", " yes"]
    assert [p for _, p in odds] == pytest.approx([0.627, 0.371, 0.001])
    assert token_odds(calls[2]) == []


@pytest.mark.parametrize(
    "metadata",
    [{}, {"logprobs": None}, {"logprobs": {"content": None}}, {"logprobs": {"content": [None]}},
     {"logprobs": {"content": [{"top_logprobs": [{"token": "a", "logprob": None}]}]}},
     {"logprobs": {"content": [{"top_logprobs": [{"logprob": 9.0}]}]}},
     {"logprobs": {"content": [{}, {}]}}],
)  # fmt: skip
def test_odds_that_make_no_sense_are_left_out(metadata: dict[str, Any]) -> None:
    call = CallLine(key="k", chunks=[{"content": "x", "response_metadata": metadata}])
    assert token_odds(call) == []


def test_an_empty_trace_says_so() -> None:
    assert "holds no finished run" in trace_page(Trace(path="x"))
    assert "holds no finished run" not in trace_page(made(1))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(SetupError, match="jinja2"):
        trace_page(made(1))
