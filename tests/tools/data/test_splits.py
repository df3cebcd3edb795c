from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.splits import Split, leave_last_session, split_at, split_weeks
from merchgraph.tools.data.tables import Events, Shop

MONDAY = datetime(2017, 1, 2)
ROW = st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.integers(0, 24 * 60))
LOGS = st.lists(ROW, min_size=1, max_size=40)


def log(rows: list[tuple[str, str, int]]) -> Events:
    """Events (user, session, hours since a Monday at 0:00), each with its own item."""
    users, sessions, hours = zip(*rows, strict=True)
    columns = {
        "user": users,
        "session": sessions,
        "time": [MONDAY + timedelta(hours=hour) for hour in hours],
        "item": [str(row) for row in range(len(rows))],
    }
    return Events(pl.DataFrame(columns).with_columns(behaviour=pl.lit("purchase")))


def items(events: Events) -> set[str]:
    return set(events.frame["item"])


def assert_nothing_of_test_is_before_train(split: Split) -> None:
    for user in split.test.users:
        train, test = split.train.of(user)["time"], split.test.of(user)["time"]
        assert train.is_empty() or train[-1] < test[0]


@settings(max_examples=60)
@given(LOGS, st.integers(-1, 24 * 60 + 1))
def test_a_split_at_a_time_parts_the_log_there(rows: list[tuple[str, str, int]], hour: int) -> None:
    events, cut = log(rows), MONDAY + timedelta(hours=hour)
    split = split_at(events, cut)
    assert all(time < cut for time in split.train.frame["time"])
    assert all(time >= cut for time in split.test.frame["time"])
    assert items(split.train) | items(split.test) == items(events)
    assert len(split.train) + len(split.test) == len(events)
    assert_nothing_of_test_is_before_train(split)


@settings(max_examples=60)
@given(LOGS, st.integers(1, 9), st.none() | st.integers(1, 3))
def test_a_split_by_weeks_never_tests_on_the_past(
    rows: list[tuple[str, str, int]], train: int, test: int | None
) -> None:
    events = log(rows)
    weeks = events.frame["time"].dt.truncate("1w")
    first, last = weeks.min(), weeks.max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    if (last - first).days // 7 < train:
        with pytest.raises(SetupError, match="nothing is left to test on"):
            split_weeks(events, train=train, test=test)
        return
    split = split_weeks(events, train=train, test=test)
    cut = first + timedelta(weeks=train)
    end = cut + timedelta(weeks=test) if test else datetime.max
    assert items(split.train) == items(Events(events.frame.filter(pl.col("time") < cut)))
    assert all(cut <= time < end for time in split.test.frame["time"])
    assert_nothing_of_test_is_before_train(split)


@settings(max_examples=60)
@given(LOGS)
def test_leaving_the_last_session_never_trains_on_what_comes_after(
    rows: list[tuple[str, str, int]],
) -> None:
    events = log(rows)
    split = leave_last_session(events)
    assert split.test.users == events.users
    assert not items(split.train) & items(split.test)
    assert_nothing_of_test_is_before_train(split)
    for user in events.users:
        tested = split.test.of(user)
        (session,) = tested["session"].unique()
        whole = events.of(user).filter(pl.col("session") == session)
        assert whole["item"].to_list() == tested["item"].to_list()
        before = events.of(user).filter(pl.col("time") < tested["time"][0])
        assert split.train.of(user)["item"].to_list() == before["item"].to_list()
        begins = events.of(user).group_by("session").agg(pl.col("time").min())["time"]
        assert tested["time"][0] == begins.max()


def test_of_sessions_that_overlap_the_tail_of_the_earlier_is_in_neither_part() -> None:
    events = log([("u", "a", 0), ("u", "b", 1), ("u", "a", 2)])
    split = leave_last_session(events)
    assert (items(split.train), items(split.test)) == ({"0"}, {"1"})


def test_a_user_with_one_session_is_in_test_only() -> None:
    split = leave_last_session(log([("u", "a", 0), ("u", "a", 1)]))
    assert (len(split.train), len(split.test)) == (0, 2)


def test_an_event_at_the_cut_is_test() -> None:
    split = split_at(log([("u", "a", 0), ("u", "b", 1)]), MONDAY + timedelta(hours=1))
    assert (items(split.train), items(split.test)) == ({"0"}, {"1"})


def test_the_complete_journey_splits_at_its_own_weeks(journey: Shop) -> None:
    split = split_weeks(journey.events, train=48)
    assert split.train.frame["week"].max() == 48
    assert split.test.frame["week"].unique().sort().to_list() == [49, 50, 51, 52, 53]
    assert len(split.train) + len(split.test) == len(journey.events)
    assert split_weeks(journey.events, train=48, test=1).test.frame["week"].unique().to_list() == [
        49
    ]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (0, None, r"train is 0 weeks, but at least 1"),
        (1, 0, r"test is 0 weeks, but at least 1"),
        (2, None, r"train is 2 weeks, but the log has 2, .*give at most 1"),
    ],
)
def test_a_split_without_train_or_test_weeks_is_refused(
    train: int, test: int | None, message: str
) -> None:
    with pytest.raises(SetupError, match=message):
        split_weeks(log([("u", "a", 0), ("u", "b", 24 * 8)]), train=train, test=test)


def test_an_empty_log_has_no_weeks() -> None:
    empty = Events(log([("u", "a", 0)]).frame.clear())
    with pytest.raises(SetupError, match="no rows"):
        split_weeks(empty, train=1)
    assert leave_last_session(empty).test.users == ()


def test_a_cut_with_a_zone_is_refused() -> None:
    with pytest.raises(SetupError, match="time zone"):
        split_at(log([("u", "a", 0)]), MONDAY.replace(tzinfo=UTC))
