# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module of somebody else's servers gives back."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils import basic
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import endpoint_models_runner
from ansible_collections.gpuchat.stack.plugins.modules import gpuchat_endpoint_models

MODELS = ["local-model", "qwen3:8b"]


@pytest.mark.parametrize("key", ["local", "x", "8", "model", "sk-of-somebody-else"])
@pytest.mark.parametrize("moved", [False, True])
def test_a_key_hides_no_name_of_a_model_and_is_shown_to_nobody(monkeypatch, capsys, tmp_path, key, moved):
    answer = host.Response(302, {"location": f"http://a/?key={key}"}, b"")
    if not moved:
        answer = host.Response(200, {}, json.dumps({"data": [{"id": name} for name in MODELS]}).encode())
    monkeypatch.setattr(host, "http", lambda *_words, **_more: answer)
    monkeypatch.setattr(endpoint_models_runner, "PAUSE_SECONDS", 0)
    given = {"servers": [{"name": "lm", "url": "http://a/v1", "timeout": 1}], "folder": str(tmp_path)}
    given |= {"server_keys": {"lm": key}, "before": {"lm": MODELS}}
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    with pytest.raises(SystemExit):
        gpuchat_endpoint_models.main()
    printed = capsys.readouterr().out
    result = json.loads(printed)
    assert result["listed"] == {"lm": MODELS}
    assert len(key) < 8 or key not in printed
    assert "server_keys" not in printed
    assert len(key) < 8 or key not in json.dumps(result["unread"])
