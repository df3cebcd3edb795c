"""The page of a trace as a browser draws it, where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from merchgraph.runtime.trace_page import trace_page
from tests.runtime.made_traces import HOSTILE, made

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium is installed")


class Drawn(NamedTuple):
    """The elements of a drawn page, without its scripts, and what the browser complained about."""

    elements: str
    complaints: str

    @property
    def text(self) -> str:
        return unescape(re.sub(r"<[^>]*>", "", self.elements))


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[..., Drawn]:
    """Open the page of a made trace at a run and a lane."""

    def draw(**at: str) -> Drawn:
        page = tmp_path / "x.html"
        page.write_text(trace_page(made(2, 6, ("popularity", "broken", "ARAG", "alike"))), "utf-8")
        ended = subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
             f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", f"{page.as_uri()}#{urlencode(at)}"],
            capture_output=True, text=True, encoding="utf-8", timeout=100, check=True,
        )  # fmt: skip
        complaints = "\n".join(line for line in ended.stderr.splitlines() if "CONSOLE" in line)
        elements = re.sub(
            r"<script.*?</script>|<style.*?</style>", "", ended.stdout, flags=re.DOTALL
        )
        return Drawn(elements, complaints)

    return draw


def test_a_run_is_drawn_with_its_path_times_calls_and_output(drawn: Callable[..., Drawn]) -> None:
    page = drawn(run="200/ARAG", lane="i0-1")
    assert page.complaints == ""
    for name in ("case", "path", "times", "output", "calls", "tools", "usage", "settings"):
        assert f'<section id="{name}">' in page.elements
    assert len(re.findall(r'<g class="node (?:ok|degraded)">', page.elements)) == 5
    assert 'class="node degraded"' in page.elements
    assert page.elements.count('class="edge taken') == 7
    assert page.elements.count('class="bar call"') >= 10
    assert "Does it fit? One word." in page.text
    assert '{"reason":"goes with tea"}' in page.text
    assert "0.6270" in page.text, "the probability of the first token"
    assert "EndpointError: The server stayed unreachable after 3 tries." in page.text


def test_hostile_titles_are_drawn_as_text(drawn: Callable[..., Drawn]) -> None:
    page = drawn(run="200/ARAG", lane="i0-1")
    assert not re.search(r"<(img|iframe|object|script)\b", page.elements)
    assert "onerror" not in "".join(re.findall(r"<[^>]*>", re.sub(r'"[^"]*"', "", page.elements)))
    for title in (HOSTILE[0], HOSTILE[1], HOSTILE[3]):
        assert title in page.text
    assert "\u202e" not in page.elements
    assert "\x1b" not in page.elements
    assert 'title="U+202E"' in page.elements


def test_a_run_that_failed_shows_where_and_why(drawn: Callable[..., Drawn]) -> None:
    page = drawn(run="200/broken")
    assert page.complaints == ""
    assert page.elements.count('class="node failed"') == 1
    assert page.elements.count('class="node unvisited"') == 4
    assert "ran longer than 900 s" in page.text


def test_a_system_without_a_graph_has_its_ranking_with_titles_and_the_relevant_item_marked(
    drawn: Callable[..., Drawn],
) -> None:
    page = drawn(run="200/popularity")
    assert page.complaints == ""
    assert '<section id="path">' not in page.elements
    marked = re.findall(r'<tr class="relevant">(.*?)</tr>', page.elements)
    assert len(marked) == 1
    assert "i0-1" in marked[0]
    assert "onerror" in marked[0], "the title, which only ARAG's output has"


def test_calls_that_another_run_had_asked_lead_there(drawn: Callable[..., Drawn]) -> None:
    page = drawn(run="200/alike", lane="i0-1")
    assert page.complaints == ""
    assert page.elements.count('class="bar shared"') == 10
    assert re.search(r'href="#run=200%2FARAG&amp;lane=i0-1">', page.elements)
