"""What a recording depends on: the versions of packages, and the prompts."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("merchgraph", "langgraph", "langchain-core", "langchain-openai", "openai", "xllamacpp")
PROMPTS = Path(__file__).resolve().parent.parent / "prompts"


def versions() -> dict[str, str]:
    """Package -> version, Python's too; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def prompt_hashes() -> dict[str, str]:
    """Prompt file, such as "arag/nli.md" -> a hash of its text."""
    files = sorted(PROMPTS.rglob("*.md"))
    return {
        file.relative_to(PROMPTS).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        for file in files
    }


def changed_prompts(recorded: Mapping[str, str], used: Collection[str] = ()) -> list[str]:
    """Prompt files whose text is not the recorded one; new files are none of them.

    Args:
        recorded: file -> hash of its text.
        used: the files that count; all of them if empty.
    """
    now = prompt_hashes()
    return [
        file
        for file, was in recorded.items()
        if now.get(file) != was and (not used or file in used)
    ]
