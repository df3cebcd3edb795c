"""Whether a model sees: against servers that look at the picture, that do not, and that refuse it."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from PIL import Image
from pydantic import BaseModel

from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.errors import EndpointError, SetupError
from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
from merchgraph.runtime.playing import use_tape
from merchgraph.runtime.recorded import text_of
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.seeing import COLOURS, must_take_pictures, one_colour, picture_part, sight
from merchgraph.runtime.structured import ask, choose
from merchgraph.runtime.tape import Tape
from merchgraph.runtime.wire import request_json
from tests.runtime.conftest import Faulty
from tests.runtime.faulty_server import Exchange, Fault, odds, say, status


class Answer(BaseModel):
    """A reply."""

    text: str


RED = one_colour((255, 0, 0))
SURE = {name: (0.0 if name == "Red" else -9.0) for name in COLOURS}


def pictures(body: dict[str, Any]) -> Sequence[Image.Image]:
    """What a server gets out of a request."""
    found = []
    for message in body["messages"]:
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part["type"] == "image_url":
                kind, _, data = part["image_url"]["url"].partition(",")
                assert kind == "data:image/png;base64"
                found.append(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))
    return found


async def sees(exchange: Exchange) -> None:
    """Answers with the colour that is nearest to the picture's."""
    (picture,) = pictures(exchange.body)
    seen: Any = picture.convert("RGB").getpixel((5, 5))
    named = min(COLOURS, key=lambda name: math.dist(COLOURS[name], seen))
    await odds((named, -0.1), *((name, -4.0) for name in COLOURS if name != named))(exchange)


def shown(fault: Fault) -> Fault:
    """Does this to pictures, and answers texts with one that is no schema's."""

    async def run(exchange: Exchange) -> None:
        await (fault if pictures(exchange.body) else say("Hello!"))(exchange)

    return run


CASES: dict[str, tuple[Fault, str]] = {
    "sees": (sees, "sees"),
    "always says the same": (odds(*SURE.items()), "takes"),
    "says nothing of it": (say("Hello there!"), "takes"),
    "no such part": (status(400, "x is not a multimodal model"), "refuses"),
    "not found by its parts": (status(404, "No endpoints that support image input"), "refuses"),
    "fails at pictures": (status(500, "image input is not supported: no mmproj"), "refuses"),
}


@pytest.mark.parametrize("name", CASES)
async def test_what_a_server_does_with_pictures_is_found_out(faulty: Faulty, name: str) -> None:
    fault, found = CASES[name]
    model, _ = faulty(always=shown(fault))
    assert await sight(model) == found


async def test_a_server_is_asked_once(faulty: Faulty) -> None:
    model, server = faulty(always=shown(sees))
    assert [await sight(model) for _ in range(3)] == ["sees"] * 3
    looked = [picture for body in server.bodies for picture in pictures(body)]
    assert [picture.size for picture in looked] == [(224, 224)] * 3
    assert len(server.requests) == 4  # and whether it follows a schema


@pytest.mark.parametrize("fault", [status(500, "out of memory"), status(401)])
async def test_what_is_wrong_with_a_server_is_no_lack_of_sight(
    faulty: Faulty, fault: Fault
) -> None:
    model, _ = faulty(always=shown(fault))
    with pytest.raises((EndpointError, SetupError)):
        await sight(model)
    assert model.endpoint.sight is None


async def test_a_model_that_takes_no_pictures_is_named_with_the_remedy(faulty: Faulty) -> None:
    model, _ = faulty(always=shown(status(400, "no images")))
    with pytest.raises(SetupError, match=r"'vllm/x' takes no pictures.*`merchgraph doctor`.*text"):
        await must_take_pictures(model)
    assert await sight(chat_model(DEFAULT_MODEL)) == "refuses"  # and no engine is started for that


async def test_the_schema_stands_behind_the_picture_where_a_server_ignores_schemas(
    faulty: Faulty,
) -> None:
    model, server = faulty(say("Hello!"), say('{"text": "red"}'))
    content: list[Any] = [{"type": "text", "text": "Which colour?"}, picture_part(RED)]
    assert (await ask(model, [HumanMessage(content)], Answer, agent="x")).text == "red"
    (message,) = server.bodies[1]["messages"]
    assert [part["type"] for part in message["content"]] == ["text", "image_url", "text"]
    assert "JSON schema" in message["content"][2]["text"]


def test_a_tape_has_a_hash_in_the_place_of_a_picture() -> None:
    def asked(png: bytes) -> dict[str, Any]:
        message = HumanMessage([{"type": "text", "text": "Look:"}, picture_part(png)])
        return request_json("vllm/x", [message], {})

    red, blue = asked(RED), asked(one_colour((0, 0, 255)))
    assert red != blue
    assert red == asked(RED)
    assert base64.b64encode(RED).decode()[40:80] not in json.dumps(red)
    said = text_of(red["messages"][0])
    assert said.startswith("Look:\n[picture ")
    assert said != text_of(blue["messages"][0])
    linked = {"type": "image_url", "image_url": {"url": "https://shop.example/a.png"}}
    kept = request_json("vllm/x", [HumanMessage([linked])], {})
    assert kept["messages"][0]["content"] == [linked]


async def test_what_was_found_out_is_on_the_tape(faulty: Faulty) -> None:
    model, server = faulty(always=shown(sees))
    tape = Tape("run", "record")
    with use_tape(tape):
        assert await sight(model) == "sees"
    assert tape.endpoints == {"vllm/x": {"follows_schema": False, "sight": "sees"}}
    assert tape.answers == []
    with use_tape(Tape("run", "replay", endpoints={"vllm/x": {"sight": "takes"}})):
        assert await sight(model) == "takes"
    assert len(server.requests) == 4


async def test_a_script_sees_and_gets_the_picture() -> None:
    with scripted({"look": Always({"Red": 0.9, "Blue": 0.1})}) as name:
        model: ChatModel = chat_model(name)
        assert await sight(model) == "sees"
        found = await choose(
            model, [HumanMessage([picture_part(RED)])], ("Red", "Blue"), agent="look"
        )
    assert found["Red"] == pytest.approx(0.9)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_picture_of_one_colour_is_a_png(colour: str) -> None:
    image = Image.open(io.BytesIO(one_colour(COLOURS[colour], side=9)))
    assert (image.format, image.size) == ("PNG", (9, 9))
    assert set(image.get_flattened_data()) == {COLOURS[colour]}
