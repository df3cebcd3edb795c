"""Answers of one run that other runs of the file may be served, kept small.

A long evaluation has a hundred thousand of them, and as objects they would fill the memory: they are
packed, and unpacked when asked for.
"""

from __future__ import annotations

import zlib

from merchgraph.runtime.tape import Answer, Place
from merchgraph.runtime.trace import CallLine, JsonObject, Run, ToolLine

UNSHARED = ("clock", "seed")


class Shared:
    """What is sure to be answered the same again: at temperature 0, with a seed, and by tools."""

    def __init__(self) -> None:
        self._packed: dict[Place, tuple[type[CallLine] | type[ToolLine], bytes]] = {}

    def offer(self, run: Run) -> None:
        """Take in the answers of a run that stands in the file; the first answer to a request stays."""
        lines: list[Answer] = [*run.calls, *run.tools]
        for line in lines:
            place = Place(line.key, line.lane, line.occurrence)
            if place not in self._packed and _sure(line):
                origin = line.model_copy(update={"same_as": line.same_as or run.id})
                packed = zlib.compress(origin.model_dump_json(exclude_defaults=True).encode(), 1)
                self._packed[place] = type(line), packed

    def get(self, place: Place) -> Answer | None:
        """The answer at a place, None where there is none."""
        kind, packed = self._packed.get(place, (CallLine, b""))
        return kind.model_validate_json(zlib.decompress(packed)) if packed else None


def _sure(line: Answer) -> bool:
    if line.fault:
        return False
    if isinstance(line, CallLine):
        options: JsonObject = line.request.get("options", {})
        # a sample is as good the second time, and the same one where the seed is the same
        return options.get("temperature") in (0, 0.0) or options.get("seed") is not None
    return line.name not in UNSHARED
