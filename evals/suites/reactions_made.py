"""Made-up people: the trap of clip length, planted reactions, costs of decisions, emulated raters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from merchgraph.evals.baselines.reactions import Careless, carelessly
from merchgraph.evals.suites import reactions_stream as stream
from merchgraph.evals.suites.reactions_metrics import Scored
from merchgraph.evals.suites.reactions_models import MODELS, TRAPS, Make, Progress, Tell, held_out
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.reactions.crowd import emulated, judged
from merchgraph.tools.reactions.cuts import cut_clips
from merchgraph.tools.reactions.made import Made, made

CONFOUND: Mapping[str, Make] = {"length only": TRAPS["length only"], **{
    name: MODELS[name] for name in ("logistic", "boosting", "MIL log-sum-exp", "fusion")
}}  # fmt: skip


def confound(usual: Made, progress: Progress) -> Table:
    """Errors are filmed longer: held-out people cut the same way, and new people cut fairly."""
    rows: list[list[Cell]] = []
    makes = {"unguarded": Careless, **CONFOUND}
    steps, done = 2 * len(makes), 0
    for strength in (0.0, 2.0):
        trained = usual.model_copy(update={"expressiveness": strength, "confound": True})
        fair = trained.model_copy(update={"confound": False, "seed": usual.seed + 1})
        long, even = made(trained)[0], made(fair)[0]
        cut, new = cut_clips(long), cut_clips(even)
        careless = carelessly(cut, long), carelessly(new, even)
        for name, make in makes.items():
            seen, others = careless if make is Careless else (cut, new)
            pair = (held_out(make, seen), seen), (make().fit(seen).p(others), others)
            same, fairly = (Scored.of(p, of.error, of.person).means()["AUC"] for p, of in pair)
            rows.append([f"{name}, strength {strength:g}", same, fairly])
            progress(done := done + 1, steps)
    return Table(
        title="The trap switched on",
        columns=[
            "trained where errors are filmed longer",
            "AUC, cut the same way",
            "AUC, cut fairly",
        ],
        rows=rows,
        about="Strength 0: the faces show nothing, so that all above .5 is the trap. Unguarded: sums and "
        "extremes of whole clips.",
    )


def recovered(usual: Made, strengths: Sequence[float], tell: Tell) -> list[Table]:
    """The detector over strengths of planted reactions; its people and costs at the middle one."""
    rows: list[list[Cell]] = []
    middle: list[stream.Heard] = []
    by_person: list[list[Cell]] = []
    for strength in strengths:
        clips, planted = made(usual.model_copy(update={"expressiveness": strength}))
        heard = stream.streamed(clips, progress=tell(f"strength {strength:g}"))
        means = stream.scored(heard).means()
        rows.append(
            [f"{strength:g}", means["AUC"], means["macro F1"], *stream.recovery(heard, planted)]
        )
        if strength == sorted(strengths)[len(strengths) // 2]:
            middle, by_person = heard, stream.by_person(heard, planted)
    counted = "found at p >= .5 once the reaction began, false alarms at any time of a clip"
    about = (
        "The streaming detector, frame by frame. Strength 1 is a burst of four times the noise, shared "
        f"by four action units; {counted}; medians of time."
    )
    return [
        Table(title="Planted reactions", columns=["strength", "AUC", "macro F1", *stream.RECOVERY],
              rows=rows, about=about),
        Table(title="By person", columns=["person", *stream.PEOPLE], rows=by_person,
              about=f"The detector at the middle strength; {counted}."),
        costs(middle),
    ]  # fmt: skip


RATIOS = (1.5, 3.0)
THRESHOLDS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.01)


def costs(heard: list[stream.Heard]) -> Table:
    """What an answer costs where the assistant repairs as soon as p is over a threshold."""
    error = np.array([each.clip.label == "error" for each in heard])
    p = np.array([each.p for each in heard])
    names = {0.0: "always repairs", 1.01: "never repairs"}
    rows: list[list[Cell]] = []
    for threshold in THRESHOLDS:
        missed, needless = (error & (p < threshold)).mean(), (~error & (p >= threshold)).mean()
        costs = (float(ratio * missed + needless) for ratio in RATIOS)
        name = names.get(threshold, f"{threshold:.1f}")
        rows.append([name, float(missed), float(needless), *costs])
    return Table(
        title="Costs over thresholds",
        columns=["p from", "missed", "needless", *(f"cost, a miss is {r:g}" for r in RATIOS)],
        rows=rows,
        about='Per answer; a repair without an error costs 1. That a miss costs more is from "My Bad!" '
        "(CSCW 2021); how much more is a parameter.",
    )


def crowd(usual: Made) -> Table:
    """Emulated raters of the same clips."""
    rows: list[list[Cell]] = []
    for raters in (1, 3, 5, 9):
        clips, planted = made(usual)
        truth = {clip.name: clip.label == "error" for clip in clips.clips}
        told = judged(emulated(planted, raters=raters, seed=usual.seed), truth)
        kappa = None if np.isnan(told.kappa) else told.kappa
        rows.append([
            f"{raters}", told.accuracy, told.single, kappa, told.auc, told.dawid_skene,
        ])  # fmt: skip
    return Table(
        title="Emulated raters",
        columns=["raters a clip", "mean vote", "one rater", "kappa", "AUC", "Dawid-Skene"],
        rows=rows,
        about="Raters whose eye we made up, on made-up people: a check of the measures, not of people.",
    )
