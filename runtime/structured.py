"""The only two ways to get an answer out of a model; no agent parses text itself.

- `ask(model, messages, Schema)`: an object. Constrained by the server where a probe has shown that it
  really constrains, validated here, one repair turn with the error text, then `ModelReplyError`.
- `choose(model, messages, options)`: a probability per option, read from the log-probabilities of one
  token and renormalised. One prefill, one token, and it cannot be malformed.

A server that does not know a decoding parameter ignores it and answers HTTP 200, so nothing is
trusted before the probe: a constant that no model would say by itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel, ValidationError, create_model

from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.endpoint import Endpoint, JsonSchema, response_format
from merchgraph.runtime.errors import MerchgraphError, ModelReplyError
from merchgraph.runtime.ledger import at, collect
from merchgraph.runtime.log import logger
from merchgraph.runtime.playing import playing, use_tape

S = TypeVar("S", bound=BaseModel)
log = logger("structured")

MAX_TOKENS = 512
PROBE = "zq7-probe"
MOST_CHARACTERS = 64
"""Of one token, on average over a reply; more only a server writes that ignores its limit."""
TOO_LONG = "it is longer than its token limit allows"
FLOOR = 1e-6
"""Least share of an option, also of one that the server did not report."""


async def ask(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    schema: type[S],
    *,
    agent: str,
    max_tokens: int = MAX_TOKENS,
) -> S:
    """Ask for an object.

    A reply that breaks off at `max_tokens` is asked again with twice as many: repeated with as many,
    it would break off again. One that does not validate is sent back with the error.

    Args:
        model: any chat model; ours are probed first.
        messages: the conversation so far.
        schema: a pydantic class; its descriptions are part of the instruction.
        agent: who asks, for the ledger and the tape.
        max_tokens: longest reply, in tokens.

    Raises:
        ModelReplyError: two replies in a row were unusable.
        EndpointError, SetupError, BudgetError: as `limits.attempt`.
    """
    with at(agent=agent):
        form = json_schema(schema)
        asked, extra = list(messages), response_format(schema.__name__, form)
        if not await follows_schema(model):
            asked, extra = _with_schema(asked, form), {}
        reply = await _reply(model, asked, max_tokens=max_tokens, **extra)
        value, problem = _parse(reply, schema, max_tokens)
        if value is None:
            log.warning("reply.repair", agent=agent, schema=schema.__name__, problem=problem)
            cut = _finish_reason(reply) == "length"
            again = [*asked, AIMessage(_text(reply)), HumanMessage(_repair(problem))]
            if cut or problem == TOO_LONG:
                again = asked
            with at(repair=True):
                limit = max_tokens * 2 if cut else max_tokens
                reply = await _reply(model, again, max_tokens=limit, **extra)
            value, problem = _parse(reply, schema, limit)
        if value is None:
            raise ModelReplyError(
                f"The model gave agent {agent!r} no usable {schema.__name__} in two tries: {problem}",
                reply=_text(reply),
            )
        return value


async def choose(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    options: Sequence[str] | Mapping[str, str],
    *,
    agent: str,
) -> dict[str, float]:
    """Probabilities over options, summing to 1, from one token.

    Args:
        model: any chat model.
        messages: a conversation whose reply should be one of the labels.
        options: the labels, or option -> label; each label one token, such as Yes, No, neutral.
        agent: who asks, for the ledger and the tape.

    A label's probability is the sum over the tokens that say it (with or without a space before).
    Falls back to `ask` with an enum where the server gives no usable log-probabilities: then the
    option named gets 1.

    Raises:
        ModelReplyError: neither way gave an answer.
        EndpointError, SetupError, BudgetError: as `limits.attempt`.
    """
    labels = dict(options) if isinstance(options, Mapping) else {name: name for name in options}
    with at(agent=agent):
        wanted: dict[str, Any] = {"logprobs": True, "top_logprobs": 20}
        if isinstance(model, ChatModel):
            wanted = {"labels": tuple(labels.values())}
        reply = await _reply(model, list(messages), max_tokens=1, **wanted)
        odds = _odds(reply, labels)
        if odds is None:
            log.warning("choose.no_logprobs", agent=agent)
            picked = await ask(
                model, messages, _enum(tuple(labels.values())), agent=agent, max_tokens=32
            )
            named = picked.model_dump()["answer"]
            return {option: float(label == named) for option, label in labels.items()}
        return odds


async def follows_schema(model: BaseChatModel) -> bool:
    """Whether the model's server really constrains; asks it once per endpoint and process.

    Who waited while that failed fails alike: one after the other, they would wait for hours. Models
    that are not ours are taken at their word.
    """
    if not isinstance(model, ChatModel):
        return True
    endpoint, tape = model.endpoint, playing()
    if tape is not None and tape.mode == "replay":  # a model made before the replay began
        return bool(tape.endpoints.get(endpoint.name, {}).get("follows_schema", True))
    if endpoint.follows_schema is None:
        known = endpoint.failed_probe
        async with endpoint.probing:
            if endpoint.follows_schema is None:
                failed = endpoint.failed_probe
                if failed is not None and failed is not known:  # the one that this waited for
                    raise type(failed)(str(failed))
                endpoint.follows_schema = await _find_out(model, endpoint)
    if tape is not None:
        told = tape.endpoints.setdefault(endpoint.name, {})
        told["follows_schema"] = endpoint.follows_schema
    return endpoint.follows_schema


async def _find_out(model: ChatModel, endpoint: Endpoint) -> bool:
    try:
        with use_tape(None), collect():  # about the server, not the run that asks first
            follows = await _probe(model)
    except MerchgraphError as error:
        endpoint.failed_probe = type(error)(str(error))
        raise
    log.info("probed", endpoint=endpoint.name, follows=follows)
    return follows


async def _probe(model: ChatModel) -> bool:
    constant = _enum((PROBE,))
    hello: list[BaseMessage] = [HumanMessage("Say hello.")]
    with at(agent="probe"):
        form = response_format("probe", json_schema(constant))
        reply = await _reply(model, hello, max_tokens=32, **form)
    return _parse(reply, constant, 32)[0] is not None


@cache
def json_schema(schema: type[BaseModel]) -> JsonSchema:
    """The strict JSON schema of a class: every field required, nothing additional."""
    from langchain_core.utils.function_calling import convert_to_json_schema

    return convert_to_json_schema(schema, strict=True)


@cache
def _enum(labels: tuple[str, ...]) -> type[BaseModel]:
    answer: Any = Literal[labels]
    return create_model("Choice", answer=(answer, ...))


def _with_schema(messages: list[BaseMessage], form: JsonSchema) -> list[BaseMessage]:
    """For a server that does not constrain: the schema as words, at the end.

    They go into the last message: many chat templates refuse a system message that is not the first,
    and two messages of a user in a row.
    """
    order = f"Answer with one JSON object and nothing else. Its JSON schema: {json.dumps(form)}"
    *before, last = messages
    if not isinstance(last, HumanMessage):
        return [*messages, HumanMessage(order)]
    if isinstance(last.content, str):
        return [*before, HumanMessage(f"{last.content}\n\n{order}")]
    return [*before, HumanMessage([*last.content, {"type": "text", "text": order}])]


async def _reply(model: BaseChatModel, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
    # stream=False: a listener on tokens (Studio) would turn the call into a stream, and the
    # log-probabilities and the reason why it stopped arrive whole only without
    reply = await model.ainvoke(messages, stream=False, **kwargs)
    assert isinstance(reply, AIMessage), type(reply)
    return reply


def _text(reply: AIMessage) -> str:
    return reply.content if isinstance(reply.content, str) else str(reply.text)


def _finish_reason(reply: AIMessage) -> str:
    return str(reply.response_metadata.get("finish_reason", ""))


def _parse(reply: AIMessage, schema: type[S], max_tokens: int) -> tuple[S | None, str]:
    """(value, "") or (None, what is wrong with the reply)."""
    if _finish_reason(reply) == "length":
        return None, "it broke off at the token limit"
    text = _text(reply).strip()
    # a reasoning model's thoughts come before its answer; an object may quote the tag in its text
    if "</think>" in text and not text.startswith("{"):
        text = text.rsplit("</think>", 1)[1].strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    if len(text) > max_tokens * MOST_CHARACTERS:  # what reads it later would hold up other runs
        return None, TOO_LONG
    try:
        return schema.model_validate_json(text), ""
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'reply'}: {e['msg']}" for e in error.errors()]
        return None, "; ".join(faults[:5])


def _repair(problem: str) -> str:
    return f"That reply cannot be used: {problem}. Answer again, with the corrected JSON only."


def _odds(reply: AIMessage, labels: Mapping[str, str]) -> dict[str, float] | None:
    """Renormalised probabilities, or None where the reply has no log-probabilities to trust."""
    try:
        top = reply.response_metadata["logprobs"]["content"][0]["top_logprobs"]
        found = [(str(entry["token"]).strip(), float(entry["logprob"])) for entry in top]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if any(math.isnan(value) or value > 1e-3 for _, value in found):
        return None
    mass = {
        option: sum(math.exp(value) for token, value in found if token == label)
        for option, label in labels.items()
    }
    if not any(mass.values()):
        return None
    whole = sum(mass.values())
    shares = {option: max(value / whole, FLOOR) for option, value in mass.items()}
    return {option: share / sum(shares.values()) for option, share in shares.items()}
