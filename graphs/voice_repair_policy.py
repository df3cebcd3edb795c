"""When a repair is due, and which: decisions in code, from p(error) and costs alone.

Leaving an error costs `cost_ratio`, a repair without one costs 1, all else nothing: a repair is the
cheaper choice where p > 1 / (1 + cost_ratio). "My Bad!" (CSCW 2021) found that a repair without an error
lowers what people think of the assistant less than a repair after one raises it, so the ratio is above 1;
its value is the user's to choose, and the default of 2 is ours.

To wait costs nothing here, and more of a face tells more, so that the costs are compared at the end of
the window; a repair that acts at the first moment above the threshold errs more often. Where an error is
very likely (`early`) it does not wait. Near the threshold, or with too little of a face, nothing is
decided, and one more window is watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import fmean

from merchgraph.agents.repairer import Kind
from merchgraph.graphs.voice_repair_lines import usable
from merchgraph.graphs.voice_repair_state import Context, Decision, Look, Repair, Seen, Turn

GAP_S = 0.5
"""A window is counted in pieces of this length; a longer gap begins the wait for a repair anew."""
LADDER: tuple[Kind, ...] = ("offer options", "ask again", "rephrase")
"""From the repair that costs the person least: choosing is easier than saying all again."""


def decided(look: Look, turn: Turn, readings: Sequence[Seen], context: Context) -> Decision:
    """What one look comes to.

    Args:
        look: the window; readings outside it do not count.
        turn: its verdict in words outweighs the readings of its answer.
        readings: by time.
        context: costs, margin, hold, window and share.
    """
    made = partial(Decision, look=look, threshold=context.threshold)
    if turn.verdict and look.what == "answer":
        wrong = turn.verdict == "wrong"
        return made(action="repair" if wrong else "fine", p_error=float(wrong), at=look.start,
                    why="the person said so")  # fmt: skip
    seen = [one for one in readings if look.start <= one.time <= look.end]
    made = partial(made, readings=seen)
    due = _due(seen, context)
    if due is not None:
        why = f"p(error) stayed above {_early(context):.2f} for {context.hold_s:g} s"
        return made(action="repair", p_error=due.p_error, at=due.time, why=why)
    known = [one for one in seen if one.p_error is not None]
    share = _covered(known, look)
    if not known or share < context.face_share:
        return made(action="unsure", p_error=None, at=look.end, why=_little(seen, share))
    lasting = [one.p_error for one in known if known[-1].time - one.time <= context.hold_s]
    p = fmean(level for level in lasting if level is not None)
    low, high = context.band
    made = partial(made, p_error=p, at=look.end)
    if p >= high:
        return made(action="repair", why=f"p(error) is above {context.threshold:.2f}")
    if p < low:
        return made(action="fine", why=f"p(error) is below {context.threshold:.2f}")
    return made(action="unsure", why=f"p(error) is near {context.threshold:.2f}")


def chosen(
    decision: Decision,
    turn: Turn,
    repairs: Sequence[Repair],
    done: Sequence[Kind],
    context: Context,
) -> Kind | None:
    """The kind of repair that comes next; None where a person has been asked already.

    A thing is repaired once: what is still wrong then, or was repaired in an earlier run of the thread,
    goes to a person. No kind is used twice in one exchange.

    Args:
        decision: why something is repaired.
        turn: what is.
        repairs: of this exchange, oldest first.
        done: kinds that this very thing has had.
        context: bounds the repairs of an exchange.
    """
    if "hand over" in done:
        return None
    if done or decision.look.what == "repair" or len(repairs) >= context.repairs:
        return "hand over"
    used = {repair.kind for repair in repairs} | (
        {"offer options"} if not usable(turn.options) else set()
    )
    return next((kind for kind in LADDER if kind not in used), "hand over")


def _due(seen: Sequence[Seen], context: Context) -> Seen | None:
    """The reading at which an error has been very likely for long enough."""
    since: Seen | None = None
    last = 0.0
    for one in seen:
        if one.p_error is None:
            continue
        if one.p_error < _early(context):
            since = None
        elif since is None or one.time - last > GAP_S:
            since = one
        last = one.time
        if since is not None and one.time - since.time >= context.hold_s:
            return one
    return None


def _early(context: Context) -> float:
    """The detector's p(error) from which on a repair does not wait."""
    return max(context.told(context.early), context.band[1])


def _covered(known: Sequence[Seen], look: Look) -> float:
    """Share of the window's pieces in which there is an answer."""
    pieces = max(1, round((look.end - look.start) / GAP_S))
    there = {min(int((one.time - look.start) / GAP_S), pieces - 1) for one in known}
    return len(there) / pieces


def _little(seen: Sequence[Seen], share: float) -> str:
    if not seen:
        return "there is no frame in the window"
    reasons = [one.why for one in seen if one.p_error is None and one.why]
    told = f"the detector has an answer in {share:.0%} of the window"
    return f"{told}: {reasons[-1]}" if reasons else told
