# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import urllib.parse

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat.room import describe

VERSIONS = {"lobehub": "2.1.26", "open_webui": "0.12.4"}


def way(described, method, path):
    """Return the way by which nginx would hand a request on; None where it is refused."""
    uri, _mark, args = f"/{path}".partition("?")
    decoded = urllib.parse.unquote(uri)
    if re.search(described["odd_path"], uri):
        return None
    if any(re.search(one["pattern"], f"{decoded}?{args}") for one in described["arguments"]):
        return None
    found = (one for one in described["ways"] if re.search(one["pattern"].replace("$", r"\Z"), decoded))
    return next((one for one in found if method in one["methods"].split("|")), None)


@pytest.mark.parametrize("signup", ["closed", "open"])
@pytest.mark.parametrize("kind", VERSIONS)
def test_the_examples_for_the_verification_are_what_they_are_said_to_be(kind, signup):
    described = describe(kind, VERSIONS[kind], signup)
    for path in described["closed_examples"]:
        assert way(described, "GET", path) is None
        assert way(described, "POST", path) is None
    for one in described["guarded_examples"]:
        assert way(described, one["method"], one["path"])["session"]


@pytest.mark.parametrize("kind", ["none", ""])
def test_without_an_interface_nothing_is_described(kind):
    assert describe(kind, "", "closed") == {}


@pytest.mark.parametrize(
    ("kind", "path", "given", "is_open"),
    [
        ("lobehub", "api/auth/sign-up/email", {}, False),
        ("lobehub", "api/auth/sign-up/email", {"signup": "open"}, True),
        ("lobehub", "api/auth/request-password-reset", {}, False),
        ("lobehub", "api/auth/request-password-reset", {"signup": "open"}, False),
        ("lobehub", "api/auth/sign-in/oauth2", {}, False),
        ("lobehub", "api/auth/sign-in/oauth2", {"sso": True}, True),
        ("lobehub", "api/auth/oauth2/callback/generic-oidc", {}, False),
        ("lobehub", "api/auth/oauth2/callback/generic-oidc", {"sso": True}, False),
        ("lobehub", "api/auth/callback/generic-oidc", {"sso": True}, True),
        ("lobehub", "api/auth/callback/google", {"sso": True}, False),
        ("lobehub", "trpc/tools/mcp.callTool", {}, False),
        ("lobehub", "trpc/tools/mcp.callTool", {"tools": True}, False),
        ("lobehub", "trpc/tools/search.query", {}, False),
        ("lobehub", "trpc/lambda/plugin.createPlugin", {"tools": True}, False),
        ("open_webui", "api/v1/auths/signup", {}, False),
        ("open_webui", "api/v1/auths/signup", {"signup": "open"}, True),
        ("open_webui", "oauth/oidc/callback", {}, False),
        ("open_webui", "oauth/oidc/callback", {"sso": True}, True),
        ("open_webui", "oauth/google/callback", {"sso": True}, False),
    ],
)
def test_what_the_owner_wants_opens_its_own_paths_alone(kind, path, given, is_open):
    described = describe(kind, VERSIONS[kind], **{"signup": "closed", **given})
    assert any(way(described, method, path) for method in ("GET", "POST")) is is_open


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "signin?callbackUrl=https%3A%2F%2Fchat.example.com%2F"),
        ("GET", "?_rsc=1abc"),
        ("GET", "manifest.webmanifest"),
        ("GET", "icons/icon-192x192.png?v=1"),
        ("GET", "favicon-32x32.ico?v=1"),
        ("GET", "avatars/lobe-ai.png"),
        ("GET", "agent/agt_1?topic=tpc_1"),
        ("GET", "trpc/lambda/market.getAssistantList"),
        ("GET", "trpc/lambda/market.getPluginList,agent.getBuiltinAgent,topic.recentTopics,plugin.getPlugins"),
        (
            "GET",
            "trpc/lambda/agent.getBuiltinAgent,userMemories.queryIdentitiesForInjection,aiProvider.getAiProviderRuntimeState",
        ),
        ("POST", "trpc/lambda/aiChat.sendMessageInServer"),
        ("GET", "api/auth/list-accounts"),
        ("GET", "settings/common"),
    ],
)
def test_what_lobehubs_own_page_asks_is_open(method, path):
    assert way(describe("lobehub", VERSIONS["lobehub"], "closed"), method, path)


@pytest.mark.parametrize(("version", "is_open"), [("2.1.26", False), ("2.1.48", True), ("2.2.19", True)])
def test_later_versions_load_their_pages_from_a_folder_of_their_own(version, is_open):
    assert bool(way(describe("lobehub", version, "closed"), "GET", "_spa/assets/a.js")) is is_open
