# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several models on several hosts answer through one edge, each by its names."""

from __future__ import annotations

import json
import pathlib
import time
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from interfaces import sign_in
from running import Stack, wait

JSON = ("--header", "Content-Type: application/json")
ANSWER = "Hello! I am the demo model of gpuchat. Your private chat works."
SAILOR = "Ahoy! I am the demo model in a sailor's coat. Your private chat works."
NAMES = ["gpuchat-demo", "gpuchat-second", "second", "gpuchat-sailor", "gpuchat-embed"]
DIMENSIONS = 1024
TOLD = (
    "The keeper of the lighthouse hides the brass key under the third stone of the garden wall. ",
    "Quarterly budget: travel became dearer, and the meeting decided to buy fewer chairs. ",
    "Water boils at one hundred degrees where the air is as heavy as at the sea. ",
)
VECTORS = """
    SELECT count(*), vector_dims(e.embeddings), e.model FROM embeddings e
    JOIN file_chunks f ON f.chunk_id = e.chunk_id WHERE f.file_id = '{}' GROUP BY 2, 3"""


def hello(model: str) -> str:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}], "temperature": 0})


def post(stack: Stack, body: str, path: str = "chat/completions") -> tuple[int, str]:
    return stack.curl(f"/v1/{path}", *JSON, "--data", body)


def test_the_list_of_models_has_each_name(stack: Stack) -> None:
    status, body = stack.curl("/v1/models")
    assert (status, [one["id"] for one in json.loads(body)["data"]]) == (200, NAMES)


def test_the_list_of_models_needs_a_key(stack: Stack) -> None:
    assert stack.curl("/v1/models", key=False)[0] == 401


@pytest.mark.parametrize("model", ["gpuchat-demo", "gpuchat-second", "second"])
def test_a_model_answers_by_each_of_its_names(stack: Stack, model: str) -> None:
    assert stack.ask("hello", model) == (200, ANSWER)


def test_an_adapter_answers_by_its_own_name_beside_its_model(stack: Stack) -> None:
    assert stack.ask("hello", "gpuchat-sailor") == (200, SAILOR)
    assert stack.ask("hello", "second") == (200, ANSWER)


@pytest.mark.parametrize(
    "more", [{}, {"dimensions": DIMENSIONS}], ids=["as it is", "of the length that LobeHub asks for"]
)
def test_a_model_for_vectors_gives_one(stack: Stack, more: dict[str, object]) -> None:
    status, body = post(stack, json.dumps({"model": "gpuchat-embed", "input": "hello", **more}), "embeddings")
    assert status == 200, body
    vector = json.loads(body)["data"][0]["embedding"]
    assert len(vector) == DIMENSIONS
    assert all(isinstance(one, float) for one in vector)


def test_vectors_of_another_length_are_not_to_be_had(stack: Stack) -> None:
    body = json.dumps({"model": "gpuchat-embed", "input": "hello", "dimensions": 512})
    assert post(stack, body, "embeddings")[0] == 400


def test_each_engine_is_its_own_and_says_so(stack: Stack) -> None:
    for model, served in (("gpuchat-demo", "gpuchat-demo"), ("second", "gpuchat-second")):
        _status, body = post(stack, hello(model))
        assert json.loads(body)["model"] in (model, served)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(hello("gpt-4o"), 404, id="a name that nobody has"),
        pytest.param(hello("GPUCHAT-DEMO"), 404, id="another spelling"),
        pytest.param(hello(""), 400, id="an empty name"),
        pytest.param('{"messages": []}', 400, id="no name"),
        pytest.param('{"model": 7, "messages": []}', 400, id="a number"),
        pytest.param('{"model": "gpuchat-demo", "model": "gpuchat-second", "messages": []}', 400, id="two names"),
        pytest.param("[]", 400, id="no object"),
        pytest.param('{"model": "gpuchat-demo"', 400, id="half a body"),
        pytest.param('{"messages": [{"model": "gpuchat-demo"}]}', 400, id="a name further in"),
        pytest.param('{"Model": "gpuchat-second", "model": "gpuchat-demo", "messages": []}', 400, id="another key too"),
        pytest.param('{"model": "gpuchat-demo", "messages": [] /* */}', 400, id="a comment"),
    ],
)
def test_a_request_that_names_no_model_of_the_stacks_reaches_no_engine(stack: Stack, body: str, status: int) -> None:
    found, answer = post(stack, body)
    assert found == status, answer
    assert json.loads(answer)["error"]["message"]


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=edge", "application/json; charset=utf-7"])
def test_a_body_of_another_type_reaches_no_engine(stack: Stack, kind: str) -> None:
    words = ("--header", f"Content-Type: {kind}", "--data", hello("gpuchat-demo"))
    status, answer = stack.curl("/v1/chat/completions", *words)
    assert status == 400, answer
    assert "application/json" in json.loads(answer)["error"]["message"]


def test_a_name_is_read_as_json_writes_it(stack: Stack) -> None:
    body = hello("second").replace('"second"', '"\\u0073econd"')
    assert "\\u0073" in body
    status, answer = post(stack, body)
    assert (status, json.loads(answer)["choices"][0]["message"]["content"]) == (200, ANSWER)


def test_a_large_request_finds_its_model_behind_all_that_stands_before_it(stack: Stack, tmp_path: pathlib.Path) -> None:
    image = "A" * 3_000_000
    body = json.dumps({"user": image, "messages": [{"role": "user", "content": "hello"}], "model": "second"})
    (tmp_path / "body").write_text(body)
    status, answer = post(stack, f"@{tmp_path / 'body'}")
    assert (status, json.loads(answer)["choices"][0]["message"]["content"]) == (200, ANSWER)


def test_a_stream_of_each_model_arrives_in_pieces(stack: Stack) -> None:
    for model in ("gpuchat-demo", "second"):
        # A long one, for a busy server joins tokens that wait.
        asked = [{"role": "user", "content": "Tell me a long story"}]
        body = json.dumps({"model": model, "messages": asked, "temperature": 0, "stream": True})
        status, answer = post(stack, body)
        assert status == 200
        assert answer.rstrip().endswith("data: [DONE]")
        assert answer.count("data: ") > 5


def asked(stack: Stack, host: str) -> int:
    """Return how many completions a host's door has handed on."""
    log = "journalctl -t gpuchat_door -o cat | grep -c '\"/v1/chat/completions\"' || true"
    return int(stack.on(host, log).strip())


def test_the_same_model_on_two_hosts_is_asked_on_both(stack: Stack) -> None:
    before = {host: asked(stack, host) for host in ("front", "gpu1")}
    for _number in range(8):
        assert stack.ask()[0] == 200
    assert all(asked(stack, host) > count for host, count in before.items())


def test_while_one_host_has_none_the_other_answers(stack: Stack) -> None:
    stack.on("gpu1", "docker stop gpuchat-vllm-gpuchat-demo")
    try:
        assert [stack.ask()[0] for _number in range(6)] == [200] * 6
        assert stack.ask(model="second")[0] == 200
    finally:
        stack.on("gpu1", "docker start gpuchat-vllm-gpuchat-demo")


def test_the_interface_finds_every_model_at_its_door_and_no_other_path(stack: Stack) -> None:
    here = "docker exec gpuchat-lobehub /bin/node -e"
    look = "fetch(process.env.VLLM_PROXY_URL + '/models').then(a => a.json())"
    look += ".then(a => console.log(a.data.map(m => m.id).join()))"
    assert stack.on("interface", f'{here} "{look}"').strip().split(",") == NAMES
    other = "fetch(process.env.VLLM_PROXY_URL.replace('/v1', '/metrics')).then(a => console.log(a.status))"
    assert stack.on("interface", f'{here} "{other}"').strip() == "404"


def test_no_engine_has_a_network(stack: Stack) -> None:
    for host in ("front", "gpu1"):
        modes = stack.on(
            host,
            "docker ps --filter name=gpuchat-vllm --format '{{.Names}}' | xargs docker inspect"
            " --format '{{.Name}} {{.HostConfig.NetworkMode}}'",
        )
        assert len(modes.splitlines()) == 2
        assert all(line.endswith(" none") for line in modes.splitlines())


def test_a_client_that_is_limited_sees_and_reaches_its_models_alone(stack: Stack) -> None:
    stack.must_play("-e", "keys_client=vectors", playbook="playbooks/keys.yml")
    shown = json.loads((stack.inventory / ".gpuchat" / "clients" / "vectors" / "client.json").read_text())
    its = ("--header", f"Authorization: Bearer {shown['api_key']}", *JSON)
    assert shown["models"] == ["gpuchat-embed"]
    listed = json.loads(stack.curl("/v1/models", *its, key=False)[1])
    assert [one["id"] for one in listed["data"]] == ["gpuchat-embed"]
    embed = json.dumps({"model": "gpuchat-embed", "input": "hello"})
    assert stack.curl("/v1/embeddings", *its, "--data", embed, key=False)[0] == 200
    for model in ("gpuchat-demo", "second", "nobody"):
        assert stack.curl("/v1/chat/completions", *its, "--data", hello(model), key=False)[0] == 404
    assert stack.ask()[0] == 200


def call(stack: Stack, folder: pathlib.Path, session: tuple[str, str], procedure: str, value: object) -> Any:
    """Call a procedure of LobeHub's by the edge, as its page does."""
    (folder / "value.json").write_text(json.dumps({"0": {"json": value}}))
    words = (*session, *JSON, "--header", f"Origin: https://{stack.domain}", "--data", f"@{folder / 'value.json'}")
    status, body = stack.curl(f"/trpc/lambda/{procedure}?batch=1", *words, key=False)
    assert status == 200, (procedure, body)
    return json.loads(body)[0]["result"]["data"].get("json")


def look(stack: Stack, session: tuple[str, str], file: str) -> dict[str, Any]:
    """Return how far LobeHub is with a file, as its page asks again and again."""
    asked = quote(json.dumps({"0": {"json": {"id": file}}}))
    status, body = stack.curl(f"/trpc/lambda/file.getFileItemById?batch=1&input={asked}", *session, key=False)
    found: dict[str, Any] = json.loads(body)[0]["result"]["data"]["json"] if status == 200 else {}
    assert not found.get("chunkingError"), found
    assert not found.get("embeddingError"), found
    return found


def test_a_persons_file_is_cut_and_found_by_what_it_says(stack: Stack, tmp_path: pathlib.Path) -> None:
    """As by the page: a file goes up by the edge, LobeHub fetches it by its room, and asks the model for vectors."""
    session = sign_in(stack, tmp_path)
    base = call(stack, tmp_path, session, "knowledgeBase.createKnowledgeBase", {"name": "of the test"})
    name = f"{time.time():.0f}.txt"
    path, text = f"files/{name}", "\n\n".join(part * 8 for part in TOLD)
    (tmp_path / name).write_text(text)
    address = urlsplit(call(stack, tmp_path, session, "upload.createS3PreSignedUrl", {"pathname": path}))
    words = ("--upload-file", str(tmp_path / name), "--header", "Content-Type: text/plain")
    assert stack.curl(f"{address.path}?{address.query}", *words, *session, key=False)[0] == 200
    value = {"fileType": "text/plain", "hash": name, "name": name, "size": len(text), "url": path}
    value |= {"metadata": {"path": path}, "knowledgeBaseId": base}
    file = call(stack, tmp_path, session, "file.createFile", value)["id"]
    try:
        call(stack, tmp_path, session, "chunk.createParseFileTask", {"id": file})
        wait(lambda: bool(look(stack, session, file).get("finishEmbedding")), 60, "the file's vectors")
        pieces = look(stack, session, file)["chunkCount"]
        assert pieces >= len(TOLD)
        assert stack.sql("lobehub", VECTORS.format(file)) == [f"{pieces}|{DIMENSIONS}|gpuchat-embed"]
        for part in TOLD:
            asked = {"query": part.split(maxsplit=2)[2], "knowledgeIds": [base], "fileIds": [], "topK": 3}
            found = call(stack, tmp_path, session, "chunk.semanticSearchForChat", asked)
            best = max(found["chunks"], key=lambda one: one["similarity"])
            assert (best["fileName"], best["text"].startswith(part.strip())) == (name, True), found
    finally:
        call(stack, tmp_path, session, "file.removeFile", {"id": file})
        call(stack, tmp_path, session, "knowledgeBase.removeKnowledgeBase", {"id": base})
    assert stack.sql("lobehub", VECTORS.format(file)) == []
