"""Requests and replies of chat models as JSON and back, for the tape.

A reply is given to a recording run only after it went through JSON, so that the run saw exactly what
its replay will see.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, TypeAdapter

from merchgraph.runtime.log import HIDDEN, SECRET_VALUE
from merchgraph.runtime.settings import settings

JsonObject = dict[str, Any]
EMPTY: tuple[object, ...] = (None, "", [], {}, ())
NOT_SENT = {"id", "response_metadata", "usage_metadata"}
"""What a reply carries that no server is told when it stands in a later request."""


_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))


def as_plain(value: Any) -> Any:
    """A value of pydantic objects, tuples, times ... as JSON has it."""
    return _ANYTHING.dump_python(value, mode="json")


def request_json(model: str, messages: Sequence[BaseMessage], options: JsonObject) -> JsonObject:
    """What decides a reply, and nothing else: no address, key, id or clock; secrets are hidden."""
    spoken = [
        _kept(message.model_dump(exclude=NOT_SENT), {"type", "content"}) for message in messages
    ]
    whole = {"model": model, "messages": spoken, "options": options}
    asked: JsonObject = hide(as_plain(whole))
    return asked


def key_of(values: Mapping[str, Any]) -> str:
    """A hash of JSON values that is the same in every process and on every machine."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def message_json(reply: ChatGeneration) -> JsonObject:
    """A reply's message, or one chunk of it, with everything that it carries but empty fields."""
    fields = _kept(reply.message.model_dump(), {"content"})
    said = reply.message.response_metadata
    info = {name: told for name, told in (reply.generation_info or {}).items()
            if said.get(name) != told}  # fmt: skip
    if info:
        fields["generation_info"] = info
    told: JsonObject = hide(as_plain(fields))
    return told


def as_result(replies: Sequence[JsonObject]) -> ChatResult:
    """The whole reply; chunks are put together."""
    if len(replies) == 1:
        fields = {name: value for name, value in replies[0].items() if name != "type"}
        info = fields.pop("generation_info", None)
        message = AIMessage(**fields)
        return ChatResult(generations=[ChatGeneration(message=message, generation_info=info)])
    chunks = [as_chunk(reply).message for reply in replies]
    whole = sum(chunks[1:], start=chunks[0])
    fields = {name: value for name, value in whole.model_dump().items() if name in _OF_A_MESSAGE}
    return ChatResult(generations=[ChatGeneration(message=AIMessage(**fields))])


_OF_A_MESSAGE = ("content", "additional_kwargs", "response_metadata", "usage_metadata", "id")


def as_chunk(reply: JsonObject) -> ChatGenerationChunk:
    """One chunk; a reply that was not streamed is one chunk."""
    fields = {name: value for name, value in reply.items() if name != "type"}
    info = fields.pop("generation_info", None)
    return ChatGenerationChunk(message=AIMessageChunk(**fields), generation_info=info)


def hide(value: Any) -> Any:
    """JSON that any file can hold, without secrets: what looks like a key, and the settings' keys."""
    return _hide(value, _known_secrets())


def _hide(value: Any, known: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for secret in known:
            value = value.replace(secret, HIDDEN)
        return SECRET_VALUE.sub(HIDDEN, _writable(value))
    if isinstance(value, float) and not math.isfinite(value):
        return _NO_NUMBERS[str(value)]
    if isinstance(value, dict):
        return {_hide(name, known): _hide(inner, known) for name, inner in value.items()}
    if isinstance(value, list):
        return [_hide(inner, known) for inner in value]
    return value


_NO_NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""JSON has none of these; `float` reads the words."""


def _writable(text: str) -> str:
    """Text as UTF-8 can hold it: halves of a character are joined, or replaced where one is alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _known_secrets() -> tuple[str, ...]:
    now = settings()
    keys = (key.get_secret_value() for key in (now.vllm_api_key, now.openai_api_key) if key)
    return tuple(key for key in keys if len(key) >= 8)  # a shorter one would hide ordinary words


def _kept(fields: JsonObject, always: set[str]) -> JsonObject:
    return {name: value for name, value in fields.items() if name in always or value not in EMPTY}
