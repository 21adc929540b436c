# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.people import (
    faults,
    forward_auth,
    hash_faults,
    name_faults,
)

NAMES = ("chat.example.com", "10.0.0.5")
URL = "https://auth.example.com:9091/api/authz/auth-request"


def test_nobody_is_asked_unless_an_address_is_set():
    assert forward_auth({}) is None
    assert list(faults({}, NAMES)) == []


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (URL, {"url": URL, "host": "auth.example.com", "place": "auth.example.com:9091", "is_tls": True}),
        ("https://auth.example.com", {"url": "https://auth.example.com/", "place": "auth.example.com"}),
        ("http://10.0.0.9/verify", {"url": "http://10.0.0.9/verify", "host": "10.0.0.9", "is_tls": False}),
    ],
)
def test_the_edge_knows_whom_it_asks_and_by_which_name(url, wanted):
    asked = forward_auth({"edge_forward_auth": url})
    assert {name: asked.as_dict()[name] for name in wanted} == wanted


def test_headers_are_handed_on_by_the_variables_that_nginx_has_for_them():
    asked = forward_auth({"edge_forward_auth": URL, "edge_forward_auth_headers": ["Remote-User"]})
    assert asked.as_dict()["headers"] == [{"name": "Remote-User", "variable": "upstream_http_remote_user"}]


@pytest.mark.parametrize(
    "settings",
    [
        {"edge_forward_auth": URL},
        {"edge_forward_auth": URL, "edge_forward_auth_signin": "https://auth.example.com/?rd="},
        {"edge_forward_auth": URL, "edge_forward_auth_authority_file": "/ca.crt"},
        {"edge_forward_auth": "http://127.0.0.1:9091/verify"},
        {"edge_forward_auth": "http://10.0.0.9:9091/verify", "edge_forward_auth_headers": ["Remote-User", "X-Groups"]},
    ],
)
def test_what_makes_sense_passes(settings):
    assert list(faults(settings, NAMES)) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param(
            {"edge_forward_auth_signin": "https://auth.example.com/"},
            "edge_forward_auth_signin is set, and edge_forward_auth is not",
            id="a sign-in, and nobody is asked",
        ),
        pytest.param({"edge_forward_auth_headers": ["A"]}, "edge_forward_auth_headers is set, and", id="of nobody"),
        pytest.param(
            {"edge_forward_auth": URL, "edge_password_file": "/p"},
            "are both set; wanted one sign-in",
            id="two",
        ),
        pytest.param({"edge_forward_auth": "https://CHAT.example.com/verify"}, "the chat's own address", id="itself"),
        pytest.param({"edge_forward_auth": "http://auth.example.com/verify"}, "wanted https", id="in plain text"),
        pytest.param(
            {"edge_forward_auth": "https://10.0.0.9/verify"}, "wanted a name in place of the address", id="TLS"
        ),
        pytest.param(
            {"edge_forward_auth": URL, "edge_forward_auth_headers": ["Remote-User", "remote-user"]},
            "edge_forward_auth_headers holds remote-user twice",
            id="a header twice",
        ),
        pytest.param({"edge_forward_auth": "http://8.8.8.8/verify"}, "wanted https", id="in plain text, far away"),
        pytest.param(
            {"edge_forward_auth": "http://10.0.0.9/", "edge_forward_auth_authority_file": "/ca.crt"},
            "edge_forward_auth_authority_file is set, and edge_forward_auth is plain HTTP",
            id="an authority without TLS",
        ),
        pytest.param(
            {"edge_forward_auth": URL, "edge_forward_auth_headers": ["Remote-User", "X-Forwarded-For", "cookie"]},
            "edge_forward_auth_headers holds 'X-Forwarded-For', 'cookie'",
            id="headers of the edge's own",
        ),
    ],
)
def test_what_contradicts_itself_is_a_fault_that_says_what_to_set(settings, words):
    (fault,) = faults(settings, NAMES)
    assert words in fault
    assert "set edge_forward_auth" in fault or "take " in fault


@pytest.mark.parametrize(
    ("names", "words"),
    [
        pytest.param(["ada", "bob.b@example.com"], "", id="names"),
        pytest.param([], "holds no name", id="an empty file"),
        pytest.param(["ada", "a$b"], "holds the name 'a$b'", id="nginx would read a variable"),
        pytest.param(["~ada"], "holds the name '~ada'", id="nginx would read a pattern"),
        pytest.param(["ada", "ada"], "holds ada twice", id="twice"),
        pytest.param(["Bob", "bob"], "holds bob twice", id="twice, as nginx compares them"),
        pytest.param(["Default"], "holds the name 'Default'", id="a word of a map's own"),
    ],
)
def test_names_of_people_stand_in_nginxs_configuration(names, words):
    assert words in "".join(name_faults(names))
    assert bool(words) == bool(list(name_faults(names)))


def test_people_whose_passwords_are_not_hashed_are_told():
    assert list(hash_faults([])) == []
    assert list(hash_faults(["a$b"])) == []  # which is told by its name
    (word,) = hash_faults(["ada", "bob"])
    assert word.startswith("edge_password_file holds no hashed password for ada, bob; wanted lines as htpasswd -B")
