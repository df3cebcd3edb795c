"""Prompts are files: `prompts/<graph>/<step>.md` with `$placeholders`.

What the calls of one run share comes first in a prompt (role, shopper), and what varies comes last
(the item), so that a server's prefix cache hits. In a template a dollar sign is written `$$`.

Text of a shop (titles, reviews) is data, never an instruction: it passes through `fenced`, and the
system prompt says that nothing between the tags is to be obeyed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent
LIMIT = 240
"""Longest piece of shop text in a prompt, in characters."""
NO_TAGS = {ord("<"): "\u2039", ord(">"): "\u203a"}
JOINERS = "\u200c\u200d"
"""Invisible, yet part of the spelling of several scripts and of emoji."""


_noted: ContextVar[set[str] | None] = ContextVar("merchgraph_prompts", default=None)


@contextmanager
def noting() -> Iterator[set[str]]:
    """Note the files of the prompts that are filled inside the block, as "arag/nli.md"."""
    noted = _noted.get()
    if noted is not None:
        yield noted
        return
    token = _noted.set(noted := set())
    try:
        yield noted
    finally:
        _noted.reset(token)


def prompt(name: str, /, **values: object) -> str:
    """Fill the placeholders of `prompts/<name>.md`.

    Raises:
        KeyError: a placeholder has no value.
        ValueError: a value that the template does not use.
    """
    template, noted = _template(name), _noted.get()
    if noted is not None:
        noted.add(f"{name}.md")
    unused = values.keys() - set(template.get_identifiers())
    if unused:
        raise ValueError(f"prompts/{name}.md has no placeholder for {sorted(unused)}")
    return template.substitute(values).strip()


@cache
def _template(name: str) -> Template:
    return Template((FOLDER / f"{name}.md").read_text(encoding="utf-8"))


@lru_cache(maxsize=4096)
def fenced(text: str, limit: int = LIMIT) -> str:
    """One line of untrusted text that cannot leave the place it is put into.

    Control, format and line characters become spaces, angle brackets lose their meaning as tags, and
    everything past `limit` characters is cut off. Empty text becomes "(no text)".
    """
    # cut first: a hostile megabyte is not worth normalising
    plain = unicodedata.normalize("NFC", text[: limit * 4]).translate(NO_TAGS)
    line = "".join(
        c if c in JOINERS or unicodedata.category(c)[0] not in "CZ" else " " for c in plain
    )
    line = re.sub(r" {2,}", " ", line).strip()
    if len(line) > limit:
        line = line[: limit - 1].rstrip() + "…"
    return line or "(no text)"


def listed(texts: list[str], limit: int = LIMIT) -> str:
    """Untrusted texts as a list, one a line; "(none)" where there are none."""
    return "\n".join(f"- {fenced(text, limit)}" for text in texts) or "(none)"
