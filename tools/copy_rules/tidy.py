"""The formatter: small repairs that need no model, made before a copy is checked.

    Tidy()({"header": " Bread, milk,  and eggs. "})     # {"header": "Bread, milk & eggs"}

It stands for the formatter of arXiv 2504.10391: " and " to " & ", no serial comma, no mark at the end of
a copy of one sentence. Tidying twice changes nothing more, and it never makes a text longer in
characters; it may make one too short, so check after it.
"""

from __future__ import annotations

import unicodedata

import regex
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.tools.constraints import Copy

_AND = regex.compile(r"(?<=\s)and(?=\s)", regex.IGNORECASE)
# A comma before the last of a list: an earlier one stands in the same sentence.
_SERIAL = regex.compile(r"(?<=,[^,.!?;:]+),(?=\s+(?:&|and|or)\s)", regex.IGNORECASE)
_INNER_END = regex.compile(r"[.!?\u2026\u3002]\s+\S")
# sought from the end, so that marks in a row inside a text cost no time
_END = regex.compile(r"(?r)[\s.!,;:\u2026\u3002]+$")
_ABBREVIATION = regex.compile(r"\.\p{L}$")


class Tidy(BaseModel):
    """Which repairs are made; called with a copy, it returns the tidied one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    compose: bool = Field(default=True, description="letters and their marks as one (NFC)")
    blanks: bool = Field(default=True, description="one blank between words, none at the ends")
    ampersand: bool = Field(default=True, description='" and " becomes " & "')
    serial_comma: bool = Field(default=True, description="dropped in lists: a, b & c")
    last_mark: bool = Field(default=True, description="dropped after one sentence; ? stays")

    def __call__(self, copy: Copy) -> dict[str, str]:
        """The copy with each part tidied."""
        return {part: self._text(text) for part, text in copy.items()}

    def _text(self, text: str) -> str:
        if self.compose:
            text = unicodedata.normalize("NFC", text)
        if self.blanks:
            text = " ".join(text.split())
        if self.ampersand:
            text = _AND.sub("&", text)
        if self.serial_comma:
            text = _SERIAL.sub("", text)
        return _without_last_mark(text) if self.last_mark else text


def _without_last_mark(text: str) -> str:
    if _INNER_END.search(text):
        return text
    bare = _END.sub("", text)
    return bare + "." if _ABBREVIATION.search(bare) else bare
