# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with somebody else's servers is told before any host is asked: nginx would not start with it."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import endpoints

LM = {"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": ["llama"]}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({}, "", id="a good one"),
        pytest.param({"url": "http://my_ollama:11434"}, "", id="a name that a network gives its own hosts"),
        pytest.param({"url": "http://[fd00::9]:1234"}, "", id="an address of IPv6"),
        *(
            pytest.param({"url": f"http://{place}/v1"}, "[0].url is 'http://", id=place)
            for place in ("h:0", "h:99999", "999.1.1.1", "10.1", "167772161", "...", "-", "[:::::]:1", "0.0.0.0:1")
        ),
        pytest.param({"url": "http://h/../v1"}, "[0].url is 'http://h/../v1'", id="a path that leads elsewhere"),
        pytest.param({"url": "https://Chat.example.com/v1"}, "has the name of the site", id="the site itself"),
        *(
            pytest.param({"url": f"http://h:1{path}"}, "; set gpuchat_endpoints[0].url to http://h:1/v1", id=path)
            for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages/", "/v1/audio/transcriptions")
        ),
        *(
            pytest.param({"url": f"http://h:11434{path}"}, "set gpuchat_endpoints[0].url to http://h:11434/v1", id=path)
            for path in ("/api", "/api/", "/api/generate")
        ),
        pytest.param({"url": "http://h:3000/api"}, "", id="an API of that name that is no Ollama's"),
        pytest.param({"url": "http://h:11434//v1"}, "[0].url is 'http://h:11434//v1'", id="two slashes"),
        pytest.param(
            {"url": "http://Host.docker.internal:11434/v1"},
            "a name that containers alone know; wanted one that the host knows, from which it is asked; set "
            "gpuchat_endpoints[0].url to http://127.0.0.1:11434/v1",
            id="a name within containers",
        ),
        *(
            pytest.param({"models": [model]}, f"[0].name is {said}, as YAML has read it; wanted a text", id=f"{model}")
            for model, said in ((True, "True"), (1.5, "1.5"), ({"name": False}, "False"))
        ),
        pytest.param(
            {"models": [4, {"name": "b", "upstream": 5}]}, "", id="whole numbers, which are the same as texts"
        ),
        pytest.param({"timeout": "\u00b2"}, "", id="a digit that is no number, of which its type speaks"),
        pytest.param({"key": "(number)"}, "[0].key is a number, whose digits YAML may have changed", id="a number"),
        pytest.param({"models": ["a", "a"]}, "[0].models names 'a' twice; wanted each name once", id="twice"),
        pytest.param(
            {"models": [{"name": "a", "upstream": "x"}, {"name": "a", "upstream": "y"}]},
            "[0].models names 'a' twice",
            id="two models by one name",
        ),
    ],
)
def test_a_server_is_judged_before_any_host_is_asked(changed, words):
    found = list(endpoints.faults([{**LM, **changed}], ["chat.example.com", "10.0.0.5"]))
    assert len(found) == bool(words), found
    assert words in "".join(found)
