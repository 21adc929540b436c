# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How requests to an object store are signed, and what its answers mean."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data import object_store
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data.object_store import Found, Keys, Tried

# The examples of AWS's documentation of the signature.
KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
AT = datetime.datetime(2013, 5, 24, tzinfo=datetime.UTC)
HOST = "https://examplebucket.s3.amazonaws.com"
WELL = Tried(200, 200, True, 403, 403, 403, 404, 204)


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_a_request_is_signed_as_aws_documents_it(query, signature):
    headers = object_store.signed("GET", f"{HOST}/{query}", KEYS, AT)
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
    )


def test_an_address_is_presigned_as_aws_documents_it():
    url = object_store.presigned("GET", f"{HOST}/test.txt", KEYS, AT, 86400)
    assert url.startswith(f"{HOST}/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F")
    assert url.endswith("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_a_wrong_signature_is_never_the_right_one():
    for end in "0123456789abcdef":
        assert object_store.with_wrong_signature(f"x{end}") != f"x{end}"


def test_the_secret_half_of_the_keys_shows_nowhere():
    assert KEYS.secret not in repr(KEYS)


@pytest.mark.parametrize(
    ("found", "actions"),
    [
        (Found(404, said="NoSuchBucket"), ("create",)),
        (Found(200, 404), ()),
        (Found(200, 501), ()),
        (Found(200, 200), ("close",)),
    ],
)
def test_a_bucket_is_made_where_it_is_missing_and_closed_where_it_has_a_policy(found, actions):
    assert object_store.decide("files", found).actions == actions


def test_keys_that_the_store_does_not_know_are_refused_by_its_own_words():
    with pytest.raises(Refusal, match="SignatureDoesNotMatch.*set access_key and secret_key"):
        object_store.decide("files", Found(403, said="SignatureDoesNotMatch"))


@pytest.mark.parametrize("found", [Found(301), Found(200, 400)])
def test_an_answer_that_nobody_expects_ends_it(found):
    with pytest.raises(Unhealthy, match="found the status"):
        object_store.decide("files", found)


@pytest.mark.parametrize(
    ("tried", "word"),
    [
        ({"put": 500}, "presigned PUT got the status 500"),
        ({"get": 403}, "presigned GET got the status 403"),
        ({"same": False}, "presigned GET got other bytes"),
        ({"missing": 403}, "missing object got the status 403, not 404"),
        ({"removed": 405}, "DELETE got the status 405"),
    ],
)
def test_what_a_chat_could_not_do_is_a_fault(tried, word):
    assert len(object_store.faults(replace(WELL, **tried))) == 1
    assert word in object_store.faults(replace(WELL, **tried))[0]


@pytest.mark.parametrize(
    ("tried", "word"),
    [
        ({"unsigned": 200}, "a GET without a signature got the status 200"),
        ({"forged": 200}, "a GET with a wrong signature"),
        ({"forged_put": 200}, "a PUT with a wrong signature"),
        ({"unsigned": 0}, "a GET without a signature got the status 0"),
    ],
)
def test_what_strangers_can_do_is_unsafe(tried, word):
    assert word in object_store.unsafe(replace(WELL, **tried))[0]


def test_a_store_that_answers_well_has_no_findings():
    assert object_store.faults(WELL) == []
    assert object_store.unsafe(WELL) == []


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        pytest.param(Found(200), "", id="one that is there"),
        pytest.param(Found(0, said="certificate verify failed"), "certificate verify failed", id="not reached"),
        pytest.param(Found(403, said="InvalidAccessKeyId"), "set object_store_access_key", id="other keys"),
        pytest.param(Found(404), "set gpuchat_object_store.bucket", id="no such bucket"),
        pytest.param(Found(400, said="AuthorizationHeaderMalformed"), "gpuchat_object_store.region", id="a region"),
    ],
)
def test_a_bucket_of_somebody_elses_is_not_made_but_refused(found, wanted):
    if not wanted:
        object_store.refuse("chat", "https://s3.example.com", found)
        return
    with pytest.raises(Refusal, match=wanted):
        object_store.refuse("chat", "https://s3.example.com", found)


ORIGIN = "https://chat.example.com"
ALLOWS = {
    "access-control-allow-origin": ORIGIN,
    "access-control-allow-methods": "GET, PUT",
    "access-control-allow-headers": "Content-Type",
}


@pytest.mark.parametrize(
    ("method", "status", "changed", "wanted"),
    [
        pytest.param("PUT", 200, {}, True, id="all that is asked for"),
        pytest.param("PUT", 204, {"access-control-allow-origin": "*"}, True, id="everybody"),
        pytest.param("PUT", 403, {}, False, id="a refusal"),
        pytest.param("PUT", 200, {"access-control-allow-origin": "https://other"}, False, id="another origin"),
        pytest.param("PUT", 200, {"access-control-allow-methods": "GET"}, False, id="no PUT"),
        pytest.param("PUT", 200, {"access-control-allow-headers": ""}, False, id="no content-type"),
        pytest.param("GET", 200, {"access-control-allow-methods": ""}, True, id="a simple method needs no word"),
    ],
)
def test_an_answer_is_read_as_a_browser_reads_it(method, status, changed, wanted):
    assert object_store.cors_allows(ORIGIN, method, status, {**ALLOWS, **changed}) is wanted


def test_what_browsers_may_not_is_told_with_its_origins():
    object_store.refuse_cors("chat", [])
    with pytest.raises(Refusal, match=r"PUT from https://a, https://b \(CORS\)"):
        object_store.refuse_cors("chat", [("https://a", "PUT"), ("https://b", "PUT")])
