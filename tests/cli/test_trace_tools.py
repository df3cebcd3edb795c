"""`trace diff` and `trace export` as a person types them, over traces on disk."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from merchgraph.cli import trace_tools
from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context, Request
from merchgraph.prompts.load import prompt
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.recording import recorded
from merchgraph.runtime.scripted import Replies, scripted
from merchgraph.runtime.trace import CaseLine, Trace
from merchgraph.runtime.trace_file import Writer
from merchgraph.tools.data.tables import Shop
from tests.graphs.conftest import corner, script  # noqa: F401
from tests.runtime.made_traces import made
from tests.runtime.spoken_traces import run, said, spoken

HOSTILE = "\x1b[2J[red]tea\x07 \u202egnp"
Typed = Callable[..., Result]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Types a command into a folder of its own; a SetupError is raised as such."""
    app = typer.Typer()
    app.command()(trace_tools.diff)
    app.command()(trace_tools.export)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        result: Result = CliRunner().invoke(app, words, env={"COLUMNS": "100"})
        if isinstance(result.exception, SetupError):
            raise result.exception
        return result

    return run


def keep(trace: Trace, path: Path) -> None:
    """Write a trace as the recorder does."""
    writer = Writer(path)
    writer.append(trace.headers)
    writer.append([CaseLine(case={"id": name, **case}) for name, case in trace.cases.items()])
    for one in trace.runs.values():
        writer.append([one.begin, *one.calls, *one.tools, *one.nodes, one.end])
    writer.close()


def test_equal_traces_end_with_0(typed: Typed) -> None:
    for name in ("a", "b"):
        keep(made(), Path(f"{name}.jsonl.zst"))
    ended = typed("diff", "a.jsonl.zst", "b.jsonl.zst")
    assert ended.exit_code == 0, ended.output
    assert "4 runs compared, none changed" in ended.output


def test_different_traces_end_with_1_and_say_where(typed: Typed) -> None:
    a, b = made(), made()
    b.headers[0] = b.headers[0].model_copy(update={"prompts": {"arag/nli.md": "e5f6"}})
    one = b.runs["201/ARAG"]
    one.end = one.end.model_copy(update={"metrics": {"nDCG@5": 0.93}})
    one.calls = one.calls[:-1]
    del b.runs["200/popularity"]
    keep(a, Path("a.jsonl.zst"))
    keep(b, Path("b.jsonl.zst"))
    ended = typed("diff", "a.jsonl.zst", "b.jsonl.zst")
    assert ended.exit_code == 1, ended.output
    for told in (
        "prompts.arag/nli.md: a1b2c3d4 → e5f6",
        "Only in A (1): 200/popularity",
        "Runs that changed: 1 of 3",
        "201/ARAG: calls on one side 1, nDCG@5",
        "0.43 → 0.93",
    ):
        assert told in ended.output, ended.output


def test_one_case_is_shown_word_by_word(typed: Typed) -> None:
    asked = ("Which of these fits the basket?", "Which of those fits the basket?")
    for name, text, answer in zip("ab", asked, ("tea", "jam"), strict=True):
        trace = spoken(
            run("c/ARAG", said("rank", text, answer), ranking=("x", answer)), run("d/ARAG")
        )
        keep(trace, Path(f"{name}.jsonl.zst"))
    ended = typed("diff", "a.jsonl.zst", "b.jsonl.zst", "--case", "c")
    assert ended.exit_code == 1, ended.output
    assert "Which of [-these-]{+those+} fits the basket?" in ended.output
    assert "answer: [-tea-]{+jam+}" in ended.output
    assert "- → 2  jam" in ended.output
    assert "d/ARAG" not in ended.output
    assert typed("diff", "a.jsonl.zst", "b.jsonl.zst", "--case", "d").exit_code == 0


def test_a_terminal_obeys_no_text_of_a_shop(typed: Typed) -> None:
    for name, more in (("a", ""), ("b", " and more")):
        lines = [said("rank", HOSTILE + more, HOSTILE + more, lane=HOSTILE)]
        trace = spoken(run(f"{HOSTILE}/ARAG", *lines, ranking=(HOSTILE + more,)))
        trace.headers[0] = trace.headers[0].model_copy(update={"params": {HOSTILE: more}})
        keep(trace, Path(f"{name}.jsonl.zst"))
    for words in ((), ("--case", HOSTILE)):
        ended = typed("diff", "a.jsonl.zst", "b.jsonl.zst", *words)
        assert ended.exit_code == 1, ended.output
        assert "[red]tea" in ended.output
        assert not {"\x1b", "\x07", "\u202e"} & set(ended.output)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("diff", "a.jsonl.zst", "none.zst"), "'none.zst' cannot be read"),
        (("diff", "a.jsonl.zst", "a.jsonl.zst", "--case", "20"), "no case or run '20'; .* 200"),
        (("export", "a.jsonl.zst", "--to", "otlp", "--case", "x"), "no case or run 'x'"),
        (("export", "a.jsonl.zst", "--to", "sft", "--metric", "MRR"), "belong together"),
        (("export", "a.jsonl.zst", "--to", "sft", "--agent", "ranker"), "No agent 'ranker'"),
        (("export", "a.jsonl.zst", "--to", "otlp", "--agent", "nli"), "for --to sft only"),
        (("export", "a.jsonl.zst", "--to", "otlp", "--out", "no/x"), "'no/x' cannot be written"),
    ],
)
def test_bad_input_is_told_in_a_sentence(typed: Typed, words: tuple[str, ...], told: str) -> None:
    keep(made(), Path("a.jsonl.zst"))
    with pytest.raises(SetupError, match=told):
        typed(*words)
    assert [path.name for path in Path().iterdir()] == ["a.jsonl.zst"]


def test_an_unknown_form_names_those_that_there_are(typed: Typed) -> None:
    keep(made(), Path("a.jsonl.zst"))
    ended = typed("export", "a.jsonl.zst", "--to", "csv")
    assert ended.exit_code == 2
    assert "'otlp', 'inspect', 'sft'" in ended.output


def test_spans_and_rows_are_written_beside_where_one_stands(typed: Typed) -> None:
    keep(made(), Path("a.jsonl.zst"))
    assert typed("export", "a.jsonl.zst", "--to", "otlp").output == (
        "a.otlp.jsonl: 4 runs, one a line\n"
    )
    lines = Path("a.otlp.jsonl").read_text(encoding="utf-8").splitlines()
    assert [list(json.loads(line)) for line in lines] == [["resourceSpans"]] * 4
    ended = typed("export", "a.jsonl.zst", "--to", "sft", "--case", "200", "--out", "rows")
    rows = [json.loads(line) for line in Path("rows").read_text(encoding="utf-8").splitlines()]
    assert ended.output.startswith(f"rows: {len(rows)} rows (nli ")
    assert {row["metadata"]["case"] for row in rows} == {"200"}


def test_a_recorded_run_shows_the_word_that_changed_in_a_prompt(
    typed: Typed,
    corner: Shop,  # noqa: F811
    script: Callable[..., Replies],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slate = ["tea", "cake", "soap", "salt"]
    for name in ("a", "b"):
        with scripted(script({"soap": 0.2}), name="same") as model, recorded(f"{name}.jsonl.zst"):
            arag.run(Request(user="ann", candidates=slate), Context(model=model, k=2))
        changed = "merchgraph.agents.item_ranker.prompt"
        monkeypatch.setattr(changed, lambda *a, **k: prompt(*a, **k) + " Be strict.")
    ended = typed("diff", "a.jsonl.zst", "b.jsonl.zst")
    assert ended.exit_code == 1, ended.output
    assert "{+ Be strict.+}" in " ".join(ended.output.split())
    assert "board" not in ended.output
    assert typed("export", "a.jsonl.zst", "--to", "sft", "--agent", "rank").output == (
        "a.sft.jsonl: 1 row (rank 1)\n"
    )
