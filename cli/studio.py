"""`merchgraph studio`: a local LangGraph server with our graphs, for LangGraph Studio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from merchgraph.cli.plain import teller
from merchgraph.graphs.registry import GRAPHS
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import settings

AT_ONCE = 24
"""Runs that the server works on at once; left alone it takes one after the other."""


def config() -> dict[str, object]:
    """The contents of langgraph.json; the module form, since a file path would load types twice."""
    graphs = {
        name: {"path": f"{graph.module}:graph", "description": graph.about}
        for name, graph in GRAPHS.items()
    }
    whole: dict[str, object] = {"dependencies": ["."], "graphs": graphs}
    if settings().checkpoints is not None:  # else the server's own store, which is for development
        whole["checkpointer"] = {"path": "merchgraph.graphs.durable.checkpointer"}
    return whole


def environment() -> dict[str, str]:
    """The process environment with tracing and analytics off, unless it says otherwise."""
    quiet = {"LANGSMITH_TRACING": "false", "LANGGRAPH_CLI_NO_ANALYTICS": "1"}
    return quiet | os.environ


def command(folder: Path, port: int) -> list[str]:
    """Write langgraph.json into a folder and give the command that serves it.

    Raises:
        SetupError: the extra `studio` is not installed.
    """
    if find_spec("langgraph_cli") is None or find_spec("langgraph_api") is None:
        raise SetupError(
            "Studio needs the package langgraph-cli, which is not installed; "
            "run `pip install 'merchgraph[studio]'`."
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "langgraph.json").write_text(json.dumps(config(), indent=2))
    options = ["--no-browser", "--no-reload", "--host", "127.0.0.1", "--port", str(port)]
    options += ["--n-jobs-per-worker", str(AT_ONCE)]
    return [sys.executable, "-m", "langgraph_cli", "dev", *options]


def studio(
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 2024,
    skip_prepare: Annotated[
        bool, typer.Option("--skip-prepare", help="Do not read the default shop first.")
    ] = False,
) -> None:
    """Serve the graphs for LangGraph Studio, on this machine only; Ctrl-C stops it."""
    console = Console()
    folder = settings().cache_dir / "studio"
    serve = command(folder, port)
    if not skip_prepare:  # so that the first click does not wait for an index
        from merchgraph.cli.prepare import prepare_model, prepare_shop

        say = teller(console)
        prepare_shop("complete_journey", console, say)
        prepare_model(say)
    url = f"http://127.0.0.1:{port}"
    console.print(f"Open https://smith.langchain.com/studio/?baseUrl={url} in a browser.")
    raise typer.Exit(subprocess.run(serve, cwd=folder, env=environment(), check=False).returncode)
