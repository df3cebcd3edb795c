"""The evaluation of faces: measures by hand, the traps, and a whole small run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.evals.baselines.reactions import (
    Boosting,
    Careless,
    Majority,
    Plain,
    Traps,
    carelessly,
    whole_clips,
)
from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.suites import reactions, reactions_models
from merchgraph.evals.suites.reactions_metrics import MEASURES, Scored
from merchgraph.evals.suites.reactions_models import MODELS, TRAPS, Progress
from merchgraph.evals.suites.reactions_report import ReactionsReport
from merchgraph.evals.suites.reactions_stream import by_person, recovery, streamed
from merchgraph.evals.tables import Cell, Table
from merchgraph.runtime.errors import DataError
from merchgraph.runtime.settings import settings as settings_now
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.reactions.badrobots import FOLDER
from merchgraph.tools.reactions.crowd import auc
from merchgraph.tools.reactions.cuts import cut_clips
from merchgraph.tools.reactions.made import Made, Planted, made
from merchgraph.tools.reactions.model import Mil


@settings(max_examples=30)
@given(st.integers(0, 999))
def test_measures_are_those_of_scikit_learn(seed: int) -> None:
    from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

    rng = np.random.default_rng(seed)
    error, p = np.arange(40) % 2, np.round(rng.random(40), 1)
    means = Scored.of(p, error, [f"p{n % 7}" for n in range(40)]).measured(np.ones((1, 7)))
    said = (p >= 0.5).astype(int)
    assert means["AUC"][0] == pytest.approx(roc_auc_score(error, p))
    assert means["macro F1"][0] == pytest.approx(f1_score(error, said, average="macro"))
    assert means["balanced accuracy"][0] == pytest.approx(balanced_accuracy_score(error, said))


def test_intervals_draw_people() -> None:
    # one person is always right and one always wrong: no number of clips makes that sure
    error = np.array([1, 0] * 200)
    person = np.repeat(["right", "wrong"], 200)
    p = np.where(person == "right", error, 1 - error) * 0.8 + 0.1
    found = Scored.of(p, error, person).means()["balanced accuracy"]
    assert (found.mean, found.low, found.high, found.n) == (0.5, 0.0, 1.0, 2)


def test_a_difference_is_paired() -> None:
    rng = np.random.default_rng(0)
    error, person = np.arange(200) % 2, np.repeat([f"p{n}" for n in range(20)], 10)
    p = error + rng.normal(size=200) * rng.uniform(0.2, 3, 20).repeat(10)
    one, same = (Scored.of(p, error, person) for _ in range(2))
    gap = one.minus(same)
    assert (gap.mean, gap.low, gap.high) == (0, 0, 0)


def test_traps_see_their_clue_and_no_face() -> None:
    cut = cut_clips(made(Made(people=6, clips=8, expressiveness=0.0, confound=True))[0])
    p = Traps("frames").fit(cut).p(cut)
    assert auc(p, cut.error > 0) > 0.95
    assert set(Majority().fit(cut).p(cut)) <= {0.0, 1.0}


def test_trees_find_planted_reactions() -> None:
    cut = cut_clips(made(Made(people=12, clips=12, expressiveness=3.0))[0])
    held = cut.person >= "p08"
    assert auc(Boosting().fit(cut[~held]).p(cut[held]), cut.error[held] > 0) > 0.7


def test_a_careless_table_tells_the_length() -> None:
    clips, _ = made(Made(people=4, clips=6, expressiveness=0.0))
    table = whole_clips(clips)
    frames = [len(clip.times) for clip in clips.clips]
    assert np.isfinite(table).all()
    assert max(abs(np.corrcoef(column, frames)[0, 1]) for column in table.T) > 0.5


def test_a_careless_model_is_fooled_by_length_and_ours_is_not() -> None:
    trap = Made(people=10, clips=12, expressiveness=0.0, confound=True)
    fair = trap.model_copy(update={"confound": False, "seed": 1})
    long, even = made(trap)[0], made(fair)[0]
    cut, new = cut_clips(long), cut_clips(even)
    held = cut.person >= "p07"
    table = whole_clips(long)
    careless = Plain().fit(table[~held], cut.error[~held])
    same = Careless().fit(carelessly(cut, long)[~held]).p(carelessly(new, even))
    np.testing.assert_array_equal(same, careless.p(whole_clips(even)))
    assert auc(careless.p(table[held]), cut.error[held] > 0) > 0.9
    assert 0.35 < auc(careless.p(whole_clips(even)), new.error > 0) < 0.65
    ours = Mil().fit(cut[~held])
    assert 0.3 < auc(ours.p(cut[held]), cut.error[held] > 0) < 0.7
    assert 0.35 < auc(ours.p(new), new.error > 0) < 0.65


def test_a_found_error_is_one_after_its_reaction_began() -> None:
    clips, _ = made(Made(people=3, clips=4, expressiveness=3.0))
    heard = streamed(clips)
    assert [each.clip.name for each in heard] == [clip.name for clip in clips.clips]
    early = [each._replace(over=(0.5, 2.0)) for each in heard]
    begins = {each.clip.name: Planted(1.5, 2.5, 1.0) for each in heard}
    found, alarms, after, _, blind = recovery(early, begins)
    assert (found, alarms, after) == (1.0, 1.0, 0.5)
    assert recovery([each._replace(over=(0.5,)) for each in heard], begins)[0] == 0.0
    assert [row[3] for row in by_person(early, begins)] == [1.0, 1.0, 1.0]
    only_before = [each._replace(over=(0.5,)) for each in heard]
    assert [row[3] for row in by_person(only_before, begins)] == [0.0, 0.0, 0.0]
    assert isinstance(blind, float)
    assert 0.2 < blind < 0.7
    assert [row[:2] for row in by_person(heard, {})] == [["p00", 4], ["p01", 4], ["p02", 4]]


def test_a_small_run_has_all_tables_and_says_what_is_not_there(tmp_path: Path) -> None:
    stages: list[str] = []

    def telling(stage: str) -> Progress:
        stages.append(stage)
        return lambda done, total: None

    params = reactions.Params(people=3, clips=4, expressiveness=(3.0,))
    with use_settings(data=tmp_path):
        report = reactions.run(params, telling=telling)
    assert stages == ["models", "confound", "strength 3"]
    assert report.notes == ["No real gaze: set MERCHGRAPH_DATA to the folder of badrobots_gaze."]
    table = report.table("Made-up people")
    assert table.columns[1:4] == list(MEASURES)
    assert [row[0] for row in table.rows] == [*TRAPS, *MODELS]
    costs = {row[0]: row[1:] for row in report.table("Costs").rows}
    assert costs["always repairs"] == [0.0, 0.5, 0.5, 0.5]
    assert costs["never repairs"] == [0.5, 0.0, 0.75, 1.5]
    text = report.markdown()
    assert text.count("\n### ") + text.startswith("### ") == len(report.tables) == 6
    with pytest.raises(KeyError):
        report.table("Faces")


def kept(folder: Path, people: int) -> Path:
    """Made-up clips as a folder of files."""
    clips, _ = made(Made(people=people, clips=4, expressiveness=3.0))
    rows = ["clip,person,start,end,label"]
    for clip in clips.clips:
        lines = [",".join(("time", *clips.features))]
        for frame in clips.frames(clip):
            cells = (str(frame.values.get(name, "")) for name in clips.features)
            lines.append(",".join((f"{frame.time}", *cells)))
        (folder / f"{clip.name}.csv").write_text("\n".join(lines) + "\n")
        rows.append(f"{clip.name},{clip.person},0,{clip.seconds},{clip.label}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_a_folder_of_clips_is_evaluated_alone(tmp_path: Path) -> None:
    report = reactions.run(reactions.Params(folder=kept(tmp_path, 4)))
    titles = [table.title for table in report.tables]
    assert titles == [
        "Clips",
        "Place in the video",
        "As a stream",
        "By person",
        "Costs over thresholds",
    ]
    assert report.table("Clips").about.startswith("16 spans of 4 people, 50% positive.")
    assert len(report.table("By person").rows) == 4


def test_the_real_gaze_is_told_by_place_and_no_summary_left_goes_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not (settings_now().data / FOLDER).is_dir():
        pytest.skip(f"{settings_now().data / FOLDER} is not there; set MERCHGRAPH_DATA to test it")
    monkeypatch.setattr(reactions_models, "MODELS", {"MIL log-sum-exp": Mil})
    tables = reactions.gaze(lambda name: lambda done, total: None)
    labelled, around, places = tables
    found = {row[0]: row[3] for row in labelled.rows}
    place, model = found["position only"], found["MIL log-sum-exp"]
    assert isinstance(place, Estimate)
    assert isinstance(model, Estimate)
    assert place.mean > 0.99 > 0.9 > model.high
    assert (place.n, len(around.rows)) == (24, len(TRAPS) + 1)
    for row in places.rows:
        assert isinstance(row[-1], float)
        assert row[-1] <= 0.3
    can, cannot = reactions.says(tables)
    assert can.startswith("Gaze alone can tell")
    assert "cannot be said to tell an error from a success" in cannot


def labelled(folder: Path, change: Callable[[str, str], str]) -> Path:
    """The folder with its labels changed, by (person, label)."""
    head, *rows = [line.split(",") for line in (folder / "labels.csv").read_text().splitlines()]
    told = [[*row[:4], change(row[1], row[4])] for row in rows]
    (folder / "labels.csv").write_text("\n".join(map(",".join, [head, *told])) + "\n")
    return folder


def test_people_who_never_reacted_are_not_counted(tmp_path: Path) -> None:
    folder = labelled(
        kept(tmp_path, 4), lambda who, label: "other" if who in ("p00", "p03") else label
    )
    with pytest.raises(DataError, match=r"The clips are of 2 people; .* fold needs both labels"):
        reactions.run(reactions.Params(folder=folder))


def test_errors_of_one_person_alone_leave_nothing_to_learn(tmp_path: Path) -> None:
    folder = labelled(kept(tmp_path, 3), lambda who, label: label if who == "p00" else "correct")
    with pytest.raises(DataError, match="both are left where some are held out"):
        reactions.run(reactions.Params(folder=folder))


def test_the_markdown_of_a_report_is_escaped() -> None:
    table = Table(title="A|B", columns=["a_b", "*n*"], rows=[["x|y", None]], about="<b>")
    report = ReactionsReport(params={"folder": "my_clips"}, tables=[table], notes=["[1]"])
    told = report.markdown()
    for text in (r"### A\|B", r"| a\_b | \*n\* |", r"| x\|y | - |", r"\<b\>", r"- \[1\]",
                 r"folder my\_clips"):  # fmt: skip
        assert text in told


def gap(low: float, high: float) -> Estimate:
    return Estimate(mean=(low + high) / 2, low=low, high=high, n=24)


def of(*gaps: tuple[str, float, float], auc: Estimate) -> Table:
    """A table of models with the place in the video."""
    rows: list[list[Cell]] = [["position only", auc, None]]
    rows += [[name, auc, gap(low, high)] for name, low, high in gaps]
    return Table(title="Gaze", columns=["system", "AUC", "AUC minus"], rows=rows)


@pytest.mark.parametrize(
    ("labelled", "around", "auc", "said"),
    [
        ([("MIL log-sum-exp", -0.3, -0.1)], (-0.1, 0.1), gap(0.6, 0.7),
         ["alone can tell, better than", "is not shown to do better than", "place alone beats every"]),
        ([("MIL log-sum-exp", -0.3, -0.1), ("fusion", -0.2, 0.1)], (0.1, 0.2), gap(0.6, 0.7),
         ["alone can tell, better than", "it does better than", "not shown to beat fusion."]),
        ([("MIL log-sum-exp", 0.1, 0.2), ("fusion", -0.2, 0.1)], (-0.2, -0.1), gap(0.4, 0.7),
         ["alone is not shown to tell", "it does worse than", "beaten by MIL log-sum-exp."]),
    ],
)  # fmt: skip
def test_what_gaze_tells_is_said_as_the_figures_have_it(
    labelled: list[tuple[str, float, float]], around: tuple[float, float], auc: Estimate,
    said: list[str],
) -> None:  # fmt: skip
    tables = [of(*labelled, auc=auc), of(("MIL log-sum-exp", *around), auc=auc)]
    told = " ".join(reactions.says(tables))
    assert all(part in told for part in said)


def test_two_people_are_too_few_to_hold_one_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="The clips are of 2 people; give at least 3"):
        reactions.run(reactions.Params(folder=kept(tmp_path, 2)))
