# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket is made and tried against a store, which here is a few lines."""

from __future__ import annotations

import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data import object_store, object_store_runner

KEYS = object_store.Keys("access", "secret")
PARAMS = {
    "name": "files",
    "url": "http://store:9000",
    "access_key": KEYS.access,
    "secret_key": KEYS.secret,
    "region": "us-east-1",
    "state": "present",
    "path_style": True,
    "authority": "",
    "origins": [],
    "timeout": 0.1,
    "on_unsafe": "fail",
}


class Store:
    """Keeps buckets, their policies and objects; ``lax`` lets anybody in, ``up`` says whether it answers."""

    def __init__(self, lax=False, up=True, policy=False, buckets=(), origins=()):
        self.lax, self.up, self.policy, self.buckets, self.origins = lax, up, policy, set(buckets), origins
        self.objects: dict[str, bytes] = {}

    def __call__(self, url, method="GET", headers=None, body=None, timeout=10, direct=False, authority=""):
        assert direct
        del authority
        if not self.up:
            return host.Response(0, {}, b"", "Connection refused")
        if method == "OPTIONS":
            allowed = headers["origin"] if headers["origin"] in self.origins else ""
            named = {"methods": headers["access-control-request-method"], "headers": "content-type", "origin": allowed}
            return host.Response(200, {f"access-control-allow-{name}": one for name, one in named.items()}, b"")
        if not self.lax and not self.knows(url, method, headers or {}, body or b""):
            return host.Response(403, {}, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        parts = urlsplit(url)
        _, bucket, *key = parts.path.split("/", 2)
        if method == "PUT" and not key:
            self.buckets.add(bucket)
            return host.Response(200, {}, b"")
        if bucket not in self.buckets:
            return host.Response(404, {}, b"<Error><Code>NoSuchBucket</Code></Error>")
        if parts.query == "policy":
            had, self.policy = self.policy, self.policy and method != "DELETE"
            return host.Response(204 if method == "DELETE" else 200 if had else 404, {}, b"")
        return self.object(method, parts.path, body) if key else host.Response(200, {}, b"")

    def object(self, method, path, body):
        if method == "PUT":
            self.objects[path] = body
        elif method == "DELETE":
            self.objects.pop(path, None)
            return host.Response(204, {}, b"")
        elif path not in self.objects:
            return host.Response(404, {}, b"")
        return host.Response(200, {}, self.objects[path])

    def knows(self, url, method, headers, body):
        query = parse_qs(urlsplit(url).query)
        at = headers.get("x-amz-date") or query.get("X-Amz-Date", [""])[0]
        if not at:
            return False
        when = datetime.datetime.strptime(f"{at}+0000", "%Y%m%dT%H%M%SZ%z")
        if "authorization" in headers:
            return headers["authorization"] == object_store.signed(method, url, KEYS, when, body)["authorization"]
        return url == object_store.presigned(method, url.partition("?")[0], KEYS, when, object_store.PROBE_SECONDS)


@pytest.fixture
def store(monkeypatch, request):
    one = Store(**getattr(request, "param", {}))
    monkeypatch.setattr(host, "http", one)
    return one


def test_a_missing_bucket_is_made_and_tried_and_a_second_run_changes_nothing(store):
    first = object_store_runner.ensure(PARAMS, check=False)
    assert (first["changed"], first["unsafe"]) == (True, [])
    assert not object_store_runner.ensure(PARAMS, check=False)["changed"]
    assert store.objects == {}


def test_check_mode_predicts_the_bucket_and_makes_none(store):
    result = object_store_runner.ensure(PARAMS, check=True)
    assert result["changed"]
    assert result["not_predicted"]
    assert store.buckets == set()


@pytest.mark.parametrize("store", [{"up": False}], indirect=True)
def test_check_mode_predicts_the_bucket_of_a_store_that_does_not_run_and_says_what_it_cannot_know(store):
    result = object_store_runner.ensure(PARAMS, check=True)
    assert result["changed"]
    assert "nothing answers" in result["not_predicted"][0]


def test_check_mode_of_a_rotation_goes_on_and_the_run_is_told_of_keys_that_are_not_the_stores(store):
    other = {**PARAMS, "secret_key": "another"}
    result = object_store_runner.ensure(other, check=True)
    assert not result["changed"]
    assert "does not know these keys before it starts" in result["not_predicted"][0]
    with pytest.raises(Refusal, match="wanted a store that knows these keys"):
        object_store_runner.ensure(other, check=False)


@pytest.mark.parametrize("store", [{"up": False}], indirect=True)
def test_a_store_that_never_answers_is_told_with_where_to_look(store):
    with pytest.raises(Unhealthy, match="Connection refused at http://store:9000.*docker logs"):
        object_store_runner.ensure(PARAMS, check=False)


@pytest.mark.parametrize("store", [{"policy": True, "buckets": ["files"]}], indirect=True)
def test_a_policy_that_opens_the_bucket_is_removed(store):
    assert object_store_runner.ensure(PARAMS, check=False)["changed"]
    assert not store.policy


@pytest.mark.parametrize("store", [{"lax": True}], indirect=True)
def test_a_store_that_lets_strangers_in_fails_or_warns_as_wished(store):
    with pytest.raises(Unhealthy, match="a GET without a signature got the status 200.*set on_unsafe to warn"):
        object_store_runner.ensure(PARAMS, check=False)
    result = object_store_runner.ensure({**PARAMS, "on_unsafe": "warn"}, check=False)
    assert len(result["unsafe"]) == 3
    assert result["warnings"]
    assert store.objects == {}


ORIGIN = "https://chat.example.com"


def verified(check=False, **more):
    return object_store_runner.ensure({**PARAMS, "state": "verified", "origins": [ORIGIN], **more}, check)


@pytest.mark.parametrize("store", [{"buckets": ["files"], "origins": [ORIGIN]}], indirect=True)
def test_a_bucket_of_somebody_elses_is_tried_and_left_as_it_is(store):
    assert verified() == {"changed": False, "diff": [], "msg": "the bucket files is there", "unsafe": []}
    assert store.objects == {}
    assert verified(check=True)["not_predicted"] == ["what the bucket lets whom do: check mode puts nothing"]


@pytest.mark.parametrize(
    ("store", "word"),
    [
        pytest.param({}, "have it made by its owner", id="none is there, and none is made"),
        pytest.param({"up": False}, "Connection refused", id="it is not reached"),
        pytest.param({"buckets": ["files"]}, "CORS", id="browsers may not use it"),
    ],
    indirect=["store"],
)
def test_one_that_cannot_serve_is_refused_in_check_mode_too(store, word):
    for check in (True, False):
        with pytest.raises(Refusal, match=word):
            verified(check)
    assert "files" not in store.buckets or store.origins == ()


@pytest.mark.parametrize("store", [{"buckets": ["files"], "origins": [ORIGIN], "policy": True}], indirect=True)
def test_a_policy_of_somebody_elses_stays_and_is_told(store):
    (warning,) = verified()["warnings"]
    assert "has a policy" in warning
    assert store.policy


@pytest.mark.parametrize("store", [{"buckets": ["files"], "lax": True, "origins": [ORIGIN]}], indirect=True)
def test_one_that_lets_strangers_in_is_refused(store):
    with pytest.raises(Unhealthy, match="without a signature"):
        verified()
    assert store.objects == {}


def test_a_bucket_may_be_the_first_part_of_the_name():
    one = object_store_runner.Bucket("https://s3.example.com", "files", KEYS, path_style=False)
    assert (one.address(), one.address("a b")) == (
        *("https://files.s3.example.com/", "https://files.s3.example.com/a%20b"),
    )
