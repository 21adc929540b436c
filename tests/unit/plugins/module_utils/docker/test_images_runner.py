# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker import images_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.images import Source

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
MANIFEST = "/v2/vllm/v/manifests/1"


def params(server, **more):
    usual = {
        "name": "vllm/v:1",
        "registry_map": {"docker.io": server.place},
        "registry_mirrors": [],
        "registry_logins": [],
        "insecure_registries": [server.place],
        "locked_digest": None,
        "lock_file": "lock.yml",
        "timeout": 60,
    }
    return {**usual, **more}


def serve(server, digest):
    server.routes["HEAD", MANIFEST] = lambda asked: asked.say(200, Docker_Content_Digest=digest)


def resolved(server, **more):
    return images_runner.resolve(Source(server.place, "vllm/v"), "1", [server.place], [], **more)


def test_a_tag_is_resolved_by_the_registrys_own_word(server):
    serve(server, OLD)
    assert resolved(server) == OLD
    (_method, _path, headers) = server.asked[0]
    assert headers["Accept"].startswith("application/vnd.oci.image.index.v1+json, ")


def registry_with_tokens(server, key):
    def manifest(asked):
        if asked.headers.get("Authorization") == "Bearer t0ken":
            asked.say(200, Docker_Content_Digest=OLD)
        else:
            realm = f'Bearer realm="http://{server.place}/token",service="r",scope="repository:vllm/v:pull"'
            asked.say(401, WWW_Authenticate=realm)

    server.routes["HEAD", MANIFEST] = manifest
    server.routes["GET", "/token"] = lambda asked: asked.say(200, json.dumps({key: "t0ken"}).encode())


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_a_registry_that_asks_for_a_token_gets_one(server, key):
    registry_with_tokens(server, key)
    assert resolved(server) == OLD
    assert [path for _method, path, _headers in server.asked] == [
        MANIFEST,
        "/token?service=r&scope=repository:vllm/v:pull",
        MANIFEST,
    ]


@pytest.mark.parametrize("given", [b"no JSON", b"[]", b"{}"], ids=["no JSON", "a list", "no token in it"])
def test_a_registry_that_gives_no_token_is_reported(server, given):
    registry_with_tokens(server, "token")
    server.routes["GET", "/token"] = lambda asked: asked.say(200, given)
    assert resolved(server) == f"http://{server.place}{MANIFEST} answered 401"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda asked: asked.say(404), "answered 404"),
        (lambda asked: asked.say(200), "gave no digest"),
        (lambda asked: asked.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "answered "),
    ],
    ids=["not there", "no digest", "no HTTP at all"],
)
def test_why_a_tag_cannot_be_resolved_is_reported(server, answer, word):
    server.routes["HEAD", MANIFEST] = answer
    assert f"http://{server.place}{MANIFEST} {word}" in resolved(server)


def test_mirrors_of_docker_hub_are_asked_first_and_in_their_order(server, monkeypatch):
    asked = []
    monkeypatch.setattr(
        images_runner, "_digest_at", lambda url, login: asked.append(url) or (OLD if "two" in url else "none")
    )
    assert images_runner.resolve(Source("docker.io", "a/b"), "1", [], ["https://one/", "https://two"]) == OLD
    assert asked == ["https://one/v2/a/b/manifests/1", "https://two/v2/a/b/manifests/1"]


def test_an_image_is_pulled_by_the_digest_that_the_registry_gave(server, commands):
    serve(server, OLD)
    commands.answer("docker image inspect", rc=1)
    reference = f"{server.place}/vllm/v@{OLD}"
    result = images_runner.ensure(params(server), check=False)
    assert {name: result[name] for name in ("changed", "image", "digest", "reference", "moved_to")} == {
        "changed": True,
        "image": "docker.io/vllm/v:1",
        "digest": OLD,
        "reference": reference,
        "moved_to": "",
    }
    assert commands.made == [f"docker image inspect {reference}", f"docker pull --quiet {reference}"]


def test_check_mode_predicts_the_pull(server, commands):
    serve(server, OLD)
    commands.answer("docker image inspect", rc=127)
    assert images_runner.ensure(params(server), check=True)["changed"] is True
    assert commands.that("pull") == []


def test_an_image_that_is_there_is_left_alone(server, commands):
    serve(server, OLD)
    assert images_runner.ensure(params(server, locked_digest=OLD), check=False)["changed"] is False
    assert commands.that("pull") == []


def test_a_tag_that_has_moved_is_reported_and_the_recorded_digest_is_used(server, commands):
    serve(server, NEW)
    result = images_runner.ensure(params(server, locked_digest=OLD), check=False)
    assert (result["digest"], result["moved_to"]) == (OLD, NEW)
    assert f"moved to {NEW}" in result["warnings"][0]


def test_a_recorded_digest_needs_no_registry(server, commands):
    result = images_runner.ensure(params(server, locked_digest=OLD), check=False)
    assert (result["digest"], result["moved_to"]) == (OLD, "")


def test_without_a_digest_nothing_is_pulled(server, commands):
    with pytest.raises(Refusal) as refused:
        images_runner.ensure(params(server), check=False)
    assert str(refused.value) == (
        f"docker.io/vllm/v:1 cannot be resolved: http://{server.place}{MANIFEST} answered 404; wanted its digest from "
        f"{server.place}; set gpuchat_registry_map to a registry that this host reaches and that holds the image, and "
        "gpuchat_registry_logins where it wants a login, or gpuchat_image_archives to a folder with its archive"
    )
    assert commands.made == []


LOGIN = {"password": "p4ss:word", "username": "robot$pull"}
BASIC = "Basic cm9ib3QkcHVsbDpwNHNzOndvcmQ="


def with_login(server):
    return {"registry_logins": [{"registry": "elsewhere", **LOGIN}, {"registry": server.place, **LOGIN}]}


def test_a_registry_with_a_login_gives_its_digest_to_it_alone(server, commands):
    def manifest(asked):
        if asked.headers.get("Authorization") == BASIC:
            asked.say(200, Docker_Content_Digest=OLD)
        else:
            asked.say(401, WWW_Authenticate='Basic realm="r"')

    server.routes["HEAD", MANIFEST] = manifest
    commands.answer("docker image inspect", rc=1)
    assert images_runner.ensure(params(server, **with_login(server)), check=True)["digest"] == OLD
    with pytest.raises(Refusal, match="gpuchat_registry_logins where it wants a login"):
        images_runner.ensure(params(server), check=True)


def test_the_login_is_shown_where_a_registry_has_its_tokens(server, commands):
    registry_with_tokens(server, "token")
    shown = []
    server.routes["GET", "/token"] = lambda asked: (
        shown.append(asked.headers.get("Authorization")),
        asked.say(200, json.dumps({"token": "t0ken"}).encode()),
    )
    commands.answer("docker image inspect", rc=1)
    assert images_runner.ensure(params(server, **with_login(server)), check=True)["digest"] == OLD
    assert shown == [BASIC]


def test_a_login_that_is_asked_for_by_tls_is_not_shown_in_the_clear(monkeypatch):
    asked = []
    monkeypatch.setattr(images_runner.host, "http", lambda url, *_, **__: asked.append(url))
    login = images_runner.Login("robot", "p4ss")
    challenge = 'Bearer realm="http://tokens.example.com/token"'
    assert images_runner._authorization("https://r.example.com/v2/a/manifests/1", challenge, login) is None
    assert asked == []


def test_a_pull_is_logged_in_by_a_file_of_root_that_is_gone_afterwards(server, monkeypatch):
    serve(server, OLD)
    seen = []

    def run(command, **_options):
        if command[:2] == ["docker", "--config"]:
            path = pathlib.Path(command[2]) / "config.json"
            seen.append((command[3:], json.loads(path.read_text()), path.stat().st_mode & 0o777, path))
            return images_runner.host.Output(0, "", "")
        return images_runner.host.Output(1, "", "")

    monkeypatch.setattr(images_runner.host, "run", run)
    monkeypatch.setattr(images_runner.host, "must", run)
    images_runner.ensure(params(server, **with_login(server)), check=False)
    ((words, config, mode, path),) = seen
    assert words == ["pull", "--quiet", f"{server.place}/vllm/v@{OLD}"]
    assert config == {"auths": {server.place: {"auth": BASIC.partition(" ")[2]}}}
    assert mode == 0o600
    assert not path.exists()


def test_each_mirror_that_had_no_answer_is_named(monkeypatch):
    monkeypatch.setattr(images_runner, "_digest_at", lambda url, login: f"{url} answered 503")
    word = images_runner.resolve(Source("docker.io", "a/b"), "1", [], ["https://dead.example.com"])
    assert word.startswith("https://dead.example.com/v2/a/b/manifests/1 answered 503; https://registry-1.docker.io/")


def test_an_image_is_looked_up_without_docker_and_nothing_is_pulled(server, commands):
    serve(server, OLD)
    found = images_runner.look_up(params(server))
    assert (found["changed"], found["digest"], commands.made) == (False, OLD, [])


def test_mirrors_and_registry_that_do_not_have_it_are_all_named_before_anything_is_fetched(
    server, commands, monkeypatch
):
    monkeypatch.setattr(images_runner, "DOCKER_HUB", "127.0.0.1:9")
    mirrors = [f"http://{server.place}", "http://127.0.0.1:7"]
    with pytest.raises(Refusal) as refusal:
        images_runner.look_up(params(server, registry_map={"docker.io": "127.0.0.1:9"}, registry_mirrors=mirrors))
    for answer in (f"http://{server.place}{MANIFEST} answered 404", "http://127.0.0.1:7", "https://127.0.0.1:9"):
        assert answer in str(refusal.value)
    assert commands.made == []


@pytest.fixture
def podman(commands):
    commands.answer("podman version", "5.4.2\n")
    commands.answer("podman image inspect", rc=1)
    return commands


def test_podman_pulls_by_digest_and_without_tls_where_that_is_said(server, podman):
    serve(server, OLD)
    given = params(server, supervisor="quadlet")
    assert images_runner.ensure(given, check=False)["reference"] == f"{server.place}/vllm/v@{OLD}"
    assert podman.that("pull") == [f"podman pull --quiet --tls-verify=false {server.place}/vllm/v@{OLD}"]
    assert not podman.that("docker")


def test_podmans_login_is_there_for_the_pull_alone_and_for_root_alone(server, podman):
    serve(server, OLD)
    seen = []

    def look():
        path = pathlib.Path(podman.made[-1].split("--authfile ")[1].split(" ")[0])
        seen.append((path, oct(path.stat().st_mode & 0o777), json.loads(path.read_text())))
        return ""

    podman.answer("podman pull", look)
    login = [{"registry": server.place, "username": "robot", "password": "s3same"}]
    images_runner.ensure(params(server, supervisor="quadlet", registry_logins=login), check=False)
    ((path, mode, content),) = seen
    assert (mode, list(content["auths"]), path.exists()) == ("0o600", [server.place], False)
    assert "s3same" not in str(podman.made)


@pytest.mark.parametrize(("said", "rc"), [("4.9.3\n", 0), ("", 125), ("", 127)])
def test_a_podman_that_is_too_old_or_does_not_answer_is_refused(server, commands, said, rc):
    serve(server, OLD)
    commands.answer("podman version", said, rc=rc)
    with pytest.raises(Refusal, match=r"found .*; wanted 5.0 or newer .*; set gpuchat_supervisor to"):
        images_runner.ensure(params(server, supervisor="quadlet"), check=False)


def test_check_mode_predicts_the_pull_where_podman_is_not_there_yet(server, commands):
    serve(server, OLD)
    commands.answer("podman version", rc=127)
    commands.answer("podman image inspect", rc=127)
    assert images_runner.ensure(params(server, supervisor="quadlet"), check=True)["changed"]
