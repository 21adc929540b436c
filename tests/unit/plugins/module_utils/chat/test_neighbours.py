# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an interface is told of its database, its store, its company's sign-in and its tools."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import accounts, neighbours
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import elsewhere, sign_in, tool_servers

from ..inventory.layouts import topology

DATABASE = elsewhere.Database("db.example.com", 6432, "chat", "chat@company", "/etc/company/ca.pem")
STORE = elsewhere.Store("https://s3.example.com", "files", "eu-1")
SIGN_IN = sign_in.SignIn("https://id.example.com", "chat")
ROOM_CERTIFICATE = "/run/secrets/room.crt"


def interface(kind, **more):
    """Return an interface, as the topology describes it, with all that it may have elsewhere unless said otherwise."""
    given = {"database": DATABASE, "store": STORE, "sign_in": SIGN_IN, **more}
    return replace(topology("a", "a", "a", interface=kind), **given).as_dict()["hosts"]["a"]["interface"]


def alone(kind):
    return interface(kind, database=None, store=None, sign_in=None)


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("lobehub", "postgres://lobehub:{password}@/lobehub?host=/run/postgresql"),
        ("open_webui", "postgresql://open_webui:{password}@/open_webui?host=/run/postgresql"),
    ],
)
def test_the_stacks_own_database_is_met_at_its_socket(kind, url):
    found = neighbours.find(alone(kind), "closed")
    assert found.database_url == url
    assert found.database_volume == "/var/lib/gpuchat/postgresql/socket:/run/postgresql:ro"


@pytest.mark.parametrize(("kind", "scheme"), [("lobehub", "postgres"), ("open_webui", "postgresql")])
def test_a_database_elsewhere_is_met_by_its_name_at_the_rooms_door_and_known_by_its_authority(kind, scheme):
    found = neighbours.find(interface(kind), "closed")
    assert found.database_url == (
        f"{scheme}://chat%40company:{{password}}@db.example.com:5432/chat"
        "?sslmode=verify-full&sslrootcert=/run/secrets/database.crt"
    )
    assert found.database_volume == "/etc/gpuchat/database/authority.crt:/run/secrets/database.crt:ro"


def test_lobehub_keeps_files_under_the_sites_own_name_or_in_a_store_elsewhere():
    own, other = (neighbours.find(one, "closed").environment for one in (alone("lobehub"), interface("lobehub")))
    assert {name: own[name] for name in own if name.startswith("S3_")} == {
        "S3_ENDPOINT": "https://chat.example.com",
        "S3_BUCKET": "gpuchat-files",
        "S3_REGION": "us-east-1",
        "S3_ENABLE_PATH_STYLE": "1",
    }
    assert (other["S3_ENDPOINT"], other["S3_BUCKET"], other["S3_REGION"]) == ("https://s3.example.com", "files", "eu-1")
    in_names = interface("lobehub", store=replace(STORE, path_style=False))
    assert neighbours.find(in_names, "closed").environment["S3_ENABLE_PATH_STYLE"] == "0"


@pytest.mark.parametrize(
    ("more", "certificate"),
    [
        pytest.param({"site_scheme": "https"}, ROOM_CERTIFICATE, id="its own site by TLS"),
        pytest.param({"site_scheme": "http"}, "", id="nothing by TLS"),
        pytest.param(
            {"site_scheme": "http", "sign_in": interface("lobehub")["sign_in"]}, ROOM_CERTIFICATE, id="sign-in"
        ),
        pytest.param({"site_scheme": "http", "store": interface("lobehub")["store"]}, ROOM_CERTIFICATE, id="a store"),
    ],
)
def test_lobehub_trusts_its_rooms_certificate_where_it_asks_by_tls(more, certificate):
    plain = alone("lobehub")
    here = {**plain, "store": {**plain["store"], "scheme": more["site_scheme"]}, **more}
    assert neighbours.find(here, "closed").environment["NODE_EXTRA_CA_CERTS"] == certificate


@pytest.mark.parametrize(
    ("signup", "by_company", "emails", "taken"),
    [
        ("closed", False, ["example.com"], neighbours.NOBODY),
        ("closed", True, [], ""),
        ("closed", True, ["example.com"], "example.com"),
        ("open", False, [], ""),
        ("open", False, ["Example.com", "Kim@example.org"], "example.com,kim@example.org"),
    ],
)
def test_lobehub_lets_nobody_sign_up_where_that_is_closed_and_no_company_sends_people(
    signup, by_company, emails, taken
):
    here = interface("lobehub") if by_company else alone("lobehub")
    assert neighbours.find(here, signup, emails).environment["AUTH_ALLOWED_EMAILS"] == taken


def test_nobody_is_no_address_and_no_domain():
    """LobeHub compares what holds an @ to whole addresses, and the rest to what follows the first @ of one."""
    assert neighbours.NOBODY == "@"
    assert not accounts.is_email(neighbours.NOBODY)


def test_a_company_signs_people_in():
    told = neighbours.find(interface("lobehub"), "closed").environment
    assert {name: told[name] for name in told if "SSO" in name or "OIDC" in name} == {
        "AUTH_SSO_PROVIDERS": "generic-oidc",
        "AUTH_GENERIC_OIDC_ISSUER": "https://id.example.com",
        "AUTH_GENERIC_OIDC_ID": "chat",
    }
    told = neighbours.find(interface("open_webui", store=None), "closed").environment
    assert told == {
        "OPENID_PROVIDER_URL": "https://id.example.com/.well-known/openid-configuration",
        "OPENID_REDIRECT_URI": "https://chat.example.com/oauth/oidc/callback",
        "OAUTH_CLIENT_ID": "chat",
        "ENABLE_OAUTH_SIGNUP": "True",
        "SSL_CERT_FILE": ROOM_CERTIFICATE,
        "TOOL_SERVER_CONNECTIONS": "[]",
    }


@pytest.mark.parametrize("kind", ["lobehub", "open_webui"])
def test_without_a_company_nothing_is_told_of_one(kind):
    words = ("SSO", "OIDC", "OPENID", "OAUTH", "SSL_CERT")
    told = neighbours.find(alone(kind), "closed").environment
    assert [name for name in told if any(word in name for word in words)] == []


@pytest.mark.parametrize(
    ("changed", "style", "certificate"),
    [
        ({}, "path", ROOM_CERTIFICATE),
        ({"path_style": False}, "virtual", ROOM_CERTIFICATE),
        ({"url": "http://s3.example.com"}, "path", ""),
    ],
)
def test_open_webui_keeps_files_in_a_store_elsewhere(changed, style, certificate):
    here = interface("open_webui", store=replace(STORE, **changed), sign_in=None)
    assert neighbours.find(here, "closed").environment == {
        "STORAGE_PROVIDER": "s3",
        "S3_ENDPOINT_URL": here["store"]["url"],
        "S3_BUCKET_NAME": "files",
        "S3_REGION_NAME": "eu-1",
        "S3_ADDRESSING_STYLE": style,
        "AWS_CA_BUNDLE": certificate,
        "TOOL_SERVER_CONNECTIONS": "[]",
    }


def test_open_webui_finds_the_owners_tools_at_the_rooms_door():
    (tool,) = tool_servers.read([{"name": "wiki", "url": "http://10.0.0.9:9000/mcp"}])
    told = neighbours.find(interface("open_webui", tools=(tool,)), "closed").environment
    (one,) = json.loads(told["TOOL_SERVER_CONNECTIONS"])
    assert one["url"].startswith("http://172.16.255.249:8000/")


@pytest.mark.parametrize(
    ("here", "files", "containers"),
    [
        pytest.param(
            alone("lobehub"),
            "/var/lib/gpuchat/object-store",
            ["gpuchat-lobehub", "gpuchat-object-store"],
            id="LobeHub, with the store that it needs after it",
        ),
        pytest.param(interface("lobehub"), "", ["gpuchat-lobehub"], id="a store elsewhere is its owner's to back up"),
        pytest.param(
            alone("open_webui"), "/var/lib/gpuchat/open-webui", ["gpuchat-open-webui"], id="Open WebUI's own folder"
        ),
        pytest.param(
            interface("open_webui"),
            "/var/lib/gpuchat/open-webui",
            ["gpuchat-open-webui"],
            id="Open WebUI's own folder, with a store elsewhere too",
        ),
    ],
)
def test_a_backup_holds_what_is_the_stacks_own(here, files, containers):
    assert neighbours.find(here, "closed").as_dict()["backup"] == {"files": files, "containers": containers}


@pytest.mark.parametrize("kind", ["lobehub", "open_webui"])
def test_all_that_it_is_told_are_texts(kind):
    told = neighbours.find(interface(kind), "closed").as_dict()
    assert json.loads(json.dumps(told)) == told
    assert all(isinstance(value, str) for value in told["environment"].values())
