"""From each picture the events can be read again: of what is drawn, where, and of its pixels."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from PIL import Image

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.charts import render, sheet
from merchgraph.tools.charts.events import EventTable, event_table
from merchgraph.tools.charts.render import Kind, Variant, figure
from merchgraph.tools.charts.scatter import SIZE
from merchgraph.tools.histories import History, Purchase
from tests.tools.charts.made import CASES, histories, made

Read = tuple[str, date | None]
"""An item, with what line breaks take left out, and its day."""
SCATTERS: list[tuple[Variant, ...]] = [(), ("dates",), ("colour",), ("dates", "colour")]
FLOWS: list[tuple[Variant, ...]] = [(), ("gaps",), ("merged",)]


def drawn(
    table: EventTable, kind: Kind, variants: Sequence[Variant] = ()
) -> Any:  # Matplotlib's own types say less of a figure than it holds
    made = figure(table, kind, variants)
    assert made is not None
    return made


def squeezed(text: str) -> str:
    return "".join(text.split())


def expected(table: EventTable, *, days: bool) -> list[Read]:
    return [(squeezed(row.item), row.when if days else None) for row in table.rows]


def read_scatter(made: Any, *, days: bool) -> list[Read]:
    """The marks from left to right, named by the labels at their height."""
    (axes,) = made.axes
    labels = {
        tick: squeezed(label.get_text())
        for tick, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    }
    points: list[Any] = [mark.get_offsets()[0] for mark in axes.collections]
    found = sorted((float(x), labels[float(y)]) for x, y in points)
    return [(item, date.fromordinal(int(x)) if days else None) for x, item in found]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("variants", SCATTERS, ids="-".join)
def test_a_scatter_plot_holds_every_event(name: str, variants: tuple[Variant, ...]) -> None:
    table, days = event_table(CASES[name]), "dates" in variants
    made = drawn(table, "scatter", variants)
    assert read_scatter(made, days=days) == expected(table, days=days)
    heights = [squeezed(label.get_text()) for label in made.axes[0].get_yticklabels()]
    assert heights == [squeezed(item) for item in table.items]
    if days:
        told = {label.get_text() for label in made.axes[0].get_xticklabels()}
        assert told <= {str(row.when) for row in table.rows}
        assert str(table.rows[0].when) in told


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("variants", [SCATTERS[0], SCATTERS[-1]], ids="-".join)
def test_a_scatter_plot_s_names_fit_beside_it_without_touching(
    name: str, variants: tuple[Variant, ...]
) -> None:
    made = drawn(event_table(CASES[name]), "scatter", variants)
    labels = made.axes[0].get_yticklabels()
    boxes = boxes_of(made, labels)
    assert all(box.x0 >= 0 and box.x1 <= made.axes[0].get_window_extent().x0 for box in boxes)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    assert all(box.y0 >= 0 and box.y1 <= sheet.HEIGHT for box in boxes)
    assert min(label.get_fontsize() for label in labels) >= (SIZE if not variants else 9)


def test_the_colour_of_a_mark_is_that_of_its_department_in_the_legend() -> None:
    table = event_table(made(30, 12))
    picture = drawn(table, "scatter", ("colour",))
    lines = [child for child in picture.get_children() if hasattr(child, "get_marker")]
    told = {
        text.get_text(): to_rgb(line.get_color())
        for text, line in zip(picture.texts, lines, strict=True)
    }
    assert set(told) == set(table.categories)
    assert len(set(told.values())) == len(told)
    for row, mark in zip(table.rows, picture.axes[0].collections, strict=True):
        assert tuple(mark.get_facecolor()[0][:3]) == pytest.approx(told[row.category])


def read_flowchart(made: Any) -> list[list[str]]:
    """The lines of each box, in the order in which the arrows lead."""
    (axes,) = made.axes
    boxes = [patch for patch in axes.patches if str(patch.get_gid()).startswith("box")]
    follow = [
        str(text.get_gid()).split()[1:]
        for text in axes.texts
        if str(text.get_gid()).startswith("arrow")
    ]
    assert follow == [[str(n), str(n + 1)] for n in range(1, len(boxes))]
    return [
        [text.get_text() for text in axes.texts if text.get_gid() == f"node {n}"]
        for n in range(1, len(boxes) + 1)
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_flowchart_holds_every_event_with_its_day(name: str) -> None:
    table = event_table(CASES[name])
    nodes = ["".join(map(squeezed, lines)) for lines in read_flowchart(drawn(table, "flowchart"))]
    found = [re.fullmatch(r"(\d+)\.(.+)(\d{4}-\d\d-\d\d)", node) for node in nodes]
    read = [match.groups() for match in found if match]
    assert read == [
        (str(row.step), squeezed(row.item), str(row.when)) for row in table.rows
    ]  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_merged_flowchart_holds_every_event_with_its_day(name: str) -> None:
    table = event_table(CASES[name])
    events: dict[int, Read] = {}
    for lines in read_flowchart(drawn(table, "flowchart", ["merged"])):
        often = next(n for n, line in enumerate(lines) if re.fullmatch(r"once|\d+ times", line))
        item, times = squeezed("".join(lines[:often])), squeezed("".join(lines[often + 1 :]))
        told = [time.split(":") for time in times.split(",")]
        assert lines[often] == ("once" if len(told) == 1 else f"{len(told)} times")
        events |= {int(step): (item, date.fromisoformat(day)) for step, day in told}
    assert [events[step] for step in sorted(events)] == expected(table, days=True)


def test_the_days_between_purchases_are_on_the_arrows() -> None:
    table = event_table(made(20, 8))
    axes = drawn(table, "flowchart", ["gaps"]).axes[0]
    waits = [text.get_text() for text in axes.texts if str(text.get_gid()).startswith("wait")]
    gaps = [(after.when - before.when).days for before, after in pairwise(table.rows)]
    assert waits == [f"{gap} d" for gap in gaps]
    assert {0, 3} == set(gaps)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("variants", FLOWS, ids="-".join)
def test_a_flowchart_s_words_stay_in_their_boxes_and_its_boxes_apart(
    name: str, variants: tuple[Variant, ...]
) -> None:
    made = drawn(event_table(CASES[name]), "flowchart", variants)
    axes = made.axes[0]
    patches: list[Any] = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    rooms = boxes_of(made, patches)
    page = axes.get_window_extent()
    assert all(page.x0 <= r.x0 and r.x1 <= page.x1 and page.y0 <= r.y0 for r in rooms)
    assert all(page.y1 >= room.y1 for room in rooms)
    assert not any(a.overlaps(b) for a, b in combinations(rooms, 2))
    texts = [text for text in axes.texts if str(text.get_gid()).startswith("node")]
    for text, box in zip(texts, boxes_of(made, texts), strict=True):
        room = rooms[int(str(text.get_gid()).split()[1]) - 1]
        within = room.x0 <= box.x0 and box.x1 <= room.x1
        assert within, text.get_text()
        assert room.y0 - 1 <= box.y0 < box.y1 <= room.y1 + 1, text.get_text()
    assert min(text.get_fontsize() for text in texts) >= 9


@pytest.mark.parametrize("name", CASES)
def test_a_page_holds_the_paragraph_word_for_word(name: str) -> None:
    table = event_table(CASES[name])
    made = drawn(table, "page")
    read = "".join(squeezed(text.get_text()) for text in made.axes[0].texts)
    assert read == squeezed(render.render(table, "text").text)
    boxes = boxes_of(made, made.axes[0].texts)
    assert all(box.x0 >= 0 and box.x1 <= sheet.WIDTH and box.y0 >= 0 for box in boxes)
    assert min(text.get_fontsize() for text in made.axes[0].texts) >= 11


@settings(max_examples=10)
@given(histories())
def test_every_history_can_be_drawn_and_read_again(history: History) -> None:
    table = event_table(history)
    for days in (False, True):
        variants: list[Variant] = ["dates"] if days else []
        found = read_scatter(drawn(table, "scatter", variants), days=days)
        assert found == expected(table, days=days)
    told = ["".join(map(squeezed, node)) for node in read_flowchart(drawn(table, "flowchart"))]
    assert told == [f"{r.step}.{squeezed(r.item)}{r.when}" for r in table.rows]


def boxes_of(made: Any, artists: Sequence[Any]) -> list[Any]:
    made.draw_without_rendering()
    return [artist.get_window_extent() for artist in artists]


@pytest.mark.parametrize("kind", ["scatter", "flowchart", "page", "both"])
def test_a_picture_is_a_png_of_1024_by_768_the_same_each_time(kind: Kind) -> None:
    table = event_table(made(20, 8))
    rendering = render.render(table, kind)
    image = Image.open(io.BytesIO(rendering.png))
    assert (image.format, image.size) == ("PNG", (1024, 768))
    assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert render.render(table, kind) == rendering
    assert bool(rendering.text) == (kind == "both")


def test_the_pixels_show_the_marks_where_they_are_drawn() -> None:
    table = event_table(made(30, 10))
    made_of = drawn(table, "scatter", ("colour",))
    png = sheet.png(made_of)
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    axes = made_of.axes[0]
    for mark in axes.collections:
        x, y = axes.transData.transform(mark.get_offsets()[0])
        seen = pixels[sheet.HEIGHT - 1 - int(y), int(x)] / 255
        assert seen == pytest.approx(mark.get_facecolor()[0][:3], abs=0.01)


def test_a_dollar_sign_is_no_formula_and_a_letter_of_another_script_is_found_or_named() -> None:
    odd = History(user="7", events=(Purchase(item="$5 off $x^2$", when=date(2026, 1, 2)),))
    (lines,) = read_flowchart(drawn(event_table(odd), "flowchart"))
    assert squeezed("".join(lines)) == "1.$5off$x^2$2026-01-02"
    strange = History(user="7", events=(Purchase(item="\U00013000", when=date(2026, 1, 2)),))
    with pytest.raises(SetupError, match=r"No installed font can draw .* \(U\+13000\)"):
        drawn(event_table(strange), "scatter")


@pytest.mark.parametrize(
    ("kind", "variant", "told"),
    [
        ("ranks", "colour", "The rendering 'ranks' has no variant 'colour'; it has none"),
        ("scatter", "gaps", "no variant 'gaps'; it has dates and colour"),
        ("pie", "gaps", "There is no rendering 'pie'; there are text, scatter"),
    ],
)
def test_a_rendering_that_does_not_exist_is_named(kind: Any, variant: Any, told: str) -> None:
    with pytest.raises(SetupError, match=re.escape(told)):
        render.render(event_table(made(3, 2)), kind, [variant])


def test_pictures_that_are_drawn_at_once_are_as_if_drawn_alone() -> None:
    table = event_table(made(20, 8))
    kinds: list[Kind] = ["scatter", "flowchart", "page"] * 4
    alone = {kind: render.render(table, kind) for kind in set(kinds)}
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda kind: render.render(table, kind), kinds))
    assert together == [alone[kind] for kind in kinds]


def test_what_only_reads_needs_no_matplotlib() -> None:
    code = (
        "import sys\n"
        "from merchgraph.tools.charts.render import render\n"
        "from merchgraph.tools.charts.events import event_table\n"
        "from tests.tools.charts.made import made\n"
        "for kind in ('text', 'ranks', 'table'):\n"
        "    assert render(event_table(made(20, 8)), kind).text\n"
        "assert 'matplotlib' not in sys.modules and 'PIL' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
