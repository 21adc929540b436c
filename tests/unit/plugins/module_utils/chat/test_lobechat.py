# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat.lobechat import AGENTS, wire
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.served import Served


def settings(**served):
    return json.loads(wire(Served("qwen", **served)).settings)


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


def test_a_browser_is_led_anew_when_the_settings_change_and_only_then():
    one, same, other = wire(Served("qwen")), wire(Served("qwen")), wire(Served("qwen", tool_calls=True))
    assert one.mark == same.mark != other.mark
    assert json.loads(one.settings)["general"] == {"neutralColor": one.mark}
