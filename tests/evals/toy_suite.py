"""The ARAG suite on a toy shop: thirty items, a dozen households, texts embedded by their letters."""

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import BaseMessage

from merchgraph.agents.nli import Rationale
from merchgraph.evals.suites.arag import Arag, Params
from merchgraph.runtime.scripted import Always, Answer, Replies
from merchgraph.tools import embedding
from merchgraph.tools.vectors import Floats
from tests.graphs.conftest import UNDERSTANDING, backwards, summary

HOUSEHOLDS = 12
END = datetime(2026, 5, 31, 12)
TEST, WEEK_BEFORE = END - timedelta(days=20), END - timedelta(days=30)
MAPPING = """\
name: toy
items: {file: items.csv, columns: {item: id, title: name}}
events:
  file: events.csv
  columns: {user: u, session: s, time: t, item: id}
  constants: {behaviour: purchase}
"""
NAMES = [f"{kind} {number}" for number in range(10) for kind in ("Tea", "Jam", "Soap")]


def toy_shop(folder: Path) -> str:
    """The mapping file of the shop; every household has a basket in the test and in the week before."""
    rows = [("crowd", f"c{n}", END - timedelta(days=90, minutes=n), item)
            for n in range(25) for item in range(len(NAMES))]  # fmt: skip
    for house in range(HOUSEHOLDS):
        for number, time in enumerate((END - timedelta(days=70), WEEK_BEFORE, TEST)):
            kind = [(3 * step + house + 5 * number * step) % len(NAMES) for step in range(3)]
            rows += [(f"h{house}", f"h{house}/{number}", time, item) for item in kind]
    rows.append(("last", "last", END, 0))
    events = [f"{user},{session},{time.isoformat()},i{item}" for user, session, time, item in rows]
    items = [f"i{n},{name}" for n, name in enumerate(NAMES)]
    (folder / "items.csv").write_text("\n".join(["id,name", *items]) + "\n")
    (folder / "events.csv").write_text("\n".join(["u,s,t,id", *events]) + "\n")
    mapping = folder / "toy.yaml"
    mapping.write_text(MAPPING)
    return str(mapping)


class Letters:
    """Embeds a text by how often it has each letter."""

    fingerprint, width = "letters", 26

    def encode(self, texts: Sequence[str]) -> Floats:
        """(N, 26) float32 — counts."""
        rows = [[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts]
        return np.asarray(rows, np.float32) + 0.01


def use_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the tests the text model, which takes seconds to load."""
    monkeypatch.setattr(embedding, "SentenceModel", Letters)


def judged(messages: Sequence[BaseMessage]) -> Answer:
    """Odds that depend on the prompt and on nothing else."""
    if len(messages) > 2:
        return Rationale(reason="it fits")
    share = zlib.crc32(str(messages[-1].content).encode()) % 97 / 100 + 0.01
    return {"Yes": share, "Maybe": 0.01, "No": 0.99 - share}


REPLIES: Replies = {
    "understand": Always(UNDERSTANDING),
    "nli": Always(judged),
    "prior": Always(judged),
    "summarize": Always(summary),
    "rank": Always(backwards),
    "single": Always(backwards),
}
SOME = "popularity, own frequency, tools alone, ARAG, ARAG without CSA, ARAG + tools"


def suite(data: str, model: str, **params: Any) -> Arag:
    """The suite with few systems and two cases of the week before."""
    return Arag(Params(data=data, model=model, **{"systems": SOME, "fit_cases": 2, **params}))
