from collections.abc import Iterator
from pathlib import Path

import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import Price, Settings, _from_environment, settings, use_settings


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment that the next `settings()` reads afresh."""
    _from_environment.cache_clear()
    yield monkeypatch
    _from_environment.cache_clear()


def test_the_environment_is_read_once(env: pytest.MonkeyPatch) -> None:
    env.setenv("MERCHGRAPH_CONCURRENCY", "7")
    assert settings().concurrency == 7
    env.setenv("MERCHGRAPH_CONCURRENCY", "9")
    assert settings().concurrency == 7
    assert settings() is settings()


def test_an_explicit_value_beats_the_environment_for_the_length_of_a_block(
    env: pytest.MonkeyPatch,
) -> None:
    env.setenv("MERCHGRAPH_ATTEMPTS", "7")
    with use_settings(attempts=2) as changed:
        assert settings() is changed
        assert changed.attempts == 2
        with use_settings(concurrency=1):
            assert (settings().attempts, settings().concurrency) == (2, 1)
    assert settings().attempts == 7


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("CONCURRENCY", "many", "MERCHGRAPH_CONCURRENCY has the value 'many', but input should be"),
        ("ATTEMPTS", "0", "MERCHGRAPH_ATTEMPTS has the value '0', but input should be greater than"),
        ("TOKEN_BUDGET", "-5", "MERCHGRAPH_TOKEN_BUDGET has the value '-5'"),
        ("PRICES", '{"openai/x": {"prompt": -1, "completion": 1}}',
         "MERCHGRAPH_PRICES has the value -1 at openai/x / prompt, but"),
        ("PRICES", "cheap", "MERCHGRAPH_PRICES is not JSON (Expecting value"),
    ],
)  # fmt: skip
def test_a_bad_value_names_its_variable(
    name: str, value: str, sentence: str, env: pytest.MonkeyPatch
) -> None:
    env.setenv(f"MERCHGRAPH_{name}", value)
    with pytest.raises(SetupError) as caught:
        settings()
    assert sentence in str(caught.value)
    assert str(caught.value).endswith("correct it or unset it.")
    env.delenv(f"MERCHGRAPH_{name}")
    assert settings().attempts == 4  # the failure is not remembered


def test_a_name_that_is_no_setting_is_refused() -> None:
    with pytest.raises(SetupError, match=r"no setting \['atempts'\]; there is .*attempts"):
        use_settings(atempts=1).__enter__()


def test_a_bad_value_in_code_is_the_same_error() -> None:
    with pytest.raises(SetupError, match="MERCHGRAPH_ATTEMPTS has the value 99"):
        use_settings(attempts=99).__enter__()


def test_secrets_show_in_no_repr() -> None:
    with use_settings(openai_api_key="tell-nobody", vllm_api_key="nor-this") as changed:
        for text in (repr(changed), str(changed), changed.model_dump_json()):
            assert "tell-nobody" not in text
            assert "nor-this" not in text
        assert changed.openai_api_key is not None
        assert changed.openai_api_key.get_secret_value() == "tell-nobody"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings().attempts = 3


def test_prices_come_as_json(env: pytest.MonkeyPatch) -> None:
    env.setenv("MERCHGRAPH_PRICES", '{"openai/x": {"prompt": 0.1, "completion": 0.4}}')
    assert settings().prices == {"openai/x": Price(prompt=0.1, completion=0.4)}
    with use_settings(attempts=1):
        assert settings().prices["openai/x"].cached is None


def test_the_home_folder_is_resolved_and_not_created(tmp_path: Path) -> None:
    assert Settings(cache=Path("~/x")).cache_dir == Path.home() / "x"
    with use_settings(cache=tmp_path / "none"):
        assert not settings().cache_dir.exists()
