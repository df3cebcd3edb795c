"""Readable names for The Complete Journey, whose products have types but no names.

    FRZN ICE, ICE - CRUSHED/CUBED, 22 LB        -> Ice - crushed/cubed, 22 lb, national brand
    BREAD, BREAD:ITALIAN/FRENCH                 -> Bread: Italian/French, store brand
    BEEF, PRIMAL                                -> Beef: primal, national brand

The source cuts types at 30 characters: a last word that it cut, and a bracket that it left open, are
left out. A type that says nothing alone ("PREMIUM") gets its category in front.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

CUT_AT = 29  # 30 characters, one of which may have been a space at the end

# Each was checked against the types and categories in which it occurs; a short form with two
# readings there (RW, SV, W/, CRMD) stays as it is.
_LONG_FORMS = {
    "BEERALE": "beer/ale", "BEERALEMALT": "beer, ale and malt", "BEV": "beverage",
    "BKNGWARES": "bakeware", "BN": "beans", "BRD": "breaded", "BRKFST": "breakfast",
    "BTL": "bottle", "BTR": "butter", "CARB": "carbonated", "CATFD": "cat food",
    "CHIX": "chicken", "CHOC": "chocolate", "CHOCOCLATE": "chocolate", "CIG": "cigarette",
    "CILANTO": "cilantro", "CKE": "cake", "CKYS": "cookies", "CLEANG": "cleaning",
    "CND": "canned", "CNDY": "candy", "CNTRL": "control", "CONC": "concentrate",
    "COOKNG": "cooking", "CRBNTD": "carbonated", "CRKR": "crackers", "CRYSTL": "crystal",
    "DECAFFINATED": "decaffeinated", "DEOD": "deodorant", "DEPT": "department",
    "DISPOSIBLE": "disposable", "DNR": "dinner", "DNRS": "dinners", "DOGFD": "dog food",
    "DPS": "dips", "DRNK": "drink", "DRNKING": "drinking", "DRNKNG": "drinking",
    "DRNKS": "drinks", "DRSNG": "dressing", "FD": "food", "FDS": "food", "FEM": "feminine",
    "FLAV": "flavored", "FLVR": "flavored", "FLVRD": "flavored", "FRD": "fried", "FRE": "fresh",
    "FRZ": "frozen", "FRZN": "frozen", "GDS": "goods", "GRND": "ground",
    "HBC": "health and beauty", "HYGN": "hygiene", "IWS": "individually wrapped", "JCE": "juice",
    "LINAMENTS": "liniments", "LIQS": "liquids", "LOAVE": "loaf", "LOZNG": "lozenge",
    "MARIN": "marinade", "MEMORABLILIA": "memorabilia", "MISC": "miscellaneous", "MIXS": "mixes",
    "MLK": "milk", "MLT": "multi", "MNERAL": "mineral", "MNR": "mineral", "MNRL": "mineral",
    "MULT": "multi", "MX": "mix", "MXS": "mixes", "OJ": "orange juice", "PCKGD": "packaged",
    "PICKLD": "pickled", "PK": "pack", "PKG": "packaged", "PKGD": "packaged", "PKLD": "pickled",
    "PLSTC": "plastic", "PNCH": "punch", "PNT": "peanut", "PORTON": "portions", "PREM": "premium",
    "PREP": "prepared", "PREPORTND": "portioned", "PROTIEN": "protein", "PRPCK": "prepack",
    "PWDR": "powder", "PWDRS": "powders", "REFIGERATED": "refrigerated",
    "REFRGRATD": "refrigerated", "REFRIG": "refrigerated", "REG": "regular",
    "RTD": "ready to drink", "RTS": "ready to serve", "SAL": "salad", "SALD": "salad",
    "SAUS": "sausage", "SFT": "soft", "SGL": "single", "SHERBTS": "sherbets",
    "SHLFSH": "shellfish", "SMI": "semi", "SNDWCH": "sandwich", "SNGL": "single",
    "SNKS": "snacks", "SPECILATY": "specialty", "SPLY": "supplies", "SPRD": "spread",
    "SRV": "serve", "SS": "single serve", "STK": "stick", "SUP": "super", "SUPPPLIES": "supplies",
    "SW": "sweet", "SWEETNERS": "sweeteners", "SWT": "sweet", "SYRP": "syrup", "TISS": "tissues",
    "TORT": "tortilla", "TRSH": "trash", "VEG": "vegetable", "WHL": "whole", "WHLSM": "wholesome",
    "WT": "weight", "WTR": "water", "XMAS": "Christmas", "XPCTRNT": "expectorant",
}  # fmt: skip
_CUT_FORMS = {
    "BR": "bread", "CHOCOL": "chocolate", "CHOCOLA": "chocolate", "CHUNKS": "chunks",
    "CLEANE": "cleaners", "CONTAINR": "containers", "COOKI": "cookies", "EL": "electric",
    "HANDKE": "handkerchiefs", "MUSTAR": "mustard", "OCCAS": "occasion", "PLAIN": "plain",
    "PLATE": "plates", "SANDWIC": "sandwiches", "SWE": "sweetener", "SWEE": "sweetener",
    "WAT": "water", "WATE": "water",
}  # fmt: skip
_PHRASES = {
    "DRUG GM": "drugstore and general merchandise",
    "MEAT-PCKGD": "packaged meat",
    "SEAFOOD-PCKGD": "packaged seafood",
    "CNTRL/STORE SUP": "store supplies",
    "ELECT &PLUMBING": "electrical and plumbing",
    "GM MERCH EXP": "general merchandise",
    "PROD-WHS SALES": "produce warehouse sales",
    "CHARITABLE CONT": "charitable contributions",
    "MEXICAN SAUCESSALSAPICANTEE": "Mexican sauces, salsa and picante",
    "PLSTC CTLRYTBLCLTHSTTHPKSST": "plastic cutlery, tablecloths and toothpicks",
}
_PROPER = re.compile(
    r"\b(american|asian|australian|bbq|christmas|dvd|easter|english|french|halloween|hispanic|iqf|"
    r"italian|japanese|kosher|mexican|nz|oriental|spf|thai|tv|valentine|vienna)\b"
)
_UPPER = {"bbq", "dvd", "iqf", "nz", "spf", "tv"}
_VAGUE_WORDS = (
    "adult all angus better blends butts choice cooked cubed decor dry economy enhanced entrees "
    "external flats flavored for fresh fully garden included internal kits kosher lean links "
    "loaf mainstream meat meats microwave microwavable cups miscellaneous natural novelties other "
    "others oven pack pails pantry patties pints plus pork pre premium primal processed quarters "
    "quarts raw red regular ribs rolls seasonal select smoked soup special specialty standard stew "
    "sticks super traditional treats ultra value variety wings wrap you beef enrobed flank drums "
    "thighs iqf popular brushes furniture basic supplies cocktails party everyday"
)
_VAGUE = frozenset(_VAGUE_WORDS.split())
_ENDS = re.compile(r"[\s,&/:-]+$")
_CUT_ENDS = re.compile(r"(?:[\s,&/:-]|\b(?:and|or|with|w|in|non|no|ex|excp|except|under))+$")
_UNITS = {
    "ga": "gal",
    "dz": "dozen",
    "lt": "l",
    "ltr": "l",
    "btl": "bottle",
    "pkg": "pack",
    "pk": "pack",
}


def vocabulary(phrases: Iterable[str]) -> frozenset[str]:
    """The words that occur whole: those of phrases shorter than the source's limit."""
    short = (phrase for phrase in phrases if len(phrase) < CUT_AT)
    return frozenset(word for phrase in short for word in re.findall(r"\w+", phrase))


def readable(phrase: str, whole_words: Collection[str]) -> str:
    """A type, category or department in plain words, in lower case but for names.

    Args:
        phrase: as in the source: "FRZN SS PREMIUM ENTREES/DNRS/N".
        whole_words: see `vocabulary`; a last word that is not one of them was cut.
    """
    phrase = " ".join(phrase.split())
    if phrase in _PHRASES:
        return _PHRASES[phrase]
    left_open = phrase.rfind("(") > phrase.rfind(")")
    words = re.sub(r"\([^)]*\)?", " ", phrase)
    words = re.sub(r"\.(?!\d)", " ", words)
    last = re.search(r"\w+$", words)
    if last and len(phrase) >= CUT_AT and not left_open:
        whole = last[0] in _LONG_FORMS or (len(last[0]) > 2 and last[0] in whole_words)
        end = last[0] if whole else _CUT_FORMS.get(last[0], "")
        words = words[: last.start()] + end
        words = words if end else _CUT_ENDS.sub("", words.lower()).upper()
    words = re.sub(r"\w+", lambda word: _LONG_FORMS.get(word[0], word[0].lower()), words)
    words = re.sub(r"(?<=\w)[:,](?=\w)", lambda mark: f"{mark[0]} ", words)
    words = re.sub(r"(?<=\d)pk\b", "-pack", words)
    words = re.sub(r"\s*&\s*", " & ", words).replace(" s ", "'s ")
    words = _ENDS.sub("", " ".join(words.split()))
    return _PROPER.sub(lambda w: w[0].upper() if w[0] in _UPPER else w[0].capitalize(), words)


def readable_size(size: str | None) -> str:
    """`22 lb` of "22 LB", `8 oz` of "L      8 OZ"; "" where there is no amount.

    Numbers in brackets are left out: they count what a store orders, not what a customer buys.
    """
    customer = re.sub(r"^\(?\d+\)|/?\s*\(.*$", "", (size or "").strip())
    amount = re.search(r"\d[^*]*", customer)
    words = amount[0].lower() if amount else ""
    return " ".join(re.sub(r"[a-z]+", lambda word: _UNITS.get(word[0], word[0]), words).split())


def title(kind: str, category: str, size: str, brand: str) -> str:
    """A product's title from its readable parts, each of which may be "".

    Args:
        kind: the readable type; the category goes in front where it says nothing alone.
        category: the readable category; stands in for a missing type.
        size: the readable package size.
        brand: "store brand" or "national brand".
    """
    words = set(re.findall(r"[a-z]+", kind.lower()))
    vague = words <= _VAGUE and not words & set(re.findall(r"[a-z]+", category.lower()))
    parts = [part for part in (category, kind) if part] if vague else [kind]
    name = ": ".join(dict.fromkeys(parts)) or "unknown product"
    return ", ".join(part for part in (name[0].upper() + name[1:], size, brand) if part)
