"""The calls and tools of a run in a terminal: who asked what, and what came back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from merchgraph.runtime.page_data import token_odds
from merchgraph.runtime.recorded import CHANCE, reply, turns
from merchgraph.runtime.trace import CallLine, Run, ToolLine

PROMPT_END, REPLY_START = 110, 160
MARGIN = (0, 0, 0, 2)


@dataclass(frozen=True)
class CallsText:
    """What there is to print of calls; the attributes are those of `TraceText`."""

    plain: Callable[[str, str], Text]
    full: bool

    def of(self, run: Run) -> Iterator[RenderableType]:
        """What a run asked, by node and lane."""
        places: dict[str, dict[str, list[CallLine | ToolLine]]] = {}
        tools = [tool for tool in run.tools if tool.name not in CHANCE]
        lines: list[CallLine | ToolLine] = [*tools, *run.calls]
        for line in lines:
            places.setdefault(line.node, {}).setdefault(line.lane, []).append(line)
        for node, lanes in places.items():
            yield Text.assemble("\n", self.plain(node or "outside of all nodes", "bold"))
            for lane, asked in lanes.items():
                if lane:
                    yield Padding(self.plain(lane, "cyan"), MARGIN)
                for line in asked:
                    shown = self._tool(line) if isinstance(line, ToolLine) else self._call(line)
                    yield Padding(Group(*shown), (0, 0, 0, 4 if lane else 2))

    def _tool(self, tool: ToolLine) -> Iterator[RenderableType]:
        yield Text.assemble(self.plain(tool.name, "green"), Text(f"  {tool.seconds:.2f} s", "dim"))
        said = tool.fault.message if tool.fault else json.dumps(tool.value, ensure_ascii=False)
        yield from self.said(said, "red" if tool.fault else "")

    def _call(self, call: CallLine) -> Iterator[RenderableType]:
        used = call.call
        figures = [] if used is None else [
            f"{used.prompt_tokens:,} tokens ({used.cached_tokens:,} cached) to "
            f"{used.completion_tokens:,}, {used.seconds:.2f} s",
            "repair" if used.repair else "", f"{used.tries} tries" if used.tries > 1 else "",
        ]  # fmt: skip
        figures.append(f"as in {call.same_as}" if call.same_as else "")
        told = ", ".join(figure for figure in figures if figure)
        yield Text.assemble(self.plain(call.agent, "green"), "  ", self.plain(told, "dim"))
        yield from self._prompt(call)
        if call.fault:
            yield from self.said(f"{call.fault.type}: {call.fault.message}", "red")
        elif odds := token_odds(call):
            yield self.plain(
                "> " + "  ".join(f"{token.strip()} {p:.2f}" for token, p in odds[:4]), ""
            )
        else:
            yield from self.said(reply(call).text, "")

    def _prompt(self, call: CallLine) -> Iterator[RenderableType]:
        asked = turns(call)
        if self.full:
            for turn in asked:
                yield self.plain(f"[{turn.role}]", "dim")
                yield self._lines(turn.content, "dim")
        elif asked:
            yield self.plain(_end(asked[-1].content), "dim")

    def said(self, text: str, style: str) -> Iterator[RenderableType]:
        """An answer, whole or its beginning."""
        if self.full:
            yield self.plain("[answer]", "dim")
            yield self._lines(text, style)
        else:
            cut = " ..." if len(text) > REPLY_START else ""
            yield self.plain(f"> {text[:REPLY_START]}{cut}", style)

    def _lines(self, text: str, style: str) -> Text:
        return Text("\n").join(self.plain(line, style) for line in text.splitlines())


def _end(text: str) -> str:
    """The last lines of a prompt, where it says what it is about."""
    lines = text.strip().splitlines()
    kept: list[str] = []
    while lines and sum(map(len, [*kept, lines[-1]])) <= PROMPT_END:
        kept.insert(0, lines.pop())
    if not kept:
        return f"... {text.strip()[-PROMPT_END:]}"
    return " ".join(["...", *kept] if lines else kept)
