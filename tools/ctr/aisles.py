"""The aisles of a grocery shop: a fixed map by keywords from departments and categories to 27 names.

    aisle_of("Grocery", "Frozen pizza")  -> "frozen food"
    aisle_of("Pastry", "Cookies")        -> "bakery"

Rules are tried from the top, whole departments first, and the first one wins, so that a word stands
before a more general one ("coffee filters" are household goods, "coffee" goes with breakfast). Written
by hand for The Complete Journey, without a look at who bought what.
"""

from __future__ import annotations

import re
from functools import cache

OTHER = "general merchandise"

_DEPARTMENTS: tuple[tuple[str, str], ...] = (
    ("deli", r"^(deli|salad bar|restaurant)$"),
    ("bakery", r"^pastry$"),
    ("natural foods", r"^nutrition$"),
    ("seafood", r"seafood"),
    ("fresh meat", r"^meat$"),
    ("packaged meat", r"^packaged meat$"),
    ("alcohol", r"^spirits$"),
    ("health and beauty", r"^cosmetics$"),
)
_CATEGORIES: tuple[tuple[str, str], ...] = (
    ("baby", r"\b(baby|infant|diapers)"),
    ("pets", r"\b(cat|dog|pet|bird)\b"),
    ("alcohol", r"\b(beers|wine|liquor)"),
    ("ice cream and frozen desserts", r"ice cream|novelties|frozen pie"),
    ("frozen food", r"\bfrozen\b"),
    ("cheese", r"\bcheese"),
    ("dairy",
     r"fluid milk|\beggs|yogurt|butter$|margarine|milk by-products|\bdairy|refrigerated dough"),
    ("bakery", r"^baked bread|baked sweet goods"),
    ("snacks and crackers", r"(bag|warehouse) snacks|snack nuts|crackers|popcorn|\bnuts\b"),
    ("candy and cookies", r"candy|cookies"),
    ("soft drinks and water", r"soft drinks|^water|isotonic|new age"),
    ("household", r"coffee filters|tissue|towels|paper housewares|wraps|clean|laundry|detergent|"
     r"bleach|\bair care|brooms|foilware|ironing|insecticides|charcoal|candles"),
    ("juice", r"juice|drink mix"),
    ("breakfast and coffee", r"cereal|breakfast|pancake|coffee|teas\b|cocoa"),
    ("canned food and soup", r"soup|shelf stable|beans - canned"),
    ("pasta, rice and dinners", r"pasta|dinner mixes|dry beans|hispanic"),
    ("sauces and dressings", r"condiments|dressing|pickle|olives|sauces|peanut butter"),
    ("baking", r"baking|spices|shortening|sugars|flour|canned milk|dry mix|syrup|restricted diet"),
    ("health and beauty", r"hair|oral|soap|cold and flu|feminine|deodor|analgesic|shaving|body|"
     r"first aid|vitamin|dietary|antacid|laxative|allergy|eye and ear|foot care|suntan|personal|"
     r"family planning|incontinence|health|pharmacy"),
)  # fmt: skip
_PRODUCE = r"^(produce|chef shoppe|frozen grocery|produce warehouse sales)$"
_FRUIT = r"fruit$|apples|citrus|berries|grapes|melons|pears|pineapple"
FRUIT, VEGETABLES = "fruit", "vegetables"


def aisles() -> tuple[str, ...]:
    """All names once, fresh food first."""
    named = (name for name, _ in (*_DEPARTMENTS, *_CATEGORIES))
    return tuple(dict.fromkeys((FRUIT, VEGETABLES, *named, OTHER)))


@cache
def aisle_of(department: str, category: str) -> str:
    """The aisle of a category; `general merchandise` where no rule knows it."""
    department, category = department.lower(), category.lower()
    if re.search(_PRODUCE, department):
        # popcorn and nuts lie among the vegetables of this shop
        if re.search(r"popcorn|^nuts$", category):
            return "snacks and crackers"
        return FRUIT if re.search(_FRUIT, category) else VEGETABLES
    rules = ((_DEPARTMENTS, department), (_CATEGORIES, category))
    for listed, text in rules:
        for name, words in listed:
            if re.search(words, text):
                return name
    return OTHER
