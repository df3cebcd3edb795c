"""Keys planted in the settings, the address, the headers and a server's errors reach no file."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from zstandard import ZstdDecompressor

from merchgraph.graphs import arag, behavior_lens
from merchgraph.graphs.rows import FACTORY
from merchgraph.runtime.batch import Job
from merchgraph.runtime.batch import run as run_batch
from merchgraph.runtime.batch_input import read_input
from merchgraph.runtime.batch_output import Folder
from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.export_inspect import logs
from merchgraph.runtime.export_otlp import otlp
from merchgraph.runtime.export_sft import Good, sft
from merchgraph.runtime.log import HIDDEN
from merchgraph.runtime.recording import recorded
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.trace_file import read
from merchgraph.runtime.trace_page import trace_page
from tests.chaos.cases import CASES
from tests.chaos.faults import Chaos, ChaosServer
from tests.chaos.matrix import quick
from tests.graphs.lens_shopper import ASKED, PAST
from tests.runtime.faulty_server import Exchange, Fault, status

KEY, PASSWORD = "plain-key-of-ours-77", "hunter22hunter"


def echoing(good: Fault, before: int) -> Fault:
    """A server that refuses some requests and says what it was sent, its key and address too."""

    async def run(exchange: Exchange) -> None:
        form = exchange.body.get("response_format", {}).get("json_schema", {})
        text = f"bad key {KEY}; headers {exchange.headers}; http://ann:{PASSWORD}@db"
        refused = form.get("name") in ("Rationale", "NextPurchase")
        await (status(400, text) if refused else good)(exchange)

    return run


@pytest.fixture(autouse=True)
def _logged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """All events go to a file; nobody speaks TLS."""
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)
    log, handler = logging.getLogger("merchgraph"), logging.FileHandler(tmp_path / "events.log")
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield
    log.setLevel(before)
    log.removeHandler(handler)
    handler.close()


def texts(file: Path) -> str:
    """What a file says, unpacked."""
    data = file.read_bytes()
    if file.suffix == ".zst":
        with ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as opened:
            return opened.read().decode()
    if file.suffix == ".parquet":
        return json.dumps(pl.read_parquet(file).to_dicts(), default=str)
    return data.decode("latin-1")


def ran(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record, export and batch against the server; the errors that people were told."""
    with ChaosServer(Chaos("echo", echoing)) as server:
        address = server.url.replace("://", f"://ann:{PASSWORD}@")
        with quick(server.url), use_settings(vllm_base_url=address, vllm_api_key=KEY):
            case = CASES["arag"]
            case.patch(monkeypatch)
            context = arag.Context(model="vllm/leaky", **case.settings)
            with recorded(folder / "x.jsonl.zst", params={"address": address}):
                told = [error.message for error in arag.run(case.request, context).errors]
            rows = [{"id": n, "user": "7", "history": PAST.model_dump_json(),
                     "candidates": json.dumps(ASKED.candidates)} for n in range(3)]  # fmt: skip
            lines = "\n".join(json.dumps(row) for row in rows)
            (folder / "rows.jsonl").write_text(lines)
            table = read_input(folder / "rows.jsonl", 2)
            settings = behavior_lens.Context(model="vllm/leaky").model_dump(mode="json")
            given = {"graph": "behavior_lens", "context": settings}
            job = Job(FACTORY, given, table, Folder(folder / "out", 2, table.count), 2)
            try:
                asyncio.run(run_batch(job))
            except MerchgraphError as error:
                told.append(str(error))
    trace = read(folder / "x.jsonl.zst")
    (folder / "page.html").write_text(trace_page(trace))
    (folder / "otlp.jsonl").write_text("\n".join(otlp(trace)))
    (folder / "sft.jsonl").write_text("\n".join(row.json() for row in sft(trace, Good())))
    (folder / "inspect.json").write_text(json.dumps(logs(trace)))
    return told


def test_no_file_holds_a_planted_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ran(tmp_path, monkeypatch)
    assert told
    assert HIDDEN in " ".join(told)
    written = {file: texts(file) for file in tmp_path.rglob("*") if file.is_file()}
    kinds = {file.suffix for file in written}
    assert {".zst", ".parquet", ".log", ".html", ".jsonl"} <= kinds
    for file, text in written.items():
        assert KEY not in text, file
        assert PASSWORD not in text, file
    assert KEY not in " ".join(told)
    assert HIDDEN in written[tmp_path / "events.log"] + written[tmp_path / "x.jsonl.zst"]
