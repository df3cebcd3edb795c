"""`merchgraph eval lens`: a report, a figure, and what is wrong told before anything is asked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from merchgraph.runtime.scripted import scripted
from merchgraph.runtime.settings import use_settings
from tests.evals.lens_toy import REPLIES, toy_shop
from tests.evals.toy_suite import use_letters


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy_shop(tmp_path_factory.mktemp("toy"))


@pytest.fixture(autouse=True)
def _cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_letters(monkeypatch)
    with use_settings(cache=tmp_path / "cache"):
        yield


def test_a_report_and_its_figure_are_written(typed: Any, data: str, tmp_path: Path) -> None:
    figure, table = tmp_path / "lens.svg", tmp_path / "lens.md"
    with scripted(REPLIES) as model:
        done = typed(
            "eval", "lens", "--limit", "2", "--model", model, "--data", data,
            "--figure", str(figure), "--markdown", str(table), "--json",
        )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert (report["suite"], report["n"]) == ("lens", 2)
    assert "Text or picture" in table.read_text()
    assert figure.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("--candidates", "12"), "The setting candidates is 12, but: "),
        (("--systems", "oracle"), "There is no system 'oracle'; there are text, baselines, all"),
        (("--model", "nobody/x"), "The model name 'nobody/x' is not known"),
        (("--model", "vllm/x", "--judge", "vllm/X"), "the model that is judged"),
        (("--judge", "nobody/x"), "The model name 'nobody/x' is not known"),
        (("--figure", "lens.png"), "name a file that ends in .svg, not 'lens.png'"),
        (("--set", "wish=1"), "There is no setting 'wish'; there are data,"),
    ],
)
def test_a_wrong_setting_is_a_sentence(
    typed: Any, sentence: Any, command: tuple[str, ...], told: str
) -> None:
    assert told in sentence(typed("eval", "lens", *command))
