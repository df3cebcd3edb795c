"""Splits of a log by time, never at random: whatever is trained on came before what is tested on.

train, test = split_weeks(shop.events, train=48)
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.tables import Events, local


class Split(NamedTuple):
    """Two logs with no row in common; of every user, all of train is earlier than all of test."""

    train: Events
    test: Events


def split_at(events: Events, time: datetime) -> Split:
    """Train is what happened before `time` (local, without a zone), test the rest.

    Either part may be empty, and a session that runs over the cut has events in both.

    Raises:
        SetupError: `time` has a time zone.
    """
    earlier = pl.col("time") < local(time)
    return Split(Events(events.frame.filter(earlier)), Events(events.frame.filter(~earlier)))


def split_weeks(events: Events, *, train: int, test: int | None = None) -> Split:
    """Train is the first weeks of the log, test the weeks that follow.

    A week begins on Monday at 0:00; week 1 is the one of the log's first event and may be short.

    Args:
        events: a log with at least one row.
        train: number of weeks to train on, at least 1.
        test: number of weeks to test on, at least 1; later events are in neither part. None takes
            all weeks that follow.

    Raises:
        SetupError: a number below 1, an empty log, or a log without an event after the train weeks.
    """
    for name, weeks in (("train", train), ("test", test)):
        if weeks is not None and weeks < 1:
            raise SetupError(f"{name} is {weeks} weeks, but at least 1 is needed; give more.")
    week = pl.col("time").dt.truncate("1w")
    span = events.frame.select(first=week.min(), last=week.max()).row(0, named=True)
    if span["first"] is None:
        raise SetupError(
            "The log has no rows, so it has no weeks to split; give a log with events."
        )
    weeks = (span["last"] - span["first"]).days // 7 + 1
    if train >= weeks:
        raise SetupError(
            f"train is {train} weeks, but the log has {weeks}, so nothing is left to test on; "
            f"give at most {weeks - 1}."
        )
    cut = span["first"] + timedelta(weeks=train)
    both = split_at(events, cut)
    if test is None:
        return both
    return both._replace(test=split_at(both.test, cut + timedelta(weeks=test)).train)


def leave_last_session(events: Events) -> Split:
    """Test is every user's last session, train what the user did before it began.

    The last session is the one that began last and, of several that began at once, the one that
    ended last. Events of other sessions while or after it ran are in neither part. A user with one
    session is in test only.
    """
    last = (
        events.frame.with_row_index("row")
        .group_by("user", "session")
        .agg(pl.col("time").min().alias("begins"), pl.col("row").max())
        .sort("begins", "row")
        .group_by("user", maintain_order=True)
        .agg(pl.col("session", "begins").last().name.prefix("last_"))
    )
    rows = events.frame.join(last, on="user", how="left", maintain_order="left")
    columns = events.frame.columns
    train = rows.filter(pl.col("time") < pl.col("last_begins")).select(columns)
    test = rows.filter(pl.col("session") == pl.col("last_session")).select(columns)
    return Split(Events(train), Events(test))
