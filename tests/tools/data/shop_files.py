"""A small shop on disk for the tests of `tabular`: its files, its mapping, and its faults."""

from pathlib import Path

import pytest
import yaml

from merchgraph.runtime.errors import DataError, MerchgraphError
from merchgraph.tools.data import tabular

ITEMS = "sku;name;path;cost\n007;Oat milk;Dairy.Milk;1,50\n8;Soap;;\n"
EVENTS = "who;when;what;did;paid\n1;2017-01-02 10:00:00;007;buy;1,50\n2;2017-01-02;8;look;\n"


def mapping(**events: object) -> dict[str, dict[str, object]]:
    return {
        "items": {
            "file": "items.csv",
            "separator": ";",
            "decimal": ",",
            "columns": {"item": "sku", "title": "name", "category": "path", "price": "cost"},
            "category_separator": ".",
        },
        "events": {
            "file": "events.csv",
            "separator": ";",
            "decimal": ",",
            "columns": {
                "user": "who",
                "time": "when",
                "item": "what",
                "behaviour": "did",
                "price": "paid",
            },
            "behaviours": {"buy": "purchase", "look": "view"},
            **events,
        },
    }


def write(
    folder: Path, form: dict[str, dict[str, object]], *, items: str = ITEMS, events: str = EVENTS
) -> Path:
    (folder / "items.csv").write_text(items)
    (folder / "events.csv").write_text(events)
    (folder / "mine.yaml").write_text(yaml.safe_dump(form))
    return folder / "mine.yaml"


def fault(path: Path, kind: type[MerchgraphError] = DataError) -> str:
    with pytest.raises(kind) as caught:
        tabular.load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")
