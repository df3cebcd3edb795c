"""The trace as Inspect logs: their content as JSON and, where inspect-ai is installed, as files."""

from pathlib import Path
from typing import Any

import pytest

from merchgraph.runtime import export_inspect
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.export_inspect import logs, write
from merchgraph.runtime.trace import NodeLine, ToolLine, Trace
from tests.runtime.made_traces import made
from tests.runtime.spoken_traces import again, chosen, run, said, spoken


def events_of(trace: Trace) -> list[dict[str, Any]]:
    [log] = logs(trace).values()
    found: list[dict[str, Any]] = log["samples"][0]["events"]
    return found


def test_every_system_has_a_log_of_its_own_task_id() -> None:
    found = logs(made(cases=3))
    assert list(found) == ["popularity", "ARAG"]
    assert len({log["eval"]["task_id"] for log in found.values()}) == 2
    assert [log["eval"]["solver"] for log in found.values()] == ["popularity", "ARAG"]
    assert [log["eval"]["model"] for log in found.values()] == [
        "none/none",
        "embedded/smollm2-135m",
    ]
    assert found["ARAG"]["eval"]["dataset"]["sample_ids"] == ["200", "201", "202"]


def test_a_sample_is_a_case_with_its_truth_and_its_scores() -> None:
    sample = logs(made())["ARAG"]["samples"][0]
    assert (sample["id"], sample["target"]) == ("200", ["i0-1"])
    assert sample["input"].startswith('`{"user": "200"')
    assert sample["output"]["completion"].splitlines()[0] == '1. i0-0 `"Plum jam, jar 0"` (0.00)'
    assert {name: told["value"] for name, told in sample["scores"].items()} == {
        "nDCG@5": 0.43, "Hit@5": 1.0, "AUC": 0.55,
    }  # fmt: skip


def test_a_mean_is_over_the_cases_that_have_the_metric() -> None:
    trace = spoken(
        run("c/ARAG", MRR=0.5, AUC=1.0), run("d/ARAG", MRR=0.25), run("e/ARAG", AUC=None)
    )
    [log] = logs(trace).values()
    told = {score["name"]: score for score in log["results"]["scores"]}
    assert told["MRR"]["metrics"]["mean"]["value"] == pytest.approx(0.375)
    assert (told["MRR"]["scored_samples"], told["MRR"]["unscored_samples"]) == (2, 1)
    assert told["AUC"]["metrics"]["mean"]["value"] == 1.0


def test_events_lie_in_the_span_of_their_node() -> None:
    line = said("rank", "Rank.", "1", at_s=0.5)
    trace = spoken(run("r", line, again(line, "Use JSON.", "[1]")))
    one = trace.runs["r"]
    one.nodes = [NodeLine(node="rank", started_s=0.4, finished_s=1.0, error="too late")]
    one.tools = [ToolLine(key="t", node="rank", name="check", value={"fine": True}, at_s=0.9)]
    kinds = [(event["event"], event["span_id"]) for event in events_of(trace)]
    assert kinds == [
        (kind, "0") for kind in ("span_begin", "model", "model", "tool", "error", "span_end")
    ]
    begin, first, repair, tool, error, _ = events_of(trace)
    assert (begin["name"], error["error"]["message"]) == ("rank", "too late")
    assert first["output"]["choices"][0]["message"]["content"] == "1"
    assert [turn["role"] for turn in repair["input"]] == ["user", "assistant", "user"]
    assert (repair["metadata"]["repair"], "repair" in first["metadata"]) == (True, False)
    assert tool["result"] == '{\n "fine": true\n}'


def test_a_choice_has_its_odds_and_a_call_outside_of_nodes_no_span() -> None:
    trace = spoken(run("r", chosen("tea", "Yes")))
    trace.runs["r"].nodes = []
    [event] = events_of(trace)
    assert event["span_id"] is None
    assert event["metadata"]["odds"] == {"Yes": 0.9, "Maybe": 0.1, "No": 0.0}


def test_a_run_without_an_answer_is_an_error_of_its_sample() -> None:
    broken = run("c/ARAG")
    broken.end = broken.end.model_copy(update={"error": "No model answered."})
    [log] = logs(spoken(broken)).values()
    assert log["samples"][0]["error"]["message"] == "No model answered."
    assert log["results"]["completed_samples"] == 0


def test_shop_texts_cannot_leave_their_code_span() -> None:
    one = run("c/ARAG", ranking=("a",))
    rows = [{"item": "a", "title": "`**bold**` ```"}]
    one.end = one.end.model_copy(update={"output": {"ranking": rows}})
    [log] = logs(spoken(one)).values()
    assert log["samples"][0]["output"]["completion"] == '1. a `" **bold**     "`'


def test_a_missing_package_is_said_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(export_inspect, "import_module", missing)
    with pytest.raises(SetupError, match=r"needs the package inspect-ai .*merchgraph\[view\]"):
        write(made(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_inspect_reads_what_was_written(tmp_path: Path) -> None:
    inspect_log = pytest.importorskip("inspect_ai.log")
    paths = write(made(cases=2), tmp_path / "logs")
    assert [path.name for path in paths] == ["01-popularity.eval", "02-ARAG.eval"]
    log = inspect_log.read_eval_log(str(paths[1]))
    assert (log.status, log.eval.task, len(log.samples)) == ("success", "arag", 2)
    models = [event for event in log.samples[0].events if event.event == "model"]
    assert models[0].input[0].role == "system"
    assert log.stats.model_usage["embedded/smollm2-135m"].output_tokens > 0
