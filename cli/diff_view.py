"""What the comparison of two traces looks like in a terminal: a summary, and one run word by word."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from merchgraph.cli.plain import plain
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.nearest import words_changed
from merchgraph.runtime.recorded import metrics_of, odds, ranking, reply, turns
from merchgraph.runtime.trace import CallLine, Run, Trace
from merchgraph.runtime.trace_diff import CallChange, Change, RunDiff, TraceDiff, usage

FIRST = 5
"""Places of a ranking whose items are compared as a set."""
MOST = 20
"""Rows that a list shows."""
LONGEST = 300
"""Characters of a value."""


def show_head(diff: TraceDiff, traces: Sequence[Trace], console: Console) -> None:
    """The two files, what recorded them, and the runs that only one of them has."""
    for name, trace in zip("AB", traces, strict=True):
        made = trace.headers[-1].made if trace.headers else ""
        told = f"{name}  {trace.path}  {many(len(trace.runs), 'run')}  {made}"
        console.print(plain(told.rstrip(), "bold"))
        for problem in trace.problems:
            console.print(plain(f"   {problem}", "yellow"))
    _changes("recorded with", diff.head, console)
    for name, ids in (("A", diff.only_a), ("B", diff.only_b)):
        if ids:
            more = f" and {len(ids) - MOST} more" if len(ids) > MOST else ""
            console.print()
            console.print(plain(f"Only in {name} ({len(ids)}): {', '.join(ids[:MOST])}{more}"))


def show_summary(diff: TraceDiff, console: Console) -> None:
    """What changed, over all runs."""
    console.print()
    console.print(_quality(diff))
    if any(run.a.calls or run.b.calls for run in diff.runs):
        console.print(_cost(diff))
    if not diff.changed:
        console.print(f"{many(len(diff.runs), 'run')} compared, none changed.")
        return
    if any(run.calls for run in diff.runs):
        console.print(_agents(diff.runs))
    console.print(f"Runs that changed: {len(diff.changed)} of {len(diff.runs)}", style="bold")
    for run in diff.changed[:MOST]:
        console.print(plain(f"  {run.id}: {', '.join(_counts(run))}"))
    if len(diff.changed) > MOST:
        console.print(f"  and {len(diff.changed) - MOST} more")
    console.print("--case ID shows one of them word by word.", style="dim")


def show_run(run: RunDiff, console: Console) -> None:
    """Everything that changed in one run."""
    console.print()
    console.print(plain(run.id, "bold"))
    if run.equal:
        console.print("  nothing changed")
    _changes("settings", run.settings, console)
    _changes("nodes", run.path, console)
    _changes("tools", run.tools, console)
    _calls(run.calls, console)
    _ranking(run, console)
    _changes("output", run.output, console)
    _changes("metrics", run.metrics, console)
    calls, tokens, seconds, cost = _costs([run])
    console.print(f"\n  calls {calls}, tokens {tokens}, seconds {seconds}, cost {cost}")


def _calls(calls: Sequence[CallChange], console: Console) -> None:
    """Call by call; of an agent's requests that changed and were answered as before, the first one."""
    before, quiet = "", Counter[str]()
    for call in calls:
        if call.request and not call.answer:
            quiet[call.agent] += 1
            if quiet[call.agent] > 1:
                continue
        site = f"{call.agent} {call.lane}".rstrip()
        if site != before:
            console.print()
            console.print(plain(f"  {site}", "cyan"))
        before = site
        for line in _call(call):
            console.print(_marked(f"    {line}"))
    more = [f"{count - 1} of {agent}" for agent, count in quiet.items() if count > 1]
    if more:
        console.print()
        console.print(plain(f"  requests that changed too, answered as before: {', '.join(more)}"))


def _quality(diff: TraceDiff) -> Table:
    names = list(dict.fromkeys(name for run in diff.runs for name in metrics_of(run.b)))
    heads = ("system", "runs", "changed", f"top {FIRST}", *names)
    table = _table(f"By system, A → B; top {FIRST}: items in both", heads)
    for system, runs in diff.systems().items():
        overlaps = [run.overlap(FIRST) for run in runs if ranking(run.a) or ranking(run.b)]
        table.add_row(
            plain(system),
            f"{len(runs):,}",
            f"{sum(not run.equal for run in runs):,}",
            f"{sum(overlaps) / len(overlaps):.0%}" if overlaps else "-",
            *(_arrow(_mean(runs, "a", name), _mean(runs, "b", name)) for name in names),
        )
    return table


def _cost(diff: TraceDiff) -> Table:
    table = _table("Model calls, A → B", ("system", "calls", "tokens", "seconds", "cost"))
    for system, runs in diff.systems().items():
        if any(run.a.calls or run.b.calls for run in runs):
            table.add_row(plain(system), *_costs(runs))
    return table


def _table(title: str, heads: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(heads[0], overflow="fold", min_width=12)
    for head in heads[1:]:
        table.add_column(plain(head), justify="right", overflow="fold")
    return table


def _agents(runs: Sequence[RunDiff]) -> Table:
    heads = ("agent", "request", "answer", "only in A", "only in B")
    table = _table("Model calls that changed", heads)
    calls = [call for run in runs for call in run.calls]
    for agent in dict.fromkeys(call.agent for call in calls):
        mine = [call for call in calls if call.agent == agent]
        both = [call for call in mine if call.a and call.b]
        table.add_row(
            plain(agent),
            str(sum(call.request for call in both)),
            str(sum(call.answer for call in both)),
            str(sum(call.b is None for call in mine)),
            str(sum(call.a is None for call in mine)),
        )
    return table


def _counts(run: RunDiff) -> Iterator[str]:
    """What changed in a run, in a few words each."""
    both = [call for call in run.calls if call.a and call.b]
    found = {
        "settings": len(run.settings),
        "nodes": len(run.path),
        "tools": len(run.tools),
        "requests": sum(call.request for call in both),
        "answers": sum(call.answer for call in both),
        "calls on one side": len(run.calls) - len(both),
        "places": len(run.moves),
        "values of the output": len(run.output),
    }
    yield from (f"{name} {count}" for name, count in found.items() if count)
    yield from (f"{change.where} {_arrow(change.a, change.b)}" for change in run.metrics)


def _call(call: CallChange) -> Iterator[str]:
    if call.a is None or call.b is None:
        side, only = ("A", call.a) if call.a else ("B", call.b)
        assert only is not None, "a pair has one side at least"
        asked = turns(only)[-1].content if turns(only) else ""
        yield f"only in {side}: {_short(asked)} → {_short(_told(only))}"
        return
    if call.request:
        yield from _asked(call.a, call.b)
    if call.answer:
        before, after = _told(call.a), _told(call.b)
        if before != after:
            yield f"answer: {words_changed(before, after)}"
        for label, now in odds(call.b).items():
            was = odds(call.a).get(label)
            if was != now:
                yield f"{label}: {_arrow(was, now)}"


def _asked(a: CallLine, b: CallLine) -> Iterator[str]:
    before, after = turns(a), turns(b)
    for number in range(max(len(before), len(after))):
        was = before[number] if number < len(before) else None
        now = after[number] if number < len(after) else None
        role = (now or was or before[0]).role
        if was is None or now is None:
            side, text = ("B", now) if was is None else ("A", was)
            yield f"message {number + 1} ({role}), only in {side}: {_short(text.content if text else '')}"
        elif was != now:
            yield f"message {number + 1} ({role}): {words_changed(was.content, now.content)}"
    for name in dict.fromkeys([*a.request, *b.request]):
        was_value, now_value = a.request.get(name), b.request.get(name)
        if name != "messages" and was_value != now_value:
            yield f"{name}: {words_changed(_text(was_value), _text(now_value))}"


def _ranking(run: RunDiff, console: Console) -> None:
    if not run.moves:
        return
    console.print(
        f"\n  ranking, {run.overlap(FIRST):.0%} of the first {FIRST} in both", style="cyan"
    )
    for move in run.moves[:MOST]:
        console.print(plain(f"    {_arrow(move.a, move.b)}  {move.item}"))
    if len(run.moves) > MOST:
        console.print(f"    and {len(run.moves) - MOST} more places")


def _changes(title: str, found: Sequence[Change], console: Console) -> None:
    if not found:
        return
    console.print(f"\n  {title}", style="cyan")
    for change in found[:MOST]:
        console.print(_marked(f"    {change.where}: {_shown(change.a, change.b)}"))
    if len(found) > MOST:
        console.print(f"    and {len(found) - MOST} more")


def _shown(a: Any, b: Any) -> str:
    if isinstance(a, str) and isinstance(b, str) and " " in a and " " in b:
        return words_changed(a, b)
    return _arrow(a, b) if _text(a) != _text(b) else f"{a!r} → {b!r}"


def _marked(text: str) -> Text:
    """What is gone in red, what is new in green; the marks say it where there are no colours."""
    shown = plain(text)
    shown.highlight_regex(r"\[-.*?-\]", "red")
    shown.highlight_regex(r"\{\+.*?\+\}", "green")
    return shown


def _costs(runs: Sequence[RunDiff]) -> list[str]:
    a, b = usage(run.a for run in runs), usage(run.b for run in runs)
    return [
        _arrow(a.calls, b.calls),
        _arrow(_tokens(a), _tokens(b)),
        _arrow(_seconds(run.a for run in runs), _seconds(run.b for run in runs)),
        _arrow(_dollars(a), _dollars(b)),
    ]


def _tokens(used: Usage) -> int:
    return used.prompt_tokens + used.completion_tokens


def _seconds(runs: Iterable[Run]) -> str:
    return f"{sum(run.end.seconds for run in runs):.1f}"


def _dollars(used: Usage) -> str:
    return "-" if used.cost_usd is None else f"${used.cost_usd:.4f}"


def _mean(runs: Sequence[RunDiff], side: str, metric: str) -> str:
    """Three places, no zero before the point."""
    found = [metrics_of(getattr(run, side)).get(metric) for run in runs]
    values = [value for value in found if value is not None]
    return f"{sum(values) / len(values):.3f}".removeprefix("0") if values else "-"


def _arrow(a: Any, b: Any) -> str:
    """Both values, or the one where they are the same."""
    was, now = _text(a), _text(b)
    return now if was == now else f"{_short(was)} → {_short(now)}"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return value if value and isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _told(call: CallLine) -> str:
    if call.fault:
        return f"{call.fault.type}: {call.fault.message}"
    said = reply(call)
    cut = f" ({said.finish_reason})" if said.finish_reason not in ("", "stop") else ""
    return said.text + cut


def many(number: int, what: str) -> str:
    """A count with its noun, which takes an s."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
