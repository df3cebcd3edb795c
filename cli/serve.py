"""`merchgraph serve MODEL`: a vLLM server with the flags that our graphs rely on."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from merchgraph.cli.plain import plain
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.vllm import Serve, command, started

ENDED = 1


def serve(
    model: Annotated[str, typer.Argument(help="A model's name on a hub, or a folder of one.")],
    adapter: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER of a LoRA adapter, served as vllm/NAME. Repeatable."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    wait: Annotated[
        float, typer.Option(min=1, help="Seconds until the model must have loaded.")
    ] = 1800,
    vllm: Annotated[str, typer.Option(help="The vllm to start, if not this environment's.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the command and start nothing.")
    ] = False,
    more: Annotated[
        list[str] | None, typer.Argument(help="After --, arguments of `vllm serve` as they are.")
    ] = None,
) -> None:
    """Start vLLM with the flags that our graphs rely on, and say how to use it; Ctrl-C stops it."""
    asked = Serve(model, adapters(adapter or []), host, port, more or [], vllm, wait)
    console = Console()
    if dry_run:
        from shlex import join

        console.print(plain(join(command(asked))), soft_wrap=True)
        return
    signal.signal(signal.SIGTERM, _interrupted)  # a supervisor's way of Ctrl-C
    with started(asked, lambda line: console.print(plain(line, "dim"), soft_wrap=True)) as process:
        console.print(_told(asked), soft_wrap=True)
        code = process.wait()
    console.print(plain(f"vLLM ended with code {code}."))
    raise typer.Exit(ENDED)


def adapters(pairs: list[str]) -> dict[str, Path]:
    """NAME=FOLDER pairs.

    Raises:
        SetupError: a pair without a name or a folder, or a name given twice.
    """
    found: dict[str, Path] = {}
    for pair in pairs:
        name, _, folder = pair.partition("=")
        if not name or not folder:
            raise SetupError(f"--adapter got {pair!r}; expected NAME=FOLDER, for example tmf=out/.")
        if name in found:
            raise SetupError(f"--adapter names {name!r} twice; give each adapter its own name.")
        found[name] = Path(folder).expanduser()
    return found


def _told(asked: Serve) -> Text:
    names = [asked.name, *asked.adapters]
    lines = [f"export MERCHGRAPH_VLLM_BASE_URL={asked.base_url}"]
    lines += [f"merchgraph run arag --user 208 --model vllm/{name}" for name in names]
    told = Text("\nIt answers. In another shell:\n\n", "bold")
    return told.append("\n".join(f"    {line}" for line in lines) + "\n", "not bold")


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
