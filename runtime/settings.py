"""Settings of the process: read from `MERCHGRAPH_*` variables once, then frozen.

A run's own settings (models, k, thresholds) live in each graph's context, not here: these are the
things of the machine, such as addresses, keys, folders and limits.

    export MERCHGRAPH_VLLM_BASE_URL=http://127.0.0.1:8000/v1
    export MERCHGRAPH_OPENAI_API_KEY=...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from merchgraph.runtime.errors import SetupError

PREFIX = "MERCHGRAPH_"


class Price(BaseModel):
    """What an endpoint charges, in US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)
    cached: float | None = Field(
        default=None, ge=0, description="cached prompt tokens; as prompt if unset"
    )


class Settings(BaseSettings):
    """One frozen object; an explicit argument always beats the environment, unset is None."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    cache: Path = Field(
        default=Path("~/.cache/merchgraph"),
        description="folder for the requantised model, tables as Arrow, vectors and indexes",
    )
    data: Path = Field(default=Path("../shared/data"), description="folder of the test data sets")

    vllm_base_url: str = Field(
        default="http://127.0.0.1:8000/v1", description="a vLLM server's /v1"
    )
    vllm_api_key: SecretStr | None = Field(default=None, description="only if vLLM has --api-key")
    openai_base_url: str = Field(default="https://api.openai.com/v1", description="any hosted API")
    openai_api_key: SecretStr | None = Field(default=None, description="key of the hosted API")
    prices: dict[str, Price] = Field(
        default_factory=dict,
        description='dollars per million tokens: {"openai/NAME": {"prompt": 0.1, "completion": 0.4}}',
    )

    concurrency: Annotated[int, Field(ge=1)] = 32
    """Requests in flight to one remote endpoint, over all runs of this process."""
    token_budget: Annotated[int, Field(ge=1)] | None = None
    """Tokens (prompt + completion) that this process may spend per endpoint; None is no limit."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """Tries per request, the first included; only transport faults are tried again."""
    connect_timeout_s: Annotated[float, Field(gt=0)] = 5.0
    stall_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest silence of a server, before its first byte and between two bytes, in seconds."""
    request_timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest time for one try of a request; no further try starts after it, in seconds."""

    checkpoints: SecretStr | None = None
    """Where durable runs are kept: a SQLite file, in the cache folder if unset, or postgresql://..."""

    embedded_threads: Annotated[int, Field(ge=1)] | None = None
    """Threads of the embedded engine; None is 1, which a busy machine runs faster than 2."""
    embedded_ctx: Annotated[int, Field(ge=512, le=8192)] = 4096
    """Context window of the embedded engine, in tokens."""
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "warning"

    @property
    def cache_dir(self) -> Path:
        """The cache folder with `~` resolved; not created here."""
        return self.cache.expanduser()


_override: ContextVar[Settings | None] = ContextVar("merchgraph_settings", default=None)


@cache
def _from_environment() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        raise _bad_setting(error) from error
    except SettingsError as error:  # a mapping that is not even JSON
        raise SetupError(
            f"The setting {PREFIX}PRICES is not JSON ({error.__cause__}); correct it or unset it."
        ) from error


def _bad_setting(error: ValidationError) -> SetupError:
    first = error.errors()[0]
    field, *inner = (str(part) for part in first["loc"])
    where = f" at {' / '.join(inner)}" if inner else ""
    return SetupError(
        f"The setting {PREFIX}{field.upper()} has the value {first['input']!r}{where}, "
        f"but {first['msg'].lower()}; correct it or unset it."
    )


def settings() -> Settings:
    """The process's settings: read from the environment at the first call, then fixed.

    Raises:
        SetupError: a variable holds a value of the wrong type or range.
    """
    return _override.get() or _from_environment()


@contextmanager
def use_settings(**values: object) -> Iterator[Settings]:
    """Replace some settings within a `with` block (tests, notebooks).

    Raises:
        SetupError: a name that is no setting, or a value of the wrong type or range.
    """
    if unknown := values.keys() - Settings.model_fields.keys():
        raise SetupError(
            f"There is no setting {sorted(unknown)}; there is {', '.join(Settings.model_fields)}."
        )
    try:
        changed = Settings.model_validate(settings().model_dump() | values)
    except ValidationError as error:
        raise _bad_setting(error) from error
    token = _override.set(changed)
    try:
        yield changed
    finally:
        _override.reset(token)
