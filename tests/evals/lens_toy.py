"""The lens suite on a toy shop: a dozen households that come each week, fourteen kinds of goods."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage

from merchgraph.evals.suites.lens import Lens, Params
from merchgraph.runtime.scripted import Always, Answer, Replies, Text

HOUSEHOLDS, WEEKS, ITEMS = 12, 40, 24
MONDAY = datetime(2026, 1, 5, 10)
MAPPING = """\
name: toy
items: {file: items.csv, columns: {item: id, title: name, category: path}}
events:
  file: events.csv
  columns: {user: u, session: s, time: t, item: id}
  constants: {behaviour: purchase}
"""


def toy_shop(folder: Path) -> str:
    """The mapping file: each household buys three kinds a week, of twelve kinds of its own."""
    items = [f"i{n},Brand {n},Food > Kind {chr(65 + n)}" for n in range(ITEMS)]
    events = []
    for house in range(HOUSEHOLDS):
        for week in range(WEEKS):
            time = MONDAY + timedelta(weeks=week, hours=house)
            for step in range(3):
                item = (house + (week * (step + 1)) % 12) % ITEMS
                events.append(f"h{house},h{house}/{week},{time.isoformat()},i{item}")
    (folder / "items.csv").write_text("\n".join(["id,name,path", *items]) + "\n")
    (folder / "events.csv").write_text("\n".join(["u,s,t,id", *dict.fromkeys(events)]) + "\n")
    mapping = folder / "toy.yaml"
    mapping.write_text(MAPPING)
    return str(mapping)


def _letters(messages: Sequence[BaseMessage]) -> list[str]:
    """The letters of the candidates, in the order in which they are offered."""
    content: Any = messages[-1].content
    text = content if isinstance(content, str) else "".join(p.get("text", "") for p in content)
    return re.findall(r"^([A-T])\. Kind", text, flags=re.MULTILINE)


def predicted(messages: Sequence[BaseMessage]) -> Answer:
    """The second candidate, whose reason depends on how the history is shown."""
    reason = (
        f"Kind A, seen {zlib.crc32(str(messages[-1].content).encode()) % 97} times in the plot."
    )
    return Text(json.dumps({"explanation": reason, "prediction": _letters(messages)[1]}))


def weighed(messages: Sequence[BaseMessage]) -> Answer:
    """The first candidate most."""
    letters = _letters(messages)
    return {letter: 0.55 if place == 0 else 0.05 for place, letter in enumerate(letters)}


def rated(messages: Sequence[BaseMessage]) -> Answer:
    """Points that depend on the prompt and on nothing else."""
    labels = re.findall(r"^([A-L])\. Guess", str(messages[-1].content), flags=re.MULTILINE)
    seed = zlib.crc32(str(messages[-1].content).encode())
    return Text(json.dumps({label: 1 + (seed >> n) % 5 for n, label in enumerate(labels)}))


REPLIES: Replies = {
    "predict": Always(predicted), "weigh": Always(weighed), "count": Always(weighed),
}  # fmt: skip
JUDGE: Replies = {"explanation judge": Always(rated)}


def suite(data: str, model: str, **params: Any) -> Lens:
    """The suite on a toy shop."""
    return Lens(Params(data=data, model=model, **params))
