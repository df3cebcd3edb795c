"""The test double: a model that says what a script holds, and fails when it is asked otherwise.

    with scripted({
        "nli": Always({"Yes": 0.8, "No": 0.2}),            # choose(): odds of the labels
        "nli@milk": [{"No": 1.0}],                          # only in the lane "milk", once
        "understand": ['{"summary": "half a', Understanding(...)],  # ask(): first cut, then whole
        "rank": [ConnectionError("gone"), Ranking(...)],    # a fault, then an answer
    }) as model:
        arag.run(Request(user="1"), Context(model=model))

A key is an agent, or `agent@lane`, which wins. A list is used up in order: one request more is an
error, and so is a reply left over when the block ends. `Always` answers any number of times; what it
holds may be a function of the messages. Answers go by key, never by call order, since the branches of
a fan-out ask in any order.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel, Field

from merchgraph.runtime.endpoint import Endpoint, response_format
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.ledger import here
from merchgraph.runtime.limits import Limiter
from merchgraph.runtime.settings import settings


@dataclass(frozen=True)
class Text:
    """A reply word for word, with the reason why the server stopped."""

    content: str
    finish_reason: str = "stop"


Answer = str | Text | BaseModel | Mapping[str, float] | BaseException
"""Text, an object to be written as JSON, odds of one-token labels, or a fault to raise."""


@dataclass(frozen=True)
class Always:
    """Answers any number of requests, none included; a function gets the messages."""

    answer: Answer | Callable[[Sequence[BaseMessage]], Answer]


Replies = Mapping[str, Always | Sequence[Answer]]


class ScriptError(AssertionError):
    """A script that was asked for more than it holds, or for less."""


@dataclass
class Script:
    """What a scripted model answers, and what it was asked.

    Attributes:
        delay_s: how long each answer takes, in seconds.
        asked: (agent, lane, messages) of every request so far.
    """

    replies: Replies
    delay_s: float = 0.0
    asked: list[tuple[str, str, list[BaseMessage]]] = field(default_factory=list)
    _used: dict[str, int] = field(default_factory=dict)

    def next(self, messages: list[BaseMessage]) -> Answer:
        """The answer to a request from the current site.

        Raises:
            ScriptError: the script holds no further answer for it.
        """
        site = here()
        self.asked.append((site.agent, site.lane, messages))
        key = f"{site.agent}@{site.lane}"
        if key not in self.replies:
            key = site.agent
        if key not in self.replies:
            raise ScriptError(f"no reply for agent {site.agent!r}, lane {site.lane!r}; "
                              f"the script has {sorted(self.replies)}")  # fmt: skip
        replies = self.replies[key]
        if isinstance(replies, Always):
            return replies.answer(messages) if callable(replies.answer) else replies.answer
        used = self._used[key] = self._used.get(key, 0) + 1
        if used > len(replies):
            raise ScriptError(f"request {used} for {key!r}, but the script holds {len(replies)}")
        return replies[used - 1]

    def check_used_up(self) -> None:
        """Raise where answers are left over.

        Raises:
            ScriptError: naming each key and how many answers nobody asked for.
        """
        left = {
            key: len(replies) - self._used.get(key, 0)
            for key, replies in self.replies.items()
            if not isinstance(replies, Always) and len(replies) > self._used.get(key, 0)
        }
        if left:
            raise ScriptError(f"replies that nobody asked for: {left}")


class ScriptedClient(BaseChatModel):
    """The client that an endpoint `scripted/NAME` talks to."""

    script: Script = Field(exclude=True)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = self.script.next(messages)
        if self.script.delay_s:
            await asyncio.sleep(self.script.delay_s)
        if isinstance(answer, BaseException):
            raise answer
        return ChatResult(generations=[ChatGeneration(message=_message(answer, messages))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        whole = (await self._agenerate(messages, stop, None, **kwargs)).generations[0].message
        words = str(whole.content).split(" ")
        for number, word in enumerate(words):
            last = number + 1 == len(words)
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    content=word if last else f"{word} ",
                    response_metadata=whole.response_metadata if last else {},
                    usage_metadata=whole.usage_metadata
                    if last and isinstance(whole, AIMessage)
                    else None,
                )
            )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("a scripted client is asked through a ChatModel")


def _message(answer: Answer, messages: Sequence[BaseMessage]) -> AIMessage:
    metadata: dict[str, Any] = {"finish_reason": "stop"}
    if isinstance(answer, Text):
        content, metadata["finish_reason"] = answer.content, answer.finish_reason
    elif isinstance(answer, BaseModel):
        content = answer.model_dump_json()
    elif isinstance(answer, Mapping):
        content = max(answer, key=lambda label: answer[label])
        metadata["logprobs"] = {"content": [{"token": content, "top_logprobs": _logprobs(answer)}]}
    else:
        content = str(answer)
    prompt, completion = sum(len(str(m.content)) for m in messages) // 4, len(content) // 4 + 1
    usage = {
        "input_tokens": prompt,
        "output_tokens": completion,
        "total_tokens": prompt + completion,
    }
    return AIMessage(content=content, response_metadata=metadata, usage_metadata=usage)


def _logprobs(odds: Mapping[str, float]) -> list[dict[str, Any]]:
    return [{"token": label, "logprob": math.log(p)} for label, p in odds.items() if p > 0]


_scripts: dict[str, Endpoint] = {}
_names = count(1)


@contextmanager
def scripted(
    replies: Replies, *, name: str = "", delay_s: float = 0.0, cap: int | None = None
) -> Iterator[ScriptedModel]:
    """Register a script for the length of a block, and check at its end that it was used up.

    Args:
        replies: answers by agent, or by `agent@lane`.
        name: the model is `scripted/<name>`; a fresh number if empty.
        delay_s: how long each answer takes, in seconds.
        cap: requests in flight at most; by default the settings' `concurrency`.
    """
    name = name or str(next(_names))
    script = Script(replies, delay_s)
    limiter = Limiter(f"scripted/{name}", cap or settings().concurrency, settings().token_budget)
    client = ScriptedClient(script=script)
    _scripts[name] = Endpoint(
        name=f"scripted/{name}", open=lambda: ("scripted", client), constrain=response_format,
        limiter=limiter, follows_schema=True, sight="sees",
    )  # fmt: skip
    try:
        yield ScriptedModel(f"scripted/{name}", script, limiter)
        script.check_used_up()
    finally:
        del _scripts[name]


class ScriptedModel(str):
    """The model's name for a context, with its script and limiter at hand for assertions."""

    script: Script
    limiter: Limiter

    def __new__(cls, name: str, script: Script, limiter: Limiter) -> ScriptedModel:
        """Make the name; `script` and `limiter` ride along."""
        made = super().__new__(cls, name)
        made.script, made.limiter = script, limiter
        return made


def scripted_endpoint(name: str, model: str) -> Endpoint:
    """The endpoint that a script was registered under.

    Raises:
        SetupError: no script of that name is registered now.
    """
    if model not in _scripts:
        raise SetupError(
            f"No script is registered as {name!r}; open one with "
            "`with scripted({...}) as model:` and use its name inside the block."
        )
    return _scripts[model]
