"""The CARTS suite on a toy shop: 96 items of eight departments, and a script for every agent."""

import json
import random
import re
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage

from merchgraph.agents.feature_extractor import Extraction, Said
from merchgraph.evals.suites.carts import Carts, Params
from merchgraph.runtime.scripted import Always, Answer, Replies

SHELVES = {
    "Drinks": ["Tea", "Coffee", "Juice", "Beer"], "Bakery": ["Bread", "Cake", "Muffin", "Bagel"],
    "Dairy": ["Milk", "Butter", "Yogurt", "Cheddar"], "Pantry": ["Rice", "Pasta", "Lentil", "Flour"],
    "Garden": ["Shovel", "Hose", "Seed", "Planter"], "Bath": ["Soap", "Towel", "Sponge", "Razor"],
    "Office": ["Pencil", "Stapler", "Folder", "Envelope"], "Toys": ["Puzzle", "Kite", "Robot", "Doll"],
}  # fmt: skip
STYLES = ("Green", "Classic", "Family")
BASKETS = 400
MAPPING = """\
name: toy
items:
  file: items.csv
  columns: {item: id, title: name, category: path}
events:
  file: events.csv
  columns: {user: u, session: s, time: t, item: id, price: p}
  constants: {behaviour: purchase}
"""


def toy_shop(folder: Path) -> str:
    """The mapping file of the shop; items of a department are bought together."""
    items = [
        (f"{shelf[:3]}{noun[:3]}{style[0]}".lower(), f"{style} {noun.lower()}",
         f"{shelf} > {noun} goods > {style} {noun.lower()}")
        for shelf, nouns in SHELVES.items() for noun in nouns for style in STYLES
    ]  # fmt: skip
    dice, rows = random.Random(0), []
    for basket in range(BASKETS):
        shelf = items[basket % 8 * 12 : basket % 8 * 12 + 12]
        time = datetime(2026, 1, 1) + timedelta(hours=basket)
        rows += [f"u{basket % 40},s{basket},{time.isoformat()},{item},2.5"
                 for item, _, _ in dice.sample(shelf, 5)]  # fmt: skip
    table = [f"{item},{name},{path}" for item, name, path in items]
    (folder / "items.csv").write_text("\n".join(["id,name,path", *table]) + "\n")
    (folder / "events.csv").write_text("\n".join(["u,s,t,id,p", *rows]) + "\n")
    mapping = folder / "toy.yaml"
    mapping.write_text(MAPPING)
    return str(mapping)


def _last(messages: Sequence[BaseMessage]) -> str:
    return str(messages[-1].content)


def _chance(text: str) -> float:
    return zlib.crc32(text.encode()) % 97 / 100 + 0.01


def _nouns(text: str) -> list[str]:
    """What goods a prompt speaks of, each once."""
    every = [noun for nouns in SHELVES.values() for noun in nouns]
    return [noun for noun in every if re.search(rf"\b{noun}\b", text, flags=re.IGNORECASE)]


def extracted(messages: Sequence[BaseMessage]) -> Answer:
    """The goods and the style of a product, and a lie."""
    found = re.search(r"^Title: (\w+) (\w+)", _last(messages), flags=re.MULTILINE)
    style, noun = found.groups() if found else ("", "")
    said = [Said(quote=text, feature=text, kind="attribute", salience="high")
            for text in (noun, style, "silk")]  # fmt: skip
    return Extraction(product_type=noun, features=said)


def drafted(messages: Sequence[BaseMessage]) -> Answer:
    nouns = [*_nouns(_last(messages)), "Silk"]
    return json.dumps({"titles": [f"Find our {noun.lower()} here" for noun in nouns[:3]]})


def titled(messages: Sequence[BaseMessage]) -> Answer:
    nouns = [*_nouns(_last(messages)), "Things"]
    return json.dumps({"reasoning": "hm", "title": f"{nouns[0]} and {nouns[-1]} for you"})


def revised(messages: Sequence[BaseMessage]) -> Answer:
    nouns = _nouns(_last(messages).split("What is wrong")[-1]) or ["Goods"]
    return json.dumps({"title": f"{' & '.join(nouns[:3])} for you"})


def judged(messages: Sequence[BaseMessage]) -> Answer:
    share = _chance(_last(messages))
    return {"Yes": share, "No": 1 - share}


def arbitrated(messages: Sequence[BaseMessage]) -> Answer:
    labels = re.findall(r"^([A-J])\. ", _last(messages), flags=re.MULTILINE)
    odds = {label: _chance(label + _last(messages)) for label in labels}
    whole = sum(odds.values())
    return {label: share / whole for label, share in odds.items()}


REPLIES: Replies = {
    "extract": Always(extracted),
    "draft": Always(drafted),
    "relevance": Always(judged),
    "refine": Always(revised),
    "arbitrate": Always(arbitrated),
    "reason": Always(titled),
    "criticise": Always(json.dumps({"faults": ["It does not name Bread."]})),
}


def suite(data: str, model: str, **params: Any) -> Carts:
    """The suite with small modules."""
    small = {"count": 2, "size": 3, "drafts": 2, "rounds": 1}
    return Carts(Params(data=data, model=model, **{**small, **params}))
