"""What a model is really asked by an agent: its first request as text and as JSON, for snapshots."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from pydantic import Field

Call = Callable[[BaseChatModel], Awaitable[object]]


class Asked(Exception):
    """Ends a request; what it was is on the model by then."""


class Recorder(BaseChatModel):
    """A model that keeps the first request that it gets."""

    request: dict[str, Any] = Field(default_factory=dict)
    messages: list[BaseMessage] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "recorder"

    def _generate(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("agents ask asynchronously")

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **request: Any) -> Any:
        if not self.messages:
            self.messages, self.request = messages, request
        raise Asked


async def requested(name: str, call: Call) -> dict[str, str]:
    """The two snapshots of a request: `NAME.txt` has the messages, `NAME.json` all else."""
    model = Recorder()
    with pytest.raises(Asked):
        await call(model)
    request = {key: value for key, value in model.request.items() if key != "stop"}
    as_json = json.dumps(request, indent=1, ensure_ascii=False) + "\n"
    return {f"{name}.txt": as_text(model.messages), f"{name}.json": as_json}


def as_text(messages: list[BaseMessage]) -> str:
    return "\n".join(f"[{message.type}]\n{message.content}\n" for message in messages)
