"""The HTML page: whole without a network, hostile names inert, plots that hold the report's numbers."""

import json
import re
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from pydantic import BaseModel

from merchgraph.evals.report import Report
from merchgraph.evals.report_charts import PARTS, charts
from merchgraph.evals.suite import Answer, Case, Outcome, System
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.ledger import Usage

HOSTILE = "</script><img src=x onerror=alert(1)>{{ 7*7 }}"


async def nobody(case: Case) -> Answer:
    raise AssertionError("a report asks nobody")


class Settings(BaseModel):
    shop: str = HOSTILE


class Made:
    name = "made"
    reference = "floor"
    params = Settings()

    def cases(self) -> Sequence[Case]:
        return []

    def systems(self) -> Sequence[System]:
        return [
            System("floor", nobody, "baseline", HOSTILE),
            System(HOSTILE, nobody, "baseline"),
            System("method", nobody, "method"),
        ]

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        return {}


def report(*, tokens: int = 100, segments: int = 2) -> Report:
    outcomes = [
        Outcome(
            case=f"case {case}",
            segment=f"{HOSTILE} {case % segments}" if segments > 1 else "",
            system=system.name,
            metrics={"a.b[0]": (case + place) % 3 / 2, HOSTILE: 0.5},
            usage=Usage(calls=place, prompt_tokens=place * tokens, seconds=place * tokens / 100),
        )
        for case in range(30)
        for place, system in enumerate(Made().systems())
    ]
    return Report.of(Made(), outcomes, notes=[HOSTILE])


class Tags(HTMLParser):
    """What stands in a page: tags with their attributes, and the text of each script."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        else:
            self.text += data


@pytest.fixture(scope="module")
def html() -> str:
    return report().html()


@pytest.fixture(scope="module")
def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    return tags


def test_the_page_fetches_nothing(parsed: Tags) -> None:
    assert len(parsed.scripts) == 3
    for tag, attributes in parsed.tags:
        assert tag not in ("link", "img", "iframe", "object", "base")
        assert not {"src", "href", "srcset", "onerror", "onload"} & attributes.keys()
    (policy,) = (a["content"] for _, a in parsed.tags if "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_hostile_names_are_text(html: str, parsed: Tags) -> None:
    assert HOSTILE not in html
    assert "</script><img" not in html
    assert "49" not in re.findall(r"onerror=alert\(1\)>(..)", parsed.text)
    assert parsed.text.count(HOSTILE) >= 6
    assert HOSTILE in json.dumps(json.loads(parsed.scripts[1]))


def test_the_page_is_the_same_each_time_and_stays_small(html: str) -> None:
    assert report().html() == html
    assert len(html.encode()) < 2_000_000


def test_each_plot_has_its_place(parsed: Tags) -> None:
    ids = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes} - {"charts"}
    assert ids == set(json.loads(parsed.scripts[1]))
    assert ids == {"metric-0", "metric-1", "difference", "tokens", "seconds", "segments"}


def values(spec: dict[str, Any], field: str) -> list[Any]:
    """The rows of the plot's data that have the field."""
    data = [spec["data"], *(layer["data"] for layer in spec["layer"] if "data" in layer)]
    return [row for part in data for row in part.get("values", []) if field in row]


def every_chart(found: Report) -> dict[str, dict[str, Any]]:
    """The plots with their data written out where they stand."""
    drawn = charts(found)
    for spec in drawn.values():
        held = spec.get("datasets", {})
        for part in (spec, *spec["layer"]):
            if "data" in part:
                part["data"] = {"values": held.get(part["data"].get("name"), [])} | part["data"]
            else:
                part.setdefault("data", {})
    return drawn


def test_the_plots_hold_the_numbers_of_the_report() -> None:
    found = report()
    drawn = every_chart(found)
    for row in found.rows:
        own = [p for p in values(drawn["metric-0"], "low") if p["system"] == row.system]
        estimate = row.metrics["a.b[0]"]
        assert own
        assert {(p["mean"], p["low"], p["high"]) for p in own} == {
            (estimate.mean, estimate.low, estimate.high)
        }
    assert {row["at"] for row in values(drawn["metric-0"], "at")} == {
        found.rows[0].metrics["a.b[0]"].mean
    }


def test_what_costs_nothing_stands_left_of_the_log_scale() -> None:
    points = values(every_chart(report())["tokens"], "cost")
    costs = {point["system"]: point["cost"] for point in points}
    assert costs == {"floor": 10.0, HOSTILE: 100.0, "method": 200.0}


def test_names_in_the_cost_plot_keep_their_distance() -> None:
    points = values(every_chart(report())["tokens"], "label")
    heights = sorted({point["label"] for point in points})
    span = max(p["high"] for p in points) - min(p["low"] for p in points)
    gaps = [above - below for below, above in pairwise(heights)]
    assert len(heights) == 3
    assert min(gaps) >= 0.04 * span


def test_plots_that_would_be_empty_are_left_out() -> None:
    found = report(tokens=0, segments=1)
    assert set(charts(found)) == {"metric-0", "metric-1", "difference"}
    assert 'id="segments"' not in found.html()


def test_only_the_largest_segments_are_drawn_and_the_table_has_all() -> None:
    found = report(segments=10)
    points = values(every_chart(found)["segments"], "segment")
    assert len({point["segment"] for point in points}) == len(PARTS)
    assert found.html().count("(n=3)</th>") == 10


@pytest.mark.parametrize("package", ["altair", "jinja2", "vl_convert"])
def test_a_missing_package_is_named_with_its_remedy(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SetupError, match=rf"HTML report.*{package}.*merchgraph\[bench\]"):
        report().html()
