"""Requests and replies of chat models as JSON and back, for the tape.

A reply is given to a recording run only after it went through JSON, so that the run saw exactly what
its replay will see.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel, ConfigDict, TypeAdapter

from merchgraph.runtime.errors import TapeError
from merchgraph.runtime.log import HIDDEN, SECRET_VALUE, known_secrets

JsonObject = dict[str, Any]
EMPTY: tuple[object, ...] = (None, "", [], {}, ())
NOT_SENT = {"id", "response_metadata", "usage_metadata"}
"""What a reply carries that no server is told when it stands in a later request."""


_ANYTHING: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))


def as_plain(value: Any) -> Any:
    """A value of pydantic objects, tuples, times ... as JSON has it; sets in the order of their JSON."""
    try:
        plain = _ANYTHING.dump_python(value, mode="json")
    except UnicodeEncodeError:  # of names; pydantic takes half a character in values
        plain = _ANYTHING.dump_python(_well_named(_ANYTHING.dump_python(value)), mode="json")
    return _sets_in_order(value, plain) if isinstance(plain, dict | list) else plain


def _well_named(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _writable(name) if isinstance(name, str) else name: _well_named(inner)
            for name, inner in value.items()
        }
    return [_well_named(inner) for inner in value] if isinstance(value, list | tuple) else value


def _sets_in_order(value: Any, plain: Any) -> Any:
    """A value's JSON, whose sets stand in an order that each process makes up for itself."""
    if isinstance(plain, dict):
        inside = _inside(value, plain)
        return {
            name: _sets_in_order(inside.get(name), told) if isinstance(told, dict | list) else told
            for name, told in plain.items()
        }
    if not isinstance(value, list | tuple | set | frozenset) or len(value) != len(plain):
        return plain
    rows = [
        _sets_in_order(inner, told) if isinstance(told, dict | list) else told
        for inner, told in zip(value, plain, strict=True)
    ]
    return sorted(rows, key=_text) if isinstance(value, set | frozenset) else rows


def _inside(value: Any, plain: JsonObject) -> Mapping[str, Any]:
    """What became the fields of a JSON object."""
    if isinstance(value, dict) and len(value) == len(plain):
        return dict(zip(plain, value.values(), strict=True))  # JSON has made texts of the names
    if isinstance(value, BaseModel):
        return dict(value)
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return {}


def request_json(model: str, messages: Sequence[BaseMessage], options: JsonObject) -> JsonObject:
    """What decides a reply, and nothing else: no address, key, id or clock; secrets are hidden."""
    spoken = [
        _kept(_light(message.model_dump(exclude=NOT_SENT)), {"type", "content"})
        for message in messages
    ]
    whole = {"model": model, "messages": spoken, "options": options}
    asked: JsonObject = hide(as_plain(whole))
    return asked


def _light(message: JsonObject) -> JsonObject:
    """The message with a hash in the place of each picture that travels inside it.

    A picture is thousands of characters, says nothing to a reader of the tape, and is often sent again.
    """
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return message | {"content": [_hashed(part) for part in content]}


def _hashed(part: Any) -> Any:
    if not isinstance(part, dict) or part.get("type") != "image_url":
        return part
    told = part["image_url"]
    address = str(told.get("url", "") if isinstance(told, dict) else told)
    kind, comma, data = address.partition(",")
    if not address.startswith("data:") or not comma:
        return part
    digest = hashlib.sha256(data.encode()).hexdigest()
    more = told if isinstance(told, dict) else {}
    return part | {"image_url": {**more, "url": f"{kind},sha256:{digest}"}}


def key_of(values: Mapping[str, Any]) -> str:
    """A hash of JSON values that is the same in every process and on every machine."""
    return hashlib.sha256(_text(values).encode("utf-8", "surrogatepass")).hexdigest()[:20]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


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


@contextmanager
def _of_a_tape() -> Iterator[None]:
    """An answer that is no message is a fault of the tape."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise TapeError(
            f"The tape holds an answer that is no message ({why:.200}); record again."
        ) from error


@_of_a_tape()
def as_result(replies: Sequence[JsonObject]) -> ChatResult:
    """The whole reply; chunks are put together.

    Raises:
        TapeError: what is there is no reply.
    """
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


@_of_a_tape()
def as_chunk(reply: JsonObject) -> ChatGenerationChunk:
    """One chunk; a reply that was not streamed is one chunk.

    Raises:
        TapeError: what is there is no message.
    """
    fields = {name: value for name, value in reply.items() if name != "type"}
    info = fields.pop("generation_info", None)
    return ChatGenerationChunk(message=AIMessageChunk(**fields), generation_info=info)


def hide(value: Any) -> Any:
    """JSON that any file can hold, without secrets: what looks like a key, and the settings' keys."""
    return _hide(value, known_secrets())


def hide_split(chunks: Sequence[JsonObject], said: Sequence[Any]) -> Sequence[JsonObject]:
    """A streamed reply without the secrets that are split over chunks, if there are any.

    Args:
        chunks: as `message_json` gives each of them.
        said: their contents as they came.

    Returns:
        The chunks as they are; or all of the text, hidden, in the first and none in the others.
    """
    if not all(isinstance(part, str) for part in said):
        return chunks
    text = "".join(said)
    hidden = hide(text)
    if hidden in (_writable(text), "".join(chunk["content"] for chunk in chunks)):
        return chunks
    return [chunk | {"content": "" if number else hidden} for number, chunk in enumerate(chunks)]


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


def _kept(fields: JsonObject, always: set[str]) -> JsonObject:
    return {name: value for name, value in fields.items() if name in always or value not in EMPTY}
