"""What travels to a server that is shown a history: it decodes the picture and reads the events in it."""

from __future__ import annotations

import base64
import io
import json
import ssl
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from merchgraph.graphs import behavior_lens
from merchgraph.graphs.behavior_lens import Context
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.seeing import COLOURS
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.charts.events import event_table
from merchgraph.tools.charts.render import Kind, figure
from merchgraph.tools.charts.sheet import HEIGHT, SHADES
from tests.graphs.lens_shopper import ASKED, BOUGHT, CANDIDATES, PAST
from tests.runtime.faulty_server import Exchange, Fault, FaultyServer, odds, say, status

Pixels = NDArray[np.uint8]
SIZE = (1024, 768)


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)


def parts(exchange: Exchange) -> list[dict[str, Any]]:
    content = exchange.body["messages"][-1]["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def picture(exchange: Exchange) -> Image.Image | None:
    """The one picture of a request, decoded."""
    urls = [part["image_url"]["url"] for part in parts(exchange) if part["type"] == "image_url"]
    if not urls:
        return None
    (url,) = urls
    assert url.startswith("data:image/png;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2], validate=True)))
    assert image.format == "PNG"
    return image


def marks(image: Image.Image) -> list[tuple[float, float]]:
    """Where the marks of a scatter plot are, from left to right: the middles of its blue discs."""
    pixels: Pixels = np.asarray(image.convert("RGB"))
    blue = np.array([int(SHADES[0][n : n + 2], 16) for n in (1, 3, 5)])
    left = {(int(x), int(y)) for y, x in np.argwhere((pixels == blue).all(axis=2))}
    found = []
    while left:
        reached, disc = [left.pop()], []
        while reached:
            x, y = reached.pop()
            disc.append((x, y))
            near = {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)} & left
            left -= near
            reached += near
        if len(disc) > 50:
            middle: Any = np.mean(disc, axis=0)
            found.append((float(middle[0]), float(middle[1])))
    return sorted(found)


class Seer:
    """A server that looks: it names the colour of a probe, and answers with what was bought most."""

    def __init__(self) -> None:
        self.read: list[list[int]] = []

    async def __call__(self, exchange: Exchange) -> None:
        image = picture(exchange)
        if image is None:  # whether it follows a schema; what the text alone costs
            await (odds(("A", -0.1)) if "logprobs" in exchange.body else say("Hello!"))(exchange)
        elif image.size != SIZE:
            seen: Any = image.convert("RGB").getpixel((1, 1))
            await odds((next(name for name, one in COLOURS.items() if one == seen), -0.01))(
                exchange
            )
        else:
            await self.answer(exchange, image)

    async def answer(self, exchange: Exchange, image: Image.Image) -> None:
        heights = [y for _, y in marks(image)]
        rows = sorted({round(y) for y in heights}, reverse=True)  # the first item is the lowest
        self.read.append([rows.index(round(y)) for y in heights])
        lines = [line for line in parts(exchange)[2]["text"].split("\n") if line[1:3] == ". "]
        offered = {line[3:]: line[0] for line in lines}
        most = max(set(self.read[-1]), key=self.read[-1].count)
        letter = offered[PAST.items[most]]
        if "logprobs" in exchange.body:
            others = [(one, -5.0) for one in offered.values() if one != letter]
            await odds((letter, -0.2), *others)(exchange)
        else:
            await say(json.dumps({"explanation": "It comes back.", "prediction": letter}))(exchange)


@pytest.fixture
def seer() -> Iterator[tuple[Seer, FaultyServer]]:
    seer = Seer()
    with FaultyServer(always=seer) as server:
        yield seer, server


def asked(server: FaultyServer, kind: Kind, variants: Sequence[Any] = (), **more: Any) -> Any:
    with use_settings(vllm_base_url=server.url, attempts=1):
        context = Context(model="vllm/seer", rendering=kind, variants=list(variants), **more)
        return behavior_lens.run(ASKED, context)


def test_a_server_reads_the_history_in_the_scatter_plot_and_answers_by_it(
    seer: tuple[Seer, FaultyServer],
) -> None:
    looker, server = seer
    found = asked(server, "scatter")
    order = [PAST.items.index(item) for item in BOUGHT]
    assert looker.read == [order, order]  # by predict and by weigh
    assert found.prediction == "Milk"
    assert max(found.odds, key=lambda item: found.odds[item]) == "Milk"
    assert list(found.odds) == CANDIDATES
    assert found.sight == "sees"
    assert found.errors == []


def test_the_picture_on_the_wire_has_its_marks_where_they_were_drawn(
    seer: tuple[Seer, FaultyServer],
) -> None:
    _, server = seer
    asked(server, "scatter", ["dates"])
    shown = [
        image for request in server.requests if (image := picture(request)) and image.size == SIZE
    ]
    drawn: Any = figure(event_table(PAST, *CANDIDATES), "scatter", ["dates"])
    (axes,) = drawn.axes
    drawn.draw_without_rendering()
    middles = [axes.transData.transform(mark.get_offsets()[0]) for mark in axes.collections]
    expected = sorted((x, HEIGHT - y) for x, y in middles)
    assert len(shown) == 2
    for image in shown:
        np.testing.assert_allclose(marks(image), expected, atol=1.5)


def test_a_picture_stands_between_how_it_is_to_be_read_and_the_candidates(
    seer: tuple[Seer, FaultyServer],
) -> None:
    _, server = seer
    found = asked(server, "both", count_picture=True)
    assert found.tokens.picture == 0  # this server charges ten tokens for anything
    kinds = [
        [part["type"] for part in parts(request)]
        for request in server.requests
        if "candidates" in str(request.body)
    ]
    shown = [
        "text",
        "image_url",
        "text",
    ]  # and for `predict` the schema, which nobody enforces here
    assert sorted(kinds) == [["text"], shown, [*shown, "text"]]
    whole = next(request for request in server.requests if len(parts(request)) == 3)
    first, _, last = parts(whole)
    assert "was purchased at 2026-01-01" in first["text"]
    assert "scatter plot" in first["text"]
    assert last["text"].startswith("One of these products")


async def blind(exchange: Exchange) -> None:
    """Takes any picture and sees nothing: always the first of what it may say."""
    if "logprobs" in exchange.body:
        await odds(("Blue", -0.1), ("A", -0.2), ("B", -4.0))(exchange)
    else:
        await say('{"explanation": "A guess.", "prediction": "A"}')(exchange)


def test_the_result_says_of_a_model_that_does_not_see_that_it_does_not() -> None:
    with FaultyServer(always=blind) as server:
        found = asked(server, "flowchart")
    assert found.sight == "takes"
    assert found.prediction == CANDIDATES[0]


def refusing(fault: Fault) -> Fault:
    async def run(exchange: Exchange) -> None:
        await (fault if picture(exchange) else say("Hello!"))(exchange)

    return run


def test_a_server_that_refuses_pictures_is_said_before_anything_is_drawn() -> None:
    with FaultyServer(always=refusing(status(400, "not a multimodal model"))) as server:
        with pytest.raises(SetupError, match="The model 'vllm/seer' takes no pictures"):
            asked(server, "page")
        assert len(server.requests) == 2  # a schema, and one picture of one colour
