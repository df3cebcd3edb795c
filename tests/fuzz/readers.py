"""Everything that reads a user's file: how to make good files, and what reads them.

A reader is given a folder in which one of its files was spoilt, and must give a value or raise one of our
errors. What it gives is used as its callers would use it, so that no fault waits behind the reading.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from langchain_core.messages import HumanMessage

from merchgraph.cli.run_hyper import _fields
from merchgraph.graphs.front import checked
from merchgraph.graphs.hyper import Request
from merchgraph.runtime.export_inspect import logs
from merchgraph.runtime.export_otlp import otlp
from merchgraph.runtime.export_sft import Good, sft
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.seeing import one_colour
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.trace_diff import diff
from merchgraph.runtime.trace_file import read as read_trace
from merchgraph.runtime.trace_page import trace_page
from merchgraph.runtime.wire import key_of, request_json
from merchgraph.tools.bandit import Pilot
from merchgraph.tools.bandit_store import Store as PilotStore
from merchgraph.tools.ctr import images
from merchgraph.tools.ctr.entries import Basis, Draft
from merchgraph.tools.ctr.pool import Pool
from merchgraph.tools.ctr.store import Store as WeightStore
from merchgraph.tools.data import tabular, upworthy
from merchgraph.tools.data.mapping import read_mapping
from merchgraph.tools.fairness.store import Ledger
from merchgraph.tools.modules import read_modules
from merchgraph.tools.reactions import badrobots
from merchgraph.tools.reactions.crowd import read_ratings
from merchgraph.tools.reactions.data import read_clips
from merchgraph.tools.reactions.stream import read_frames
from merchgraph.tools.use_case import USE_CASES, load_use_case
from tests.runtime.small_trace import CALL, GROUPS
from tests.runtime.small_trace import write as write_trace
from tests.tools.ctr.small_pool import NAMES, small_pool
from tests.tools.data import shop_files

Make = Callable[[Path], None]
Read = Callable[[Path], object]


@dataclass(frozen=True)
class Reader:
    """What reads a file.

    Attributes:
        name: for the test.
        make: writes good files into a folder.
        file: the one that is spoilt.
        read: reads it, from the folder.
        kind: what its values are spoilt as, where that is not told by its name.
    """

    name: str
    file: str
    make: Make
    read: Read
    kind: str = ""


def text(file: str, content: str) -> Make:
    return lambda folder: _put(folder / file, content.encode())


def _put(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def _shop(folder: Path) -> None:
    shop_files.write(folder, shop_files.mapping())


def _parquet_shop(folder: Path) -> None:
    _shop(folder)
    form: dict[str, Any] = shop_files.mapping(file="events.parquet")
    pl.read_csv(folder / "events.csv", separator=";", infer_schema=False).write_parquet(
        folder / "events.parquet"
    )
    (folder / "mine.yaml").write_text(yaml.safe_dump(form))


def _load_shop(folder: Path) -> object:
    with use_settings(cache=folder / "cache"):
        store = tabular.load(folder / "mine.yaml")
    return [store.items.row(item).text for item in store.items.frame["item"].to_list()]


def _shown(folder: Path) -> object:
    """The trace as people and other programs see it."""
    trace = read_trace(folder / "x.jsonl.zst")
    written = sft(trace, Good())
    told = diff(trace, trace)
    return trace_page(trace), list(otlp(trace)), logs(trace), written, told


TEA = [HumanMessage("Tea?")]
MODULES = "set,item\nbreakfast,1\nbreakfast,2\nlunch,3\n"


def _parquet_modules(folder: Path) -> None:
    rows = [line.split(",") for line in MODULES.split()]
    pl.DataFrame(rows[1:], schema=rows[0], orient="row").write_parquet(folder / "m.parquet")


def _trace(folder: Path) -> None:
    """The small trace with a request that a model of the tape is asked again."""
    asked = request_json("m/1", TEA, {"temperature": 0.0, "max_tokens": 512})
    call = CALL.model_copy(update={"key": key_of(asked), "request": asked})
    groups = [[call if line is CALL else line for line in group] for group in GROUPS]
    write_trace(folder / "x.jsonl.zst", groups)


def _library(folder: Path) -> object:
    """The trace as a model: `tape/FILE` answers what was asked."""
    model = chat_model(f"tape/{folder / 'x.jsonl.zst'}")
    return asyncio.run(model.ainvoke(TEA))


CLIPS = "clip,person,start,end,label\np1_01,p1,0,1.5,error\np1_02,p1,0.2,1,correct\n"
FACE = "time,AU12_r,AU06_r\n0.0,1.5,2\n0.5,,nan\n1.0,3,0.5\n"


def _clips(folder: Path) -> None:
    (folder / "labels.csv").write_text(CLIPS)
    (folder / "ratings.csv").write_text("clip,rater,answer\np1_01@0,r1,error\np1_02@0.2,r1,fine\n")
    for name in ("p1_01", "p1_02"):
        (folder / f"{name}.csv").write_text(FACE)


def _badrobots(folder: Path) -> None:
    home = folder / badrobots.FOLDER
    rows = [f"{n},p1nodbot,{int(n > 150)},1,0.1,{n / 300},0.2" for n in range(300)]
    head = "frame,participant,binary_label,multiclass_label,gaze_0_x,gaze_angle_x,gaze_angle_y"
    _put(home / badrobots.FRAMES, "\n".join([head, *rows]).encode())
    _put(home / badrobots.ERRORS, b"participant_num,start\n1,5.0\n")


def _badrobots_read(folder: Path) -> object:
    with use_settings(data=folder):
        return badrobots.as_labelled(), badrobots.around_errors()


def _upworthy(folder: Path) -> None:
    from tests.tools.data.test_upworthy import package, write

    write(folder, [package("t", headline, clicks) for headline, clicks in (("A", 30), ("B", 90))])


def _upworthy_read(folder: Path) -> object:
    with use_settings(data=folder):
        rows = upworthy.load()
    return upworthy.clear_pairs(rows), upworthy.pilots(rows)


PNG = one_colour((1, 2, 3), side=3)
AD_FIELDS = {"text": "Green tea", "image": "tea.png", "id": "7"}


def _ad(file: Path) -> object:
    return checked(Request, _fields(file, None, None))


BASIS = Basis.of(small_pool())


@cache
def _pilot() -> Pilot:
    return Pilot.start(["a", "b"], control="c")


def _pilot_file(folder: Path) -> None:
    with PilotStore(folder / "j.jsonl", _pilot()) as store:
        gave = store.choose(100, update="monday")
        store.observe("a", shows=min(3, gave["a"]), clicks=1, update="monday/a")


def _pilot_read(folder: Path) -> object:
    with PilotStore(folder / "j.jsonl") as store:
        return store.choose(10, update="later"), store.pilot.winner


def _ledger_file(folder: Path) -> None:
    with Ledger(folder / "j.jsonl", ["acme", "zeta"]) as ledger:
        ledger.add("trip 1", {"acme": 2.5})
        ledger.add("trip 2", {"zeta": 1.0, "acme": 0.5})


def _ledger_read(folder: Path) -> object:
    with Ledger(folder / "j.jsonl", ["acme", "zeta"]) as ledger:
        ledger.add("later", {"zeta": 1.0})
        return ledger.snapshot()


def _weights_file(folder: Path) -> None:
    store = WeightStore(folder / "j.jsonl", BASIS)
    for ad in ("a", "b"):
        store.put(Draft(ad=ad, content="c", prompt="p", model="m", weights=(0.1,) * len(NAMES),
                        intercept=-3.0))  # fmt: skip


def _weights_read(folder: Path) -> object:
    store = WeightStore(folder / "j.jsonl")
    scorer = store.scorer()
    assert len(store) == len(scorer.ads)
    return store.newest("a")


READERS = [
    Reader("mapping", "mine.yaml", _shop, lambda folder: read_mapping(folder / "mine.yaml")),
    Reader("shop by its mapping", "mine.yaml", _shop, _load_shop),
    Reader("shop's items", "items.csv", _shop, _load_shop),
    Reader("shop's events", "events.csv", _shop, _load_shop),
    Reader("shop's events, Parquet", "events.parquet", _parquet_shop, _load_shop),
    Reader("use case", "a.yaml", text("a.yaml", (USE_CASES / "a.yaml").read_text()),
           lambda folder: load_use_case(folder / "a.yaml").checks),
    Reader("modules", "m.csv", text("m.csv", MODULES), lambda folder: read_modules(folder / "m.csv")),
    Reader("modules, TSV", "m.tsv", text("m.tsv", MODULES.replace(",", "\t")),
           lambda folder: read_modules(folder / "m.tsv")),
    Reader("modules, Parquet", "m.parquet", _parquet_modules,
           lambda folder: read_modules(folder / "m.parquet")),
    Reader("trace", "x.jsonl.zst", _trace, lambda folder: read_trace(folder / "x.jsonl.zst")),
    Reader("tape as a model", "x.jsonl.zst", _trace, _library),
    Reader("trace, shown", "x.jsonl.zst", _trace, _shown),
    Reader("face", "f.csv", text("f.csv", FACE), lambda folder: read_frames(folder / "f.csv")),
    Reader("labels", "labels.csv", _clips, read_clips),
    Reader("a clip's face", "p1_02.csv", _clips, read_clips),
    Reader("ratings", "ratings.csv", _clips, read_ratings),
    Reader("badrobots", f"{badrobots.FOLDER}/{badrobots.FRAMES}", _badrobots, _badrobots_read),
    Reader("badrobots' errors", f"{badrobots.FOLDER}/{badrobots.ERRORS}", _badrobots, _badrobots_read),
    Reader("headlines", str(upworthy.FILE), _upworthy, _upworthy_read),
    Reader("picture", "x.png", lambda folder: _put(folder / "x.png", PNG),
           lambda folder: images.content(images.picture(str(folder / "x.png")))),
    Reader("data URL", "url", text("url", f"data:image/png;base64,{base64.b64encode(PNG).decode()}"),
           lambda folder: images.picture((folder / "url").read_bytes().decode("latin-1"))),
    Reader("ad, JSON", "ad.json", text("ad.json", json.dumps(AD_FIELDS)),
           lambda folder: _ad(folder / "ad.json")),
    Reader("ad, YAML", "ad.yaml", text("ad.yaml", yaml.safe_dump(AD_FIELDS)),
           lambda folder: _ad(folder / "ad.yaml")),
    Reader("pilot", "j.jsonl", _pilot_file, _pilot_read),
    Reader("ledger of sellers", "j.jsonl", _ledger_file, _ledger_read),
    Reader("store of weights", "j.jsonl", _weights_file, _weights_read),
    Reader("pool of ads", "pool.json", small_pool().save, Pool.load),
    Reader("pool's weights", "pool.safetensors", small_pool().save, Pool.load),
]  # fmt: skip
