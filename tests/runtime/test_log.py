import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.log import HIDDEN, configure, logger, redact

SECRET = "sk-" + "a1B2" * 6
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
WORD = st.text("abcdef ghi", max_size=8)
DATA = st.recursive(
    PLAIN | WORD, lambda inner: st.lists(inner) | st.dictionaries(WORD, inner), max_leaves=8
)


@given(DATA)
def test_data_without_secrets_stays_as_it_is(data: Any) -> None:
    assert redact(data) == data


@given(DATA, st.sampled_from(["api_key", "Authorization", "password", "session_token", "Cookie"]))
def test_what_a_secret_field_holds_is_never_written(data: Any, name: str) -> None:
    for held in (SECRET[3:], [SECRET[3:], data], {"inner": SECRET[3:]}):
        written = json.dumps(redact({"data": data, "deep": [{name: held}]}))
        assert SECRET[3:] not in written


@given(DATA, WORD, WORD)
def test_a_secret_is_hidden_by_its_shape_wherever_it_stands(
    data: Any, before: str, after: str
) -> None:
    text = f"{before} {SECRET} {after}"
    for holder in (text, [data, text], (text,), {"x": {"y": [text]}}, ValueError(text)):
        assert SECRET not in json.dumps(redact(holder))
    assert redact(text) == f"{before} {HIDDEN} {after}"


@pytest.mark.parametrize(
    "text", ["Bearer abc.def-123456", "hf_abcdefgh1", "lsv2_pt_0123456789", "ghp_0123456789"]
)
def test_the_shapes_that_providers_issue_are_known(text: str) -> None:
    assert redact(f"with {text} in it") == f"with {HIDDEN} in it"


def test_a_password_in_an_address_is_hidden_and_the_address_stays() -> None:
    assert redact("at http://ann:pa55@host:80/v1") == f"at http://{HIDDEN}@host:80/v1"
    assert redact("at http://host:80/v1") == "at http://host:80/v1"


def test_counts_of_tokens_are_no_secret() -> None:
    assert redact({"prompt_tokens": 7, "max_token": 3}) == {"prompt_tokens": 7, "max_token": 3}


@pytest.fixture
def _own_handlers() -> Iterator[None]:
    root = logging.getLogger("merchgraph")
    before = root.handlers, root.level, root.propagate
    yield
    root.handlers, root.level, root.propagate = before


@pytest.mark.usefixtures("_own_handlers")
def test_events_are_json_lines_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    logger("here").info("asked", model="x", error=ValueError(SECRET), api_key="mine", n=3)
    logger("here").debug("too quiet")
    [line] = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert event.items() >= {
        "event": "asked", "level": "info", "logger": "merchgraph.here", "model": "x",
        "api_key": HIDDEN, "error": HIDDEN, "n": 3,
    }.items()  # fmt: skip


@pytest.mark.usefixtures("_own_handlers")
def test_the_text_of_a_traceback_is_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    try:
        raise ValueError(f"refused {SECRET}")
    except ValueError:
        logger("here").error("failed", exc_info=True)
    written = capsys.readouterr().err
    assert "Traceback" in json.loads(written)["exception"]
    assert SECRET not in written


@pytest.mark.usefixtures("_own_handlers")
def test_events_are_lines_to_read_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    configure("info")
    logger("here").info("asked", model="x")
    assert "asked" in screen.getvalue()
    assert not screen.getvalue().startswith("{")


def test_an_import_adds_no_handler_and_writes_nothing() -> None:
    code = (
        "import logging, merchgraph.runtime.models, merchgraph.runtime.node, sys;"
        "assert not logging.getLogger('merchgraph').handlers and not logging.root.handlers;"
        "assert 'langchain_openai' not in sys.modules and 'xllamacpp' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
