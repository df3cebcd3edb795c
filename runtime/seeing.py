"""Pictures in messages, and whether the model behind an endpoint sees them.

    HumanMessage([{"type": "text", "text": "What is this?"}, picture_part(png)])
    await sight(model)      # "sees", "takes" or "refuses"

A picture travels as an OpenAI content part with a data URL. Servers differ: one refuses it, one takes it
and passes nothing on, one sees. So, as with schemas, nothing is believed before a probe: pictures of one
colour each, of which the model has to name the colour.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage

from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.endpoint import Sight
from merchgraph.runtime.errors import EndpointError, MerchgraphError, SetupError
from merchgraph.runtime.ledger import collect
from merchgraph.runtime.limits import said
from merchgraph.runtime.log import logger
from merchgraph.runtime.playing import playing, use_tape
from merchgraph.runtime.structured import choose, follows_schema

COLOURS = {"Red": (255, 0, 0), "Green": (0, 160, 0), "Blue": (0, 0, 255), "Black": (0, 0, 0)}
SHOWN = ("Blue", "Red", "Green")
"""What a probe shows; one that guesses among the four names them all once in 64 times."""
SIDE = 224
QUESTION = "Which colour has this picture? Answer with one word: Red, Green, Blue or Black."
REFUSED = ("image", "vision", "modal")
"""What the message of a server is about that has an error for pictures alone."""

log = logger("seeing")


def picture_part(png: bytes | str) -> dict[str, Any]:
    """A PNG, as bytes or in base64, as a part of a message's content."""
    coded = base64.b64encode(png).decode() if isinstance(png, bytes) else png
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{coded}"}}


async def sight(model: BaseChatModel) -> Sight:
    """Whether the model sees; asks it once per endpoint and process. Ours alone are probed.

    Raises:
        EndpointError, SetupError, BudgetError: as `limits.attempt`; what is wrong is no picture.
    """
    if not isinstance(model, ChatModel):
        return "sees"
    endpoint, tape = model.endpoint, playing()
    if tape is not None and tape.mode == "replay":
        told: Sight = tape.endpoints.get(endpoint.name, {}).get("sight", "sees")
        return told
    if endpoint.sight is None:
        await follows_schema(
            model
        )  # of its own accord it would probe inside our own probe, and wait
        async with endpoint.probing:
            if endpoint.sight is None:
                with use_tape(None), collect():  # about the server, not the run that asks first
                    endpoint.sight = await _probe(model)
                log.info("probed", endpoint=endpoint.name, sight=endpoint.sight)
    if tape is not None:
        tape.endpoints.setdefault(endpoint.name, {})["sight"] = endpoint.sight
    return endpoint.sight


async def must_take_pictures(model: ChatModel) -> Sight:
    """What `sight` finds, of a model that is to be sent pictures.

    Raises:
        SetupError: it refuses them; and as `sight`.
    """
    found = await sight(model)
    if found == "refuses":
        raise SetupError(
            f"The model {model.endpoint.name!r} takes no pictures; name one that sees "
            "(`merchgraph doctor` says which do), or show the history as text, ranks or table."
        )
    return found


async def _probe(model: ChatModel) -> Sight:
    named = []
    try:
        for colour in SHOWN:
            part = picture_part(one_colour(COLOURS[colour]))
            asked: list[BaseMessage] = [HumanMessage([{"type": "text", "text": QUESTION}, part])]
            odds = await choose(model, asked, tuple(COLOURS), agent="probe")
            named.append(max(odds, key=lambda name: odds[name]))
    except MerchgraphError as error:
        if _about_pictures(error):
            return "refuses"
        if isinstance(error, EndpointError | SetupError):
            raise
        return "takes"  # its answer was none of the four: it has seen nothing
    return "sees" if tuple(named) == SHOWN else "takes"


def _about_pictures(error: MerchgraphError) -> bool:
    """Whether a server's error is about the picture: any refusal, or a failure that names it."""
    import openai

    cause = error.__cause__
    if not isinstance(cause, openai.APIStatusError):
        return False
    named = any(word in said(cause).lower() for word in REFUSED)
    return named or cause.status_code in (400, 413, 415, 422)


def one_colour(colour: tuple[int, int, int], side: int = SIDE) -> bytes:
    """A PNG of one colour, made without any library for pictures."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\x00" + bytes(colour) * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = {b"IHDR": head, b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts.items())
