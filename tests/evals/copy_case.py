"""A planted use case: its first draft breaks four rules, and a revision mends what it is told of.

Told one failure at a time, the loop needs four rounds; told all of them, it needs one. A second draft is
good at once. So every number of the suite's report is known beforehand.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.messages import BaseMessage

from merchgraph.evals.suites.copywriting import Copywriting, Params
from merchgraph.runtime.scripted import Always, Answer, Replies
from merchgraph.tools.vectors import Floats

USE_CASE = """\
name: Tea
role: You write for a shop.
cohort: People who drink tea.
offer: Coupons for tea.
facts: [There are coupons for tea.]
parts:
  header: {characters: {least: 10, most: 40}}
required: {any: [coupon]}
topics: [There are coupons for tea.]
examples:
  - header: A coupon for every cup of tea
"""
CHECKS = ["header length", "keywords", "punctuation", "facts", "topic 1"]
VERSIONS = [
    "Tea; 9",  # too short
    "Tea; 9 for you",  # no keyword
    "Tea; 9 coupons for you",  # a mark that is not allowed
    "Tea: 9 coupons for you",  # a number that is no fact
    "Tea: coupons for you",
]
GOOD = "Coupons for all the tea"


def use_case(folder: Path) -> str:
    """The file of the use case."""
    path = folder / "tea.yaml"
    path.write_text(USE_CASE)
    return str(path)


def _copy(header: str) -> str:
    return f'{{"header": "{header}"}}'


def _written(messages: Sequence[BaseMessage]) -> Answer:
    return f'{{"copies": [{_copy(VERSIONS[0])}, {_copy(GOOD)}]}}'


def mended(messages: Sequence[BaseMessage]) -> Answer:
    """The version in which everything that the reviser is told of is mended."""
    task = str(messages[-1].content)
    draft = task.partition("<draft>")[2].partition("</draft>")[0]
    now = max(number for number, text in enumerate(VERSIONS) if f" {text}\n" in f"{draft}\n")
    faults = task.partition("What is wrong with the draft:")[2].partition("Rewrite")[0]
    return _copy(VERSIONS[now + sum(line.startswith("- ") for line in faults.splitlines())])


REPLIES: Replies = {
    "write": Always(_written),
    "topic": Always({"Yes": 0.9, "No": 0.1}),
    "refine": Always(mended),
    "criticise": Always('{"critique": "Say it plainly."}'),
    "rewrite": Always(_copy(GOOD)),
}


class Letters:
    """Embeds a text by how often it has each letter."""

    fingerprint, width = "letters", 26

    def encode(self, texts: Sequence[str]) -> Floats:
        """(N, 26) float32 — counts."""
        rows = [[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts]
        return np.asarray(rows, np.float32) + 0.01


def suite(path: str, model: str, **params: Any) -> Copywriting:
    """Two batches of two copies of the planted use case."""
    wanted = {"batches": 2, "copies": 2, **params}
    return Copywriting(Params(use_cases=path, model=model, **wanted))
