"""`merchgraph data`: folders of clips of faces: features of videos, ratings, and deleting a person."""

from __future__ import annotations

import csv
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from merchgraph.cli.plain import plain
from merchgraph.runtime.errors import SetupError

if TYPE_CHECKING:
    from merchgraph.tools.reactions.crowd import Rating
    from merchgraph.tools.reactions.data import Row

app = typer.Typer(help="Folders of clips of people's faces.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="Folder of clips, with its labels.csv.")]
KEYS = {"e": "error", "f": "fine", "u": "unsure"}
TIMES = ("{start}", "{end}")
"""What stands in a player's command for the seconds of a clip."""


@app.command()
def forget(
    person: Annotated[str, typer.Argument(help="As labels.csv names them.")],
    folder: Annotated[Path, typer.Option("--folder", help="Folder of clips.")] = Path(),
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
) -> None:
    """Delete a person from a folder: clips, features, labels and ratings."""
    from merchgraph.tools.reactions.data import forget as forgotten
    from merchgraph.tools.reactions.data import read_labels

    console = Console()
    count = sum(row.person == person for row in read_labels(folder))
    if count and not yes:
        typer.confirm(f"Delete {person} and {count} clips from {folder}?", abort=True)
    gone = forgotten(folder, person)
    console.print(plain(f"deleted {person}: {len(gone)} files, {count} labels, and their ratings"))
    console.print(plain("Models trained before still hold what they learnt; train them anew."))


@app.command()
def rate(
    folder: Folder,
    rater: Annotated[str, typer.Option(help="Who rates; ratings are kept by this name.")],
    player: Annotated[
        str,
        typer.Option(
            help="Plays a file from {start} to {end} s, such as 'mpv --no-audio --start={start} "
            "--end={end}'. It must be muted: words would tell what the face is to tell."
        ),
    ] = "",
) -> None:
    """Say of each clip, without sound, whether the assistant erred; may be broken off and goes on."""
    from merchgraph.tools.reactions.crowd import Rating, read_ratings
    from merchgraph.tools.reactions.data import RATINGS_FILE, read_labels

    console = Console()
    rows = read_labels(folder)
    words = _words(player, rows)
    file = folder / RATINGS_FILE
    known = {(each.clip, each.rater) for each in (read_ratings(folder) if file.exists() else [])}
    left = [row for row in _shuffled(rows, rater) if (row.name, rater) not in known]
    console.print(plain(f"{len(left)} clips to rate, {len(rows) - len(left)} done", "bold"))
    for n, row in enumerate(left, start=1):
        console.print(plain(f"{n}/{len(left)}  {_shown(folder, row)}"))
        _play(words, folder, row)
        answer = _asked("Did the assistant err? e error, f fine, u unsure, q quit", KEYS)
        if answer is None:
            break
        _append(file, Rating(row.name, rater, KEYS[answer]))


@app.command()
def agreement(folder: Folder) -> None:
    """How right the raters of a folder are, and how far they agree."""
    from merchgraph.tools.reactions.crowd import judged, read_ratings
    from merchgraph.tools.reactions.data import read_labels

    rows = [row for row in read_labels(folder) if row.label in ("error", "correct")]
    told = judged(read_ratings(folder), {row.name: row.label == "error" for row in rows})
    console = Console()
    console.print(plain(f"{told.clips} labelled clips, {told.raters} raters", "bold"))
    for name, value in (
        ("mean vote is right", told.accuracy), ("one rater is right", told.single),
        ("Dawid-Skene is right", told.dawid_skene), ("Fleiss' kappa", told.kappa),
        ("AUC of the mean vote", told.auc),
    ):  # fmt: skip
        console.print(plain(f"  {name:<22} {value:.3f}"))
    for alarms, hits in told.roc:
        console.print(
            plain(f"  {'ROC of the mean vote':<22} false alarms {alarms:.3f}, hits {hits:.3f}")
        )


@app.command()
def faces(
    video: Annotated[Path, typer.Argument(help="A video of one person's face.")],
    model: Annotated[Path, typer.Option(help="MediaPipe's face_landmarker.task.")],
    out: Annotated[Path, typer.Option(help="CSV of features; the video is not kept.")],
) -> None:
    """Features of a face from a video, by MediaPipe; no picture is written."""
    from merchgraph.tools.reactions.video import write_features

    count, seen = write_features(video, model, out)
    Console().print(plain(f"{count} frames, {seen} with a face: {out}"))


def _shuffled(rows: Iterable[Row], rater: str) -> list[Row]:
    """An order of each rater's own, the same each time; labels are not shown."""
    import random

    mixed = list(rows)
    random.Random(rater).shuffle(mixed)
    return mixed


def _shown(folder: Path, row: Row) -> str:
    video = _video(folder, row)
    return f"{video or row.clip} from {row.start:g} to {row.end:g} s"


def _video(folder: Path, row: Row) -> Path | None:
    """The file of the clip that is not its features."""
    named = (file for file in sorted(folder.rglob("*")) if file.stem == row.clip)
    return next((file for file in named if file.suffix != ".csv" and file.is_file()), None)


def _words(player: str, rows: Iterable[Row]) -> list[str]:
    """The player's command, by words.

    Raises:
        SetupError: it cannot be read, or would play a file of several clips whole.
    """
    try:
        words = shlex.split(player)
    except ValueError as error:
        raise SetupError(
            f"The player {player!r} cannot be read ({error}); correct its quotes."
        ) from error
    clip, count = Counter(row.clip for row in rows).most_common(1)[0]
    if words and count > 1 and not all(time in player for time in TIMES):
        raise SetupError(
            f"The player {player!r} would play all of {clip!r}, which holds {count} clips; say with "
            "{start} and {end} where their seconds stand, as in mpv --start={start} --end={end}."
        )
    return words


def _play(words: list[str], folder: Path, row: Row) -> None:
    video = _video(folder, row)
    if not words or video is None:
        return
    for name, seconds in zip(TIMES, (row.start, row.end), strict=True):
        words = [word.replace(name, f"{seconds:.3f}") for word in words]
    try:
        subprocess.run([*words, str(video)], check=False)
    except OSError as error:
        raise SetupError(
            f"The player {shlex.join(words)!r} cannot be started ({error.strerror}); give another by "
            "--player."
        ) from error


def _asked(question: str, keys: Iterable[str]) -> str | None:
    """One of the keys; None for q."""
    while True:
        answer = str(typer.prompt(question)).strip().lower()[:1]
        if answer in keys or answer == "q":
            return None if answer == "q" else answer


def _append(file: Path, rating: Rating) -> None:
    from merchgraph.tools.reactions.crowd import COLUMNS

    new = not file.exists()
    try:
        with file.open("a", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            if new:
                writer.writerow(COLUMNS)
            writer.writerow(rating)
    except OSError as error:
        raise SetupError(
            f"The rating cannot be written to {str(file)!r}: {error.strerror}."
        ) from error
