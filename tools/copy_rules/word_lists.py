"""English words that rules know by themselves; forms of a word need not be listed.

`CLAIMS` promise something that a shop must be able to prove. `NUMBERS` are written out numbers ("one"
is left out, since it mostly counts nothing). `FUNCTION` words carry no content of their own.
"""

from __future__ import annotations

CLAIMS = (
    "absolutely", "all natural", "authentic", "award", "bargain", "best", "biggest", "certified",
    "cheap", "cheaper", "cheapest", "clinically", "complimentary", "cure", "deal", "discount",
    "double", "easiest", "exclusive", "fastest", "finest", "free", "freshest", "gift", "greatest",
    "guarantee", "half", "heal", "healthier", "healthiest", "healthy", "highest", "instant",
    "largest", "last chance", "leading", "limited", "lowest", "miracle", "most popular", "natural",
    "never", "no risk", "now only", "number one", "nutritious", "official", "organic", "perfect",
    "premium", "prize", "proven", "pure", "quickest", "recommended", "refund", "rewards", "safe",
    "safest", "sale", "save", "superior", "tastiest", "today only", "top rated", "trial", "triple",
    "twice", "ultimate", "unbeatable", "unlimited", "vet approved", "warranty", "while stocks last",
    "winner", "world class",
)  # fmt: skip
_SMALL_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
NUMBERS = {
    **{word: str(value) for value, word in enumerate(_SMALL_NUMBERS.split()) if value != 1},
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80",
    "ninety": "90", "hundred": "100", "thousand": "1000", "million": "1000000", "dozen": "12",
}  # fmt: skip
_FUNCTION = (
    "a about above after again all also always an and another any are around as at back be because "
    "been before being below between both but by can could did do does down during each either "
    "else enough ever every few for from get gets go goes had has have he her here hers him his "
    "how i if in inside into is it its itself just keep less let like little lot made make makes "
    "many may me might mine more most much must my near need needs new next no nor not now of off "
    "often on once one only onto or other our ours out outside over own per put same see shall she "
    "should since so some still such take takes than that the their theirs them then there these "
    "they this those through till to together too toward under until up upon us use very via was "
    "we were what when where which while who whose why will with within without would yes yet you "
    "your yours yourself"
)
FUNCTION = frozenset(_FUNCTION.split())
