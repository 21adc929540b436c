# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether people can sign in by the issuer of a company's accounts."""

from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import issuer, issuer_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal

NAME = "https://id.example.com/realms/company"
GOOD = {
    "issuer": NAME,
    "authorization_endpoint": f"{NAME}/auth",
    "token_endpoint": f"{NAME}/token",
    "jwks_uri": f"{NAME}/certs",
    "userinfo_endpoint": f"{NAME}/userinfo",
    "response_types_supported": ["code", "id_token"],
}


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        pytest.param({}, "", id="a good one"),
        pytest.param({"userinfo_endpoint": None}, "", id="none to ask of people, for its tokens tell"),
        pytest.param(
            {"authorization_endpoint": "https://login.example.com/auth"}, "", id="a page for browsers at another name"
        ),
        pytest.param({"issuer": f"{NAME}/"}, "set gpuchat_sso.issuer to that", id="itself with a slash"),
        pytest.param({"issuer": None}, "calls itself None", id="no name of its own"),
        pytest.param({"token_endpoint": None}, "token_endpoint", id="nothing to ask for tokens"),
        pytest.param({"token_endpoint": 5}, "token_endpoint", id="a number for an address"),
        pytest.param({"jwks_uri": "http://id.example.com/certs"}, "jwks_uri", id="keys in the clear"),
        pytest.param(
            {"token_endpoint": "https://oauth2.example.com/token"}, "the one place", id="tokens at another name"
        ),
        pytest.param({"jwks_uri": "https://id.example.com:8443/certs"}, "the one place", id="keys at another port"),
        pytest.param({"response_types_supported": ["id_token"]}, "wanted code", id="no code"),
        pytest.param({"response_types_supported": []}, "signs in by nothing", id="nothing at all"),
    ],
)
def test_an_issuer_is_judged_by_what_it_says_of_itself(changed, wanted):
    found = issuer.faults(NAME, {**GOOD, **changed})
    assert len(found) == bool(wanted), found
    assert all(wanted in one for one in found)


@pytest.mark.parametrize("told", [None, [], "x"])
def test_what_is_no_object_is_no_issuer(told):
    (word,) = issuer.faults(NAME, told)
    assert "set gpuchat_sso.issuer" in word


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (host.Response(404, {}, b""), "answered 404; wanted what the issuer says of itself; set gpuchat_sso.issuer"),
        (host.Response(301, {}, b""), "answered 301"),
        (host.Response(0, {}, b"", "no such name"), "is not reached (no such name); wanted a way from the chat's host"),
        (host.Response(0, {}, b"", "certificate verify failed"), "set gpuchat_sso.authority_file"),
        (host.Response(200, {}, b"<html>"), "found no JSON object"),
        (host.Response(200, {}, json.dumps({**GOOD, "jwks_uri": ""}).encode()), "jwks_uri"),
    ],
)
def test_an_issuer_that_cannot_serve_is_refused(monkeypatch, answer, wanted):
    monkeypatch.setattr(host, "http", lambda *_words, **_more: answer)
    with pytest.raises(Refusal) as refused:
        issuer_runner.verify({"issuer": NAME, "authority": ""})
    assert wanted in str(refused.value)


def test_an_issuer_is_asked_where_the_chat_will_ask_it_and_by_its_own_authority(monkeypatch):
    asked = []

    def answer(url, **more):
        asked.append((url, more["direct"], more["redirects"], more["authority"]))
        return host.Response(200, {}, json.dumps({**GOOD, "issuer": f"{NAME}/"}).encode())

    monkeypatch.setattr(host, "http", answer)
    found = issuer_runner.verify({"issuer": f"{NAME}/", "authority": "PEM"})
    assert found == {"changed": False, "authorization_endpoint": f"{NAME}/auth"}
    assert asked == [(f"{NAME}/.well-known/openid-configuration", True, False, "PEM")]
