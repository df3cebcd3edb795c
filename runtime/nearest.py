"""Why a request is not on the tape: the recorded request nearest to it, and the words that differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from merchgraph.runtime.trace import CallLine, JsonObject, ToolLine

AROUND = 6
"""Words shown on either side of a difference."""
MOST = 8
"""Differences shown."""
LOOKED_AT = 40
"""Recorded requests that are compared: each takes some milliseconds."""


def explain_miss(asked: JsonObject, site: str, recorded: Sequence[CallLine | ToolLine]) -> str:
    """Some lines for a person: which recorded request comes nearest, and how it differs."""
    lines = [(line, _asked_of(line)) for line in recorded]
    same = [repr(line.lane) for line, was in lines if was == asked]
    if same:
        return (
            f"It was recorded {len(same)} time(s), in the lane(s) {', '.join(same[:5])}; "
            "this run asks it once more, or elsewhere."
        )
    agents = [pair for pair in lines if _site(pair[0]) == site] or lines
    if not agents:
        return "Nothing was recorded in this run."
    near = max(agents[:LOOKED_AT], key=lambda pair: _likeness(pair[1], asked))
    told = "\n".join(f"  {line}" for line in _differences(near[1], asked))
    return f"The nearest recorded request is of {_site(near[0])!r}; [-recorded-] {{+asked now+}}:\n{told}"


def _asked_of(line: CallLine | ToolLine) -> JsonObject:
    return line.request if isinstance(line, CallLine) else {"tool": line.name, "args": line.args}


def _site(line: CallLine | ToolLine) -> str:
    name = line.agent if isinstance(line, CallLine) else line.name
    return f"{name}@{line.lane}" if line.lane else name


def _likeness(one: JsonObject, other: JsonObject) -> float:
    was, now = (" ".join(text for _, text in _texts(asked)).split() for asked in (one, other))
    return float(SequenceMatcher(None, was, now, autojunk=False).quick_ratio())


def _differences(was: JsonObject, now: JsonObject) -> Iterator[str]:
    old, new = dict(_texts(was)), dict(_texts(now))
    for place in dict.fromkeys([*old, *new]):
        if place not in new:
            yield f"{place}: only recorded: {_short(old[place])}"
        elif place not in old:
            yield f"{place}: only asked now: {_short(new[place])}"
        elif old[place] != new[place]:
            yield f"{place}: {words_changed(old[place], new[place])}"


def words_changed(old: str, new: str) -> str:
    """The changed words in the midst of their neighbours: `a [-b-] {+c+} d`."""
    before, after = re.findall(r"\s+|[^\s]+", old), re.findall(r"\s+|[^\s]+", new)
    parts: list[str] = []
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            kept = before[i:j]
            whole = len(kept) <= 4 * AROUND
            shown = kept if whole else [*kept[: 2 * AROUND], " … ", *kept[-2 * AROUND :]]
            parts.append("".join(shown))
            continue
        taken, put = _short("".join(before[i:j])), _short("".join(after[k:m]))
        parts.append((f"[-{taken}-]" if taken else "") + (f"{{+{put}+}}" if put else ""))
        if len(parts) > 2 * MOST:
            parts.append(" … and more")
            break
    return " ".join("".join(parts).split())


def _texts(asked: JsonObject, place: str = "") -> Iterator[tuple[str, str]]:
    """(place, text) of every value; a message by its number and role."""
    for name, value in asked.items():
        if name == "messages" and isinstance(value, list):
            for number, message in enumerate(value, start=1):
                told = message.get("content") if isinstance(message, dict) else message
                role = message.get("type", "") if isinstance(message, dict) else ""
                yield f"message {number} ({role})", _text(told)
        elif isinstance(value, dict):
            yield from _texts(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _short(text: str, limit: int = 160) -> str:
    text = " ".join(text.split()) if len(text) > limit else text
    return text if len(text) <= limit else f"{text[:limit]}…"
