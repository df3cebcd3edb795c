"""Shops by name: the one place where a name in a context or on the command line becomes a `Shop`.

    shop("complete_journey")     shop("online_retail")     shop("shops/mine.yaml")

A shop is loaded once per process; a mapping file that is changed later is not read again.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from merchgraph.runtime.errors import SetupError

if TYPE_CHECKING:
    from merchgraph.tools.data.tables import Shop

BUILT_IN = ("complete_journey", "online_retail")
DEFAULT = BUILT_IN[0]
MAPPING = (".yaml", ".yml")

_shops: dict[str, Shop] = {}
_loading = threading.Lock()


def shop(name: str = DEFAULT) -> Shop:
    """The shop of that name, the same object at every call.

    Args:
        name: "complete_journey", "online_retail", or the path of a mapping file (.yaml; see `tabular`).

    Raises:
        SetupError: there is no such shop or file, its package is missing, or its data is faulty.
    """
    key = name if name in BUILT_IN else _path(name)
    with _loading:
        if key not in _shops:
            _shops[key] = _load(key)
        return _shops[key]


def _load(key: str) -> Shop:
    # polars takes a tenth of a second to import, which a command that needs no shop should not pay
    if key == DEFAULT:
        from merchgraph.tools.data import complete_journey

        return complete_journey.load()
    if key == "online_retail":
        from merchgraph.tools.data import online_retail

        return online_retail.load()
    from merchgraph.tools.data import tabular

    return tabular.load(Path(key))


def _path(name: str) -> str:
    """The absolute path of a mapping file that is there."""
    from merchgraph.tools.data.checks import nearest, quoted

    try:
        path = Path(name).expanduser()
        if path.suffix in MAPPING and path.is_file():
            return str(path.resolve())
        folder = path.parent if path.suffix in MAPPING else Path()
        files = sorted(str(file) for ending in MAPPING for file in folder.glob(f"*{ending}"))
    except (OSError, RuntimeError, ValueError):  # too long, ~nobody, a zero byte: no path at all
        files = []
    known = [*BUILT_IN, *files]
    close = nearest(name, known)
    hint = f"did you mean {close!r}?" if close else "give one of those or a mapping file (.yaml)."
    raise SetupError(f"The shop {name!r} is not known (there are {quoted(known)}); {hint}")
