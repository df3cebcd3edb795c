"""A tea shop's campaign and a script in which every agent of the copywriting graph answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from merchgraph.graphs import copywriting
from merchgraph.graphs.copywriting import Context, Request, Result
from merchgraph.graphs.copywriting_state import loaded
from merchgraph.runtime.scripted import Always, Answer, Replies, ScriptedModel, scripted
from merchgraph.tools.use_case import UseCase

CASE = UseCase.model_validate(
    {
        "name": "Tea week",
        "role": "You write for a tea shop.",
        "cohort": "People who drink tea",
        "offer": "Twelve green teas",
        "facts": ["There are 12 green teas."],
        "parts": {
            "header": {"characters": {"least": 8, "most": 30}},
            "subheader": {"characters": {"least": 10, "most": 60}},
        },
        "required": {"header": ["tea"]},
        "excluded": {"any": ["coffee"]},
        "topics": ["There are green teas."],
        "coherence": True,
        "tone": "calm",
        "personal": True,
        "examples": [{"header": "Time for tea", "subheader": "12 green teas wait for you"}],
        "copies": 3,
    }
)
GOOD = [
    ("Green tea days", "A dozen leaves to try at home"),
    ("Your cup of tea", "12 green teas for slow mornings"),
    ("Put the tea kettle on", "Leaves from green hills for you"),
]
YES: Answer = {"Yes": 0.9, "No": 0.1}
NO: Answer = {"Yes": 0.2, "No": 0.8}
KINDS = ("topic", "coherence", "tone", "personal")


def copies(*texts: tuple[str, str]) -> str:
    """A writer's reply."""
    listed = [{"header": header, "subheader": subheader} for header, subheader in texts]
    return json.dumps({"copies": listed})


def copy(header: str, subheader: str) -> str:
    """A reviser's reply."""
    return json.dumps({"header": header, "subheader": subheader})


def replies(*texts: tuple[str, str], **changed: Always | Sequence[Answer]) -> Replies:
    """One reply of the writer; evaluators say Yes unless `changed` says otherwise ("tone__2": lane)."""
    kinds: dict[str, Always | Sequence[Answer]] = dict.fromkeys(KINDS, Always(YES))
    given = {key.replace("__", "@"): answer for key, answer in changed.items()}
    return {"write": [copies(*(texts or GOOD))], **kinds, **given}


def run(
    script: Replies, case: UseCase | str = CASE, **context: Any
) -> tuple[Result, ScriptedModel]:
    """A run with the scripted model; without help for a reviser that brings nothing, if not asked for."""
    with scripted(script) as model:
        settings = Context(model=model, **{"mend": False, **context})
        result = copywriting.run(Request(use_case=case), settings)
    return result, model


def told(messages: Sequence[BaseMessage]) -> list[str]:
    """What a reviser is told to be wrong."""
    text = str(messages[-1].content)
    faults = text.split("What is wrong with the draft:\n")[1].split("\nRewrite")[0]
    return faults.splitlines()


def draft(messages: Sequence[BaseMessage]) -> dict[str, str]:
    """The version that a reviser is given."""
    text = str(messages[-1].content).split("<draft>\n")[1].split("\n</draft>")[0]
    return dict(re.findall(r"^(\w+): (.*)$", text, flags=re.MULTILINE))


def headers(result: Result) -> list[str]:
    """Of the accepted copies."""
    return [copy.text["header"] for copy in result.accepted]


def changed_case(**fields: Any) -> UseCase:
    """The campaign with other fields."""
    plain: Mapping[str, Any] = CASE.model_dump(mode="json")
    return loaded(UseCase.model_validate({**plain, **fields}))
