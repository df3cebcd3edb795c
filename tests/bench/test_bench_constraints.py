"""What the rules of a copy cost: on one of 60 characters, and on hostile ones of 10 kB."""

from __future__ import annotations

from itertools import count

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from merchgraph.tools.copy_rules.grounding import supported
from merchgraph.tools.copy_rules.tidy import Tidy
from merchgraph.tools.use_case import USE_CASES, load_use_case

pytestmark = pytest.mark.bench

SIZE = 10_000
HUGE = {
    "words": "Coupons for canned & dry food " * (SIZE // 30),
    "one word": "x" * SIZE,
    "spaces": " " * SIZE,
    "commas": "a, and " * (SIZE // 7),
    "marks": "e" + "\u0301" * SIZE,
    "joined": "\U0001f468\u200d" * (SIZE // 2),
    "digits": "1,000." * (SIZE // 6),
    "claims": "free best " * (SIZE // 10),
    "dots": "." * SIZE + "x",
    "blanks": ("." + " " * 99) * (SIZE // 100) + "x",
    "thai": "\u0e01" * SIZE,
    "mixed": "a\u0435" * (SIZE // 2),
}


def median_s(benchmark: BenchmarkFixture) -> float:
    assert benchmark.stats is not None
    return float(benchmark.stats.stats.median)


def test_time_of_all_rules_of_c(benchmark: BenchmarkFixture) -> None:
    chain = load_use_case(USE_CASES / "c.yaml").chain
    turn = count()

    def check() -> bool:
        # a number of its own, so that no text is found in a cache
        sub = f"Coupons for canned & dry cat food, in lot {next(turn)}"
        return chain({"header": "A cat with taste lives with you", "subheader": sub}).passed

    assert not benchmark(check)
    assert median_s(benchmark) < 0.001


@pytest.mark.parametrize("kind", HUGE)
def test_time_on_10_kb(benchmark: BenchmarkFixture, kind: str) -> None:
    case = load_use_case(USE_CASES / "c.yaml")
    titles = supported(case.facts)
    turn = count()

    def check() -> bool:
        text = f"{HUGE[kind]}{next(turn)}"
        copy = Tidy()({"header": text, "subheader": text})
        return case.chain(copy).passed or titles(copy).passed

    assert not benchmark(check)
    assert median_s(benchmark) < 0.5
