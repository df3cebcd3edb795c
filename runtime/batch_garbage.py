"""Python's garbage collector in a process that makes millions of small objects.

By default it looks for cycles after every 700 new objects, and among all objects again and again: half of
the time that a run of ARAG takes (1.2 ms of CPU a call with it, 0.6 ms without).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_AT = (20_000, 20, 20)
"""New objects between two rounds, some ms of work; rounds until older ones are looked at too.

With 200,000 a round takes up to .3 s, and every request that is answered meanwhile waits for it.
"""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for cycles seldom, and never among what was there before."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*COLLECT_AT)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
