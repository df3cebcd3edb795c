"""Structured events: JSON lines when nobody watches, colours on a terminal, never a secret.

The events go through the standard logger `merchgraph`, so a host application keeps control; a plain
`import merchgraph` adds no handler. The command line calls `configure` once.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import settings

SECRET_NAME = re.compile(r"key|token$|secret|password|authorization|cookie", re.IGNORECASE)
SECRET_VALUE = re.compile(
    # what providers issue: never a part of a word, and never without a digit, as a desk-organizer is
    r"(?<![A-Za-z0-9])(?:bearer\s+|sk-|hf_|ls__|lsv2_|ghp_|xox[bp]-)"
    r"(?=[A-Za-z_\-.]*\d)[A-Za-z0-9_\-.]{8,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",  # user:password in an address
    re.IGNORECASE,
)
HIDDEN = "[hidden]"


def redact(value: Any) -> Any:
    """Copy data as JSON with every secret replaced by `[hidden]`: by field name, by shape, and ours.

    What JSON does not know (an exception, bytes) becomes its text.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _field(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    text = str(value)
    for secret in known_secrets():
        text = text.replace(secret, HIDDEN)
    return SECRET_VALUE.sub(HIDDEN, text)


def known_secrets() -> tuple[str, ...]:
    """The settings' keys, whatever they look like; one below 8 characters would hide ordinary words."""
    try:
        now = settings()
    except SetupError:  # what is wrong with them is said elsewhere
        return ()
    keys = (key.get_secret_value() for key in (now.vllm_api_key, now.openai_api_key) if key)
    return tuple(key for key in keys if len(key) >= 8)


def _field(name: str, value: Any) -> Any:
    """A number, such as a count of tokens, is no secret under any name."""
    harmless = value is None or isinstance(value, (bool, int, float))
    return HIDDEN if SECRET_NAME.search(name) and not harmless else redact(value)


def _redact_event(_: object, __: str, event: MutableMapping[str, Any]) -> EventDict:
    return dict(redact(event))


def _render(log: object, name: str, event: EventDict) -> str | bytes:
    if sys.stderr.isatty():
        return structlog.dev.ConsoleRenderer()(log, name, event)
    return structlog.processors.JSONRenderer(default=str)(log, name, event)


def logger(part: str) -> FilteringBoundLogger:
    """The event logger of one part, for example `logger("limits")`."""
    bound: FilteringBoundLogger = structlog.wrap_logger(
        logging.getLogger(f"merchgraph.{part}"),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            _render,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return bound


def configure(level: str) -> None:
    """Send events of `level` and above to standard error; for programs, not for libraries."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger("merchgraph")
    root.handlers = [handler]
    root.setLevel(level.upper())
    root.propagate = False
