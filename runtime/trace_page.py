"""A trace as one HTML page that needs nothing but itself: no network, no other file.

The page holds its data once, as JSON (`page_data.py`), and draws what is looked at (`page/*.js`). Texts
of shops and models cannot become markup: in the JSON no `<` is left, the scripts make text nodes only,
and the page's policy allows no script but its own and no request to anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path, PurePath

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.page_data import page_data
from merchgraph.runtime.trace import Trace

FOLDER = Path(__file__).parent / "page"
SCRIPTS = ("dom", "data", "picture", "calls", "output", "page")


def trace_page(trace: Trace) -> str:
    """The page, to be written as UTF-8.

    Raises:
        SetupError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader
        from markupsafe import Markup
    except ModuleNotFoundError as error:
        raise SetupError(
            f"The page of a trace needs the package {error.name}: pip install 'merchgraph[bench]'."
        ) from error
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True)
    data = json.dumps(page_data(trace), separators=(",", ":"), allow_nan=False)
    script = "\n".join(_part(f"{name}.js") for name in SCRIPTS)
    page = environment.get_template("page.html.j2").render(
        title=PurePath(trace.path).name or "trace",
        runs=len(trace.runs),
        style=Markup(_part("page.css")),
        script=Markup(script),
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=Markup(_no_markup(data)),
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # a path may hold half a character


def _no_markup(data: str) -> str:
    """The same JSON without what ends a script or begins a comment."""
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
