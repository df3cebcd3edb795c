"""`merchgraph run hyper`: bars, reasons and calibration, what it refuses, and its replay."""

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from merchgraph.cli.run_hyper import bar, show
from merchgraph.graphs import hyper
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.seeing import one_colour
from merchgraph.tools.ctr.store import Store
from tests.cli.conftest import Command, Ended
from tests.graphs.hyper_ads import GOOD, REASON, replies, reply
from tests.graphs.hyper_ads import pool as pool
from tests.tools.ctr.small_pool import NAMES

pytestmark = pytest.mark.usefixtures("pool")
HOSTILE = "\x1b[2J\x1b]0;owned\x07 [red]tea[/] \u202eaet :apple:"
Ran = Callable[..., Ended]


@pytest.fixture
def ran(typed: Command) -> Ran:
    """`merchgraph run hyper` with a scripted model."""

    def run(*words: str, **changed: Any) -> Ended:
        with scripted(replies(**changed)) as model:
            return typed("run", "hyper", "--model", model, *words)

    return run


def controls(text: str) -> list[str]:
    return [c for c in text if (unicodedata.category(c) == "Cc" and c != "\n") or c == "\u202e"]


def flat(text: str) -> str:
    return " ".join(text.split())


def test_a_run_shows_bars_reasons_neighbours_and_the_calibration(ran: Ran) -> None:
    ended = ran("--text", "green tea")
    assert (ended.code, ended.err) == (0, "")
    assert "The 5 largest of 5 weights" in ended.out
    bars = [line for line in ended.out.splitlines() if "│" in line]
    assert [next(name for name in NAMES if name in line) for line in bars][:2] == [
        "aisle: tea",
        "trips",
    ]
    assert "█" in bars[0].split("│")[1]
    assert "█" not in bars[0].split("│")[0]
    for told in ("they drink tea", "tea drinkers", "an advertisement for tea 0", "total"):
        assert told in ended.out
    text = flat(ended.out)
    assert re.search(r"intercept -\d\.\d\d: (\d\.\d\d%) of reference users click; wanted \1", text)
    assert "written by the model; 100% of the reasons agree" in text


def test_a_weight_below_0_goes_to_the_left(ran: Ran) -> None:
    ended = ran("--text", "green tea", "--set", "share=1")
    line = next(line for line in ended.out.splitlines() if "aisle: baby" in line and "│" in line)
    assert re.search("[▐█]│", line)


@pytest.mark.parametrize("half", [4, 9, 12])
@pytest.mark.parametrize("share", [-2, -1, -0.99, -0.5, -0.01, 0, 0.001, 0.03, 0.5, 0.99, 1, 7])
def test_every_bar_has_one_width_and_points_to_its_side(share: float, half: int) -> None:
    drawn = bar(share, half).plain
    assert cell_len(drawn) == 2 * half + 1
    left, right = drawn.split("│")
    assert cell_len(left) == half
    assert not (left.strip() if share > 0 else right.strip())
    if abs(share) >= 1:
        assert "█" * half in (left, right)


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    result = hyper.Result.model_validate_json(ran("--text", "green tea", "--json").out)
    long = [row.model_copy(update={"feature": row.feature * 9}) for row in result.weights]
    show(result.model_copy(update={"weights": long}), Console())
    lines = capsys.readouterr().out.splitlines()
    assert max(cell_len(line) for line in lines) <= int(columns)
    bars = [line for line in lines if "│" in line]
    assert len(bars) == 5
    assert all(len(re.findall(r" [+-]\d\.\d\d\b", line)) == 3 for line in bars)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ad.txt", "green tea\n"),
        ("ad.yaml", "text: green tea\nid: new\n"),
        ("ad.yml", "{text: green tea, id: new}"),
        ("ad.json", '{"text": "green tea", "id": "new"}'),
    ],
)
def test_an_ad_is_read_from_a_file(ran: Ran, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    ended = ran("--ad", str(tmp_path / name), "--json")
    assert (ended.code, ended.err) == (0, "")
    result = hyper.Result.model_validate_json(ended.out)
    assert result.text == "green tea"
    assert (result.ad == "new") is not name.endswith("txt")


def test_a_picture_stands_beside_its_file_or_is_named(ran: Ran, tmp_path: Path) -> None:
    png = one_colour((255, 0, 0), 8)
    (tmp_path / "ad.png").write_bytes(png)
    (tmp_path / "ad.json").write_text(json.dumps({"text": "tea", "image": "ad.png"}))
    (tmp_path / "ad.txt").write_text("tea")
    one = ran("--ad", str(tmp_path / "ad.json"), "--json")
    two = ran("--ad", str(tmp_path / "ad.txt"), "--image", str(tmp_path / "ad.png"), "--json")
    found = [hyper.Result.model_validate_json(ended.out) for ended in (one, two)]
    assert [result.seen for result in found] == [True, True]
    assert found[0].ad == found[1].ad


def test_a_model_that_does_not_see_is_told_of(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blind(model: object) -> str:
        return "refuses"

    monkeypatch.setattr(hyper, "sight", blind)
    (tmp_path / "ad.png").write_bytes(one_colour((255, 0, 0), 8))
    ended = ran("--text", "tea", "--image", str(tmp_path / "ad.png"))
    assert "The model sees no pictures; it was told the texts alone." in ended.out
    assert "sees no pictures" not in ran("--text", "tea").out


def test_weights_are_kept_and_the_version_is_said(ran: Ran, tmp_path: Path) -> None:
    path = tmp_path / "weights.jsonl"
    ended = ran("--text", "green tea", "--store", str(path), "--set", "shots=3")
    assert "version 1 of ad " in ended.out
    assert len(Store(path)) == 1


def test_what_is_wrong_with_a_reply_is_counted(ran: Ran) -> None:
    wild = {**GOOD, "aisle: baby": "much", "moon": 1, "children": -5}
    del wild["trips"]
    reasons = [REASON, {**REASON, "feature": "children", "because": "they do"}]
    text = flat(ran("--text", "tea", write=Always(reply(wild, *reasons))).out)
    told = "1 left out; 1 not asked for; 1 no number; 1 against the reason; 50% of the reasons"
    assert told in text


def test_a_model_that_writes_nothing_leaves_the_neighbours_mean(ran: Ran) -> None:
    ended = ran("--text", "tea", write=Always("nothing"))
    assert ended.code == 0
    assert "the neighbours' mean: the model wrote nothing that can be used" in flat(ended.out)
    assert "write aisle: tea: The model gave agent 'write' no usable" in flat(ended.out)


@pytest.mark.parametrize("columns", ["60", "200"])
def test_what_ads_and_models_say_commands_no_terminal(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    (tmp_path / "ad.txt").write_text(HOSTILE, encoding="utf-8")
    reason = REASON | {"because": HOSTILE}
    ended = ran(
        "--ad", str(tmp_path / "ad.txt"), "--set", "id=1",
        write=Always(reply({**GOOD, HOSTILE: 1}, reason)),
    )  # fmt: skip
    assert ended.code == 2  # the id is no setting
    ended = ran("--ad", str(tmp_path / "ad.txt"), write=Always(reply({**GOOD, HOSTILE: 1}, reason)))
    assert (ended.code, ended.err) == (0, "")
    assert controls(ended.out) == []
    assert "[red]tea[/]" in ended.out


def test_a_recorded_run_is_replayed(
    ran: Ran, typed: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "run.jsonl.zst"
    assert "recorded in" in ran("--text", "green tea", "--record", str(trace)).out

    def gone(*_: object, **__: object) -> Any:
        raise AssertionError("a replay reads no pool")

    monkeypatch.setattr(hyper, "pool_of", gone)
    ended = typed("replay", str(trace))
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "Which ad? Give --ad FILE or --text TEXT"),
        (("--text", "tea", "--ad", "x"), "Which ad? Give --ad FILE or --text TEXT"),
        (("--ad", "none.txt"), "The ad 'none.txt' cannot be read: No such file"),
        (("--text", ""), "The setting text is ''"),
        (("--text", "tea", "--image", "none.png"), "The image 'none.png' cannot be read"),
        (("--text", "tea", "--set", "share=2"), "The setting share is 2"),
        (("--text", "tea", "--set", "shots=9"), "shots is 9, but only 5 neighbours"),
        (("--text", "tea", "--set", "by=numbers"), "The setting by is 'numbers'"),
        (("--text", "tea", "--set", "clip=none"), "The embedding model 'none'"),
        (("--text", "tea", "--store", "."), "The weights '.' cannot be opened: Is a directory"),
    ],
    ids=str,
)
def test_a_mistake_is_one_sentence(
    ran: Ran, sentence: Callable[[Ended], str], words: tuple[str, ...], told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if "clip=none" in words:
        from merchgraph.tools.ctr.likeness import AdVectors

        monkeypatch.setattr(hyper, "AdVectors", AdVectors)
    assert told in sentence(ran(*words))


REFERS = (f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))
BOMB = f"text: [&a0 [x], {', '.join(REFERS)}]"
"""Of 400 bytes, which stand for 43 million words."""


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("ad.json", b"[1]"), ("ad.json", b"{"), ("ad.json", b'{"title": "tea"}'),
        ("ad.json", b'{"text": "tea", "price": 1}'), ("ad.json", b"[" * 50_000),
        ("ad.yaml", b"text: [a"), ("ad.yaml", b"!!python/object:os.system {}"), ("ad.txt", b"\xff\xfe"),
        ("ad.txt", b"x" * 100_001), ("ad.yaml", BOMB.encode()),
    ],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
def test_a_file_that_holds_no_ad_is_said(
    ran: Ran, sentence: Callable[[Ended], str], tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    ended = ran("--ad", str(tmp_path / name))
    assert name in sentence(ended)
    assert len(ended.err) < 600
