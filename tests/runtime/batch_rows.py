"""What answers the rows of the batch tests: by arithmetic, by a clock, or by a model over HTTP.

Other processes make it by name, `tests.runtime.batch_rows:made`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from pydantic import BaseModel

from merchgraph.runtime.errors import DataError, EndpointError, ModelReplyError
from merchgraph.runtime.ledger import Usage, at, collect
from merchgraph.runtime.models import chat_model

FACTORY = "tests.runtime.batch_rows:made"


class Deed(BaseModel):
    """One thing of several."""

    name: str
    share: float


class Result(BaseModel):
    """What came of a row."""

    text: str
    length: int
    deeds: list[Deed]
    notes: dict[str, int]
    usage: Usage


class Rows:
    """Answers a row by its text; "bad", "bug" and "away" in it are failures of their kind."""

    kind = Result

    def __init__(self, model: str = "", delay_s: float = 0.0, pids: str = "") -> None:
        self.model, self.delay_s = model, delay_s
        if pids:  # so that a test can kill whoever works
            with open(pids, "a") as file:
                file.write(f"{os.getpid()} {time.time()}\n")

    async def __call__(self, row: dict[str, Any]) -> Result:
        text, calls = str(row["text"]), []
        await asyncio.sleep(self.delay_s)
        if "bad" in text:
            raise DataError(f"The text {text!r} is bad.")
        if "bug" in text:
            raise KeyError(text)
        if "away" in text:
            raise EndpointError("The server is away; start it.")
        if self.model:
            with collect() as calls, at(agent="echo"):
                try:
                    reply = await chat_model(self.model).ainvoke([HumanMessage(text)])
                except EndpointError as error:
                    error.calls = calls
                    raise
            if reply.content != f"echo of {text}":
                raise ModelReplyError("The model echoes something else.", reply=str(reply.content))
        deeds = [Deed(name=word, share=1 / len(text)) for word in text.split()]
        return Result(
            text=text.upper(), length=len(text), deeds=deeds, notes={text: 1}, usage=Usage.of(calls)
        )


def said(messages: Sequence[BaseMessage]) -> str:
    """The answer of a scripted model that the rows expect."""
    return f"echo of {messages[-1].content}"


def made(**given: Any) -> Rows:
    return Rows(**given)
