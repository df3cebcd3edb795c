"""Which systems of a suite are asked for, as `--systems` says it.

named("GCN, blend", {"all": every}, every)      # ["GCN", "blend"]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.checks import quoted


def named(asked: str, groups: Mapping[str, Sequence[str]], known: Sequence[str]) -> list[str]:
    """Names of systems.

    Args:
        asked: the name of a group, or names with commas between.
        groups: name -> its systems.
        known: every system.

    Raises:
        SetupError: a name that is not known, or none.
    """
    if asked in groups:
        return list(groups[asked])
    names = [name.strip() for name in asked.split(",") if name.strip()]
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise SetupError(
            f"There is no system {wrong[0] if wrong else asked!r}; there are {', '.join(groups)}, "
            f"{quoted(known, most=len(known))}."
        )
    return names
