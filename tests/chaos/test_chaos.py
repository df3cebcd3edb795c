"""Every graph under every fault ends in bounded time, with a valid result or a typed error.

The usual tests take each fault once and each graph several times; the whole matrix is the marker `soak`.
"""

from __future__ import annotations

import ssl

import pytest

from merchgraph.runtime import errors
from tests.chaos.cases import CASES
from tests.chaos.faults import FAULTS, Chaos
from tests.chaos.matrix import BOUND_S, Cell, run, table

BY_NAME = {chaos.name: chaos for chaos in FAULTS}
DIAGONAL = [(list(CASES)[n % len(CASES)], chaos.name) for n, chaos in enumerate(FAULTS)]
WITHOUT_A_MODEL = {"voice_repair"}
"""A voice says a ready line where no model answers: the person hears something in any case."""


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)


def ends_well(name: str, chaos: Chaos) -> None:
    cell = run(CASES[name], chaos)
    assert cell.seconds < BOUND_S
    if cell.end not in ("result", "degraded"):
        kind = getattr(errors, cell.end)
        assert issubclass(kind, errors.MerchgraphError)
        assert 20 < len(cell.told) < 600
        assert "\n" not in cell.told
    if chaos.hopeless and name not in WITHOUT_A_MODEL:
        assert cell.end in ("SetupError", "EndpointError")
    if chaos.name == "none" or "twice" in chaos.name or "once" in chaos.name:
        assert cell.end == "result", cell


@pytest.mark.parametrize(("name", "fault"), DIAGONAL)
def test_a_run_against_a_fault_ends_well(name: str, fault: str) -> None:
    ends_well(name, BY_NAME[fault])


@pytest.mark.soak
@pytest.mark.parametrize("fault", BY_NAME)
@pytest.mark.parametrize("name", CASES)
def test_every_graph_against_every_fault_ends_well(name: str, fault: str) -> None:
    ends_well(name, BY_NAME[fault])


def test_the_usual_tests_have_every_fault_and_every_graph() -> None:
    assert {fault for _, fault in DIAGONAL} == set(BY_NAME)
    assert {name for name, _ in DIAGONAL} == set(CASES)
    assert len(BY_NAME) == len(FAULTS)


def test_every_graph_of_the_registry_has_a_case() -> None:
    from merchgraph.graphs.registry import GRAPHS, module

    assert list(CASES) == list(GRAPHS)
    assert all(case.graph is module(name) for name, case in CASES.items())


def test_the_table_has_a_row_for_each_fault() -> None:
    cells = {(name, fault): Cell("result", "", 1.25, 7) for name in CASES for fault in BY_NAME}
    lines = list(table(cells))
    assert len(lines) == len(FAULTS) + 2
    assert {line.count("|") for line in lines} == {len(CASES) + 2}
    assert lines[2] == "| none |" + " result, 1.2 s, 7 |" * len(CASES)
