"""What a person reads when a replay asks something else: which request, which message, which words."""

import time
from typing import Any

import pytest

from merchgraph.runtime.nearest import explain_miss, words_changed
from merchgraph.runtime.trace import CallLine, JsonObject, ToolLine


def request(*texts: str, **options: Any) -> JsonObject:
    kinds = ["system", "human", "ai"]
    messages = [{"type": kinds[n % 3], "content": text} for n, text in enumerate(texts)]
    return {"model": "m/1", "messages": messages, "options": {"temperature": 0.0} | options}


def call(*texts: str, agent: str = "nli", lane: str = "", **options: Any) -> CallLine:
    return CallLine(key="k", agent=agent, lane=lane, request=request(*texts, **options))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("a b c", "a x c", "a [-b-]{+x+} c"),
        ("a b", "a b c", "a b{+ c+}"),
        ("a b c", "a c", "a [-b -]c"),
        ("", "a", "{+a+}"),
        ("a", "", "[-a-]"),
        ("a\nb", "a\nb", "a b"),
        ("one two", "eins zwei", "[-one-]{+eins+} [-two-]{+zwei+}"),
    ],
)
def test_the_changed_words_stand_in_the_midst_of_the_others(old: str, new: str, told: str) -> None:
    assert words_changed(old, new) == told


def test_a_long_text_is_shown_around_its_change_only() -> None:
    words = [f"w{n}" for n in range(400)]
    told = words_changed(" ".join(words), " ".join([*words[:200], "new", *words[200:]]))
    assert "w199 {+new +}w200" in told
    assert len(told) < 300


def test_many_changes_end_in_a_word() -> None:
    old, new = (" ".join(f"same {tag}{n}" for n in range(99)) for tag in "ab")
    told = words_changed(old, new)
    assert told.endswith("… and more")
    assert len(told) < 500


def test_the_message_that_differs_is_named_by_number_and_role() -> None:
    told = explain_miss(request("Be kind.", "Good tea?"), "nli", [call("Be kind.", "Good jam?")])
    assert told.splitlines() == [
        "The nearest recorded request is of 'nli'; [-recorded-] {+asked now+}:",
        "  message 2 (human): Good [-jam?-]{+tea?+}",
    ]


def test_the_nearest_of_the_same_agent_is_shown() -> None:
    recorded = [
        call("", "exactly the same words but one"),
        call("", "exactly the other words", agent="rank"),
        call("", "nothing at all", agent="rank"),
    ]
    told = explain_miss(request("", "exactly the same words and one"), "rank", recorded)
    assert "message 2 (human): exactly the [-other-]{+same+} words{+ and one+}" in told
    assert "'rank'" in told
    told = explain_miss(request("", "exactly the same words and one"), "new agent", recorded)
    assert "of 'nli'" in told


def test_the_same_lane_is_looked_at_first() -> None:
    recorded = [call("", f"fits {n}?", lane=f"item {n}") for n in range(99)]
    told = explain_miss(request("", "fits well 77?"), "nli@item 77", recorded)
    assert "of 'nli@item 77'" in told
    assert "{+well +}77?" in told


def test_options_and_messages_that_are_there_once_are_named() -> None:
    asked = request("Be kind.", max_tokens=9)
    told = explain_miss(asked, "nli", [call("Be kind.", "Tea?", max_tokens=7, stop=["."])])
    assert "message 2 (human): only recorded: Tea?" in told
    assert "options.max_tokens: [-7-]{+9+}" in told
    assert "options.stop: only recorded: ['.']" in told
    assert "options.temperature" not in told


def test_a_tool_is_compared_by_its_arguments() -> None:
    line = ToolLine(key="k", name="retrieve", args={"k": 5, "request": {"user": "ann"}})
    asked = {"tool": "retrieve", "args": {"k": 6, "request": {"user": "ann"}}}
    told = explain_miss(asked, "retrieve", [line, call("x")])
    assert told.endswith("\n  args.k: [-5-]{+6+}")


def test_a_request_that_is_there_is_said_to_be_asked_once_more() -> None:
    told = explain_miss(request("Tea?"), "nli", [call("Tea?", lane="a"), call("Tea?", lane="b")])
    assert (
        told
        == "It was recorded 2 time(s), in the lane(s) 'a', 'b'; this run asks it once more, or elsewhere."
    )


def test_an_empty_tape_has_nothing_near() -> None:
    assert explain_miss(request("Tea?"), "nli", []) == "Nothing was recorded in this run."


def test_long_prompts_are_compared_within_a_moment() -> None:
    text = " ".join(f"Product {n} of aisle {n % 7}." for n in range(400))
    recorded = [call(text, f"Is it {n}?", lane=f"{n}") for n in range(40)]
    began = time.process_time()
    told = explain_miss(request(text.replace("399", "400"), "Is it 41?"), "nli@41", recorded)
    assert "[-399-]{+400+}" in told
    assert time.process_time() - began < 2
