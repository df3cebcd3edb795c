"""Models of a server that misbehaves, and a key that may show up nowhere."""

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.settings import use_settings
from tests.runtime.faulty_server import Fault, FaultyServer

KEY = "sk-planted-0123456789abcdef"

QUICK = {"stall_timeout_s": 0.3, "connect_timeout_s": 1.0, "attempts": 3}

Faulty = Callable[..., tuple[ChatModel, FaultyServer]]


@pytest.fixture
def faulty(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Faulty]:
    """Starts servers; afterwards no log event and no output may hold the key that they were sent."""
    caplog.set_level(logging.DEBUG, logger="merchgraph")

    def start(
        *script: Fault, always: Fault | None = None, provider: str = "vllm", **values: object
    ) -> tuple[ChatModel, FaultyServer]:
        server = stack.enter_context(FaultyServer(*script, always=always))
        there = {f"{provider}_base_url": server.url, f"{provider}_api_key": KEY}
        with use_settings(**QUICK | there | values) as changed:
            pass  # for the whole process, not for this task alone: a test may start threads
        monkeypatch.setattr("merchgraph.runtime.settings._from_environment", lambda: changed)
        return chat_model(f"{provider}/x"), server

    with ExitStack() as stack:
        yield start
    written = "".join(capfd.readouterr()) + caplog.text
    assert KEY not in written


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here speaks TLS, and to read the certificates takes each new client 0.1 s."""
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff in milliseconds; what a server asks for in Retry-After stays as it is."""
    monkeypatch.setattr("merchgraph.runtime.limits.FIRST_WAIT_S", 0.01)
