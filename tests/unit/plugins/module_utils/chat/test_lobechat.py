# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
import urllib.parse

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat.lobechat import (
    AGENTS,
    CLOSED_EXAMPLES,
    closed_pattern,
    open_pattern,
    wire,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.served import Served


def settings(**served):
    return json.loads(wire([Served("qwen", **served)]).settings)


def test_each_agent_asks_the_stacks_own_model():
    told = settings()
    assert told["defaultAgent"]["config"] == {"model": "qwen", "provider": "vllm"}
    assert told["systemAgent"] == {agent: {"model": "qwen", "provider": "vllm"} for agent in AGENTS}


def test_the_stacks_own_provider_alone_is_on():
    providers = settings()["languageModel"]
    assert [name for name, one in providers.items() if one["enabled"]] == ["vllm"]


@pytest.mark.parametrize(
    ("served", "card"),
    [
        pytest.param({}, {}, id="nothing is known"),
        pytest.param({"tool_calls": True}, {"functionCall": True}, id="tool calls"),
        pytest.param({"context": 8192}, {"contextWindowTokens": 8192}, id="a length"),
    ],
)
def test_the_models_card_says_what_the_plan_knows(served, card):
    (shown,) = settings(**served)["languageModel"]["vllm"]["customModelCards"]
    assert shown == {"id": "qwen", "displayName": "qwen", **card}


def test_people_may_choose_among_all_that_chat_and_meet_the_first():
    told = json.loads(wire([Served("bge", "embed"), Served("qwen"), Served("llama")]).settings)
    assert told["languageModel"]["vllm"]["enabledModels"] == ["qwen", "llama"]
    assert told["defaultAgent"]["config"]["model"] == "qwen"


def test_without_a_model_that_chats_none_is_named():
    assert "defaultAgent" not in json.loads(wire([Served("bge", "embed")]).settings)


def test_a_browser_is_led_anew_when_the_settings_change_and_only_then():
    one, same, other = wire([Served("qwen")]), wire([Served("qwen")]), wire([Served("qwen", tool_calls=True)])
    assert one.mark == same.mark != other.mark
    assert json.loads(one.settings)["general"] == {"neutralColor": one.mark}


def normalised(path):
    """Return a path as nginx sees it: decoded, and then without dots."""
    decoded = urllib.parse.unquote("/" + path.partition("?")[0])
    while re.search(r"/[^/]+/\.\./", decoded):
        decoded = re.sub(r"/[^/]+/\.\./", "/", decoded)
    return decoded


@pytest.mark.parametrize("path", CLOSED_EXAMPLES)
def test_an_example_of_a_closed_path_is_closed_and_not_open(path):
    assert re.search(closed_pattern(), normalised(path), re.IGNORECASE)
    assert not re.search(open_pattern(), normalised(path))


@pytest.mark.parametrize(
    "path",
    [
        "/webapi/chat/vllm",
        "/trpc/lambda/config.getGlobalConfig",
        "/trpc/lambda/market.getPluginList,config.getGlobalConfig",
    ],
)
def test_what_the_page_asks_is_open(path):
    assert re.search(open_pattern(), path)


@pytest.mark.parametrize("path", ["/_next/static/chunks/1.js", "/chat", "/icons/icon-192x192.png", "/"])
def test_pages_and_assets_are_not_closed(path):
    assert not re.search(closed_pattern(), path, re.IGNORECASE)
