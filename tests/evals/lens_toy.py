"""The lens suite on a toy shop: a dozen households that come each week, fourteen kinds of goods."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

HOUSEHOLDS, WEEKS, ITEMS = 12, 40, 24
MONDAY = datetime(2026, 1, 5, 10)
MAPPING = """\
name: toy
items: {file: items.csv, columns: {item: id, title: name, category: path}}
events:
  file: events.csv
  columns: {user: u, session: s, time: t, item: id}
  constants: {behaviour: purchase}
"""


def toy_shop(folder: Path) -> str:
    """The mapping file: each household buys three kinds a week, of twelve kinds of its own."""
    items = [f"i{n},Brand {n},Food > Kind {chr(65 + n)}" for n in range(ITEMS)]
    events = []
    for house in range(HOUSEHOLDS):
        for week in range(WEEKS):
            time = MONDAY + timedelta(weeks=week, hours=house)
            for step in range(3):
                item = (house + (week * (step + 1)) % 12) % ITEMS
                events.append(f"h{house},h{house}/{week},{time.isoformat()},i{item}")
    (folder / "items.csv").write_text("\n".join(["id,name,path", *items]) + "\n")
    (folder / "events.csv").write_text("\n".join(["u,s,t,id", *dict.fromkeys(events)]) + "\n")
    mapping = folder / "toy.yaml"
    mapping.write_text(MAPPING)
    return str(mapping)
