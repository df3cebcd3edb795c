"""A trace as logs of Inspect (inspect.aisi.org.uk), whose viewer shows evaluations side by side.

    pip install inspect-ai
    merchgraph trace export x.jsonl.zst --to inspect --out logs
    inspect view --log-dir logs

One log a system: the list of logs is then the table of the systems, with the mean of every metric.
(Epochs of one log would be averaged over systems.) One sample a case: its request, its truth as the
target, the ranking as the output, and a transcript with a span a node.

Logs are built as JSON here and checked by Inspect's own classes, so that only `write` needs the package.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.inspect_events import events, usage_by_model
from merchgraph.runtime.ledger import Usage, usage_by
from merchgraph.runtime.recorded import metrics_of, moment, outcome, ranking, strings, system_of
from merchgraph.runtime.trace import Header, JsonObject, Run, Trace

FORMAT = 2
"""Version of Inspect's log format."""


def write(trace: Trace, folder: Path) -> list[Path]:
    """Write one `.eval` file a system into a folder, and return their paths.

    Raises:
        SetupError: the package inspect-ai is missing, or the folder cannot be written.
    """
    try:
        inspect_log = import_module("inspect_ai.log")
    except ModuleNotFoundError as error:
        raise SetupError(
            f"--to inspect needs the package inspect-ai ({error}); install merchgraph[view]."
        ) from error
    written = []
    for number, (system, log) in enumerate(logs(trace).items(), start=1):
        path = folder / f"{number:02d}-{_slug(system)}.eval"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            inspect_log.write_eval_log(inspect_log.EvalLog.model_validate(log), str(path))
        except OSError as error:
            raise SetupError(
                f"The log {str(path)!r} cannot be written: {error.strerror}; give another folder."
            ) from error
        written.append(path)
    return written


def logs(trace: Trace) -> dict[str, JsonObject]:
    """System -> its log, as JSON of Inspect's `EvalLog`."""
    groups: dict[str, list[Run]] = {}
    for run in trace.runs.values():
        groups.setdefault(system_of(run), []).append(run)
    return {system: _log(trace, system, runs) for system, runs in groups.items()}


def _log(trace: Trace, system: str, runs: Sequence[Run]) -> JsonObject:
    samples = [_sample(run, trace.cases.get(run.begin.case, {})) for run in runs]
    ended = [moment(run, run.end.seconds) for run in runs]
    return {
        "version": FORMAT,
        "status": "success",
        "eval": _spec(trace, system, runs),
        "plan": {"name": system, "steps": [{"solver": system, "params": {}}]},
        "results": {
            "total_samples": len(samples),
            "completed_samples": sum(not run.end.error for run in runs),
            "scores": _means(runs),
        },
        "stats": {
            "started_at": min(moment(run) for run in runs).isoformat(),
            "completed_at": max(ended).isoformat(),
            "model_usage": usage_by_model(_by_model(runs)),
        },
        "samples": samples,
    }


def _spec(trace: Trace, system: str, runs: Sequence[Run]) -> JsonObject:
    header = runs[0].header
    suite = str(header.params.get("suite") or runs[0].begin.graph or "merchgraph")
    models = list(_by_model(runs))
    return {
        "created": moment(runs[0]).isoformat(),
        "task": suite,
        "task_id": _hash(header, suite, system),  # logs of one task id are shown as retries of one
        "eval_id": _hash(header, system),
        "run_id": _hash(header),
        "solver": system,
        "model": models[0] if models else "none/none",
        "model_roles": None,
        "dataset": {
            "name": Path(trace.path).name,
            "samples": len(runs),
            "sample_ids": [_sample_id(run) for run in runs],
            "shuffled": False,
        },
        "config": {"epochs": 1},
        "packages": header.software,
        "metadata": {**header.params, "prompts": header.prompts},
        "tags": [system],
    }


def _sample(run: Run, case: JsonObject) -> JsonObject:
    asked, said = _line(case.get("request") or run.begin.request), _answer(run)
    return {
        "id": _sample_id(run),
        "epoch": 1,
        "uuid": _hash(run.header, run.id),
        "input": asked,
        "target": list(strings(case.get("truth", {}))) or "",
        "messages": [
            {"id": "asked", "role": "user", "content": asked, "source": "input"},
            {"id": "said", "role": "assistant", "content": said, "source": "generate"},
        ],
        "output": {
            "model": system_of(run),
            "choices": [{"message": {"role": "assistant", "content": said}, "stop_reason": "stop"}],
            "completion": said,
        },
        "scores": _scores(run),
        "metadata": {
            "run": run.id,
            "segment": case.get("segment", ""),
            "context": run.begin.context,
            "output": outcome(run),
            "usage": run.end.usage.model_dump(exclude_defaults=True),
        },
        "store": {},
        "events": list(events(run)),
        "model_usage": usage_by_model(_by_model([run])),
        **_error(run.end.error),
        "started_at": moment(run).isoformat(),
        "completed_at": moment(run, run.end.seconds).isoformat(),
        "total_time": run.end.seconds,
        "working_time": run.end.seconds,
    }


def _scores(run: Run) -> JsonObject:
    best = ", ".join(ranking(run)[:5])
    return {name: {"value": value, "answer": best} for name, value in metrics_of(run).items()}


def _means(runs: Sequence[Run]) -> list[JsonObject]:
    """Mean per metric over the runs that have it; the report's intervals need the paired runs."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, value in metrics_of(run).items():
            found.setdefault(name, []).append(value)
    return [
        {
            "name": name,
            "scorer": name,
            "scored_samples": len(values),
            "unscored_samples": len(runs) - len(values),
            "metrics": {"mean": {"name": "mean", "value": sum(values) / len(values)}},
        }
        for name, values in found.items()
    ]


def _by_model(runs: Sequence[Run]) -> dict[str, Usage]:
    return usage_by((line.call for run in runs for line in run.calls if line.call), "model")


def _answer(run: Run) -> str:
    """A ranking as a numbered list, anything else as JSON."""
    order, told = ranking(run), outcome(run)
    if not order:
        return _pretty(told)
    rows = {str(row.get("item")): row for row in told["ranking"] if isinstance(row, dict)}
    return "\n".join(
        f"{place}. {item} {_title(rows.get(item, {}))}".rstrip()
        for place, item in enumerate(order, start=1)
    )


def _title(row: JsonObject) -> str:
    score = row.get("score")
    shown = f" ({score:.2f})" if isinstance(score, int | float) else ""
    return f"{_line(row['title'])}{shown}" if row.get("title") else shown


def _error(message: str) -> JsonObject:
    told = {"message": message, "traceback": "", "traceback_ansi": ""}
    return {"error": told} if message else {}


def _sample_id(run: Run) -> str:
    return run.begin.case or run.id


# As code: the viewer reads Markdown, and shops write what they like.


def _line(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False).replace('`', ' ')}`"


def _pretty(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=1).replace("```", "` ` `")
    return f"```json\n{text}\n```"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "system"


def _hash(header: Header, *names: str) -> str:
    text = "\n".join((header.made, *names))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:22]
