# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail


@pytest.fixture
def expanded(by_path):
    """Return what the action plugin makes of an entry of ``files`` before it renders anything."""
    plugin = by_path("action_plugins/gpuchat_files.py")
    action = plugin.ActionModule.__new__(plugin.ActionModule)
    return lambda entry: [action._rendered(one, {}) for one in action._expanded(entry)]


def test_copies_are_a_folder_and_the_files_in_it_as_they_lie_there(expanded, tmp_path):
    texts = {"ca.crt": "a certificate {{ no template }}  \n\n", "secrets.yml": "$ANSIBLE_VAULT;1.1;AES256\r\n3361\n"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
    copies = [str(tmp_path / name) for name in texts]
    folder, *files = expanded({"dest": "/srv/stack", "copies": copies, "mode": "0700", "secret": True})
    assert folder == {"dest": "/srv/stack", "folder": True, "mode": "0700"}
    assert files == [
        {"dest": f"/srv/stack/{name}", "secret": True, "secret_content": text} for name, text in texts.items()
    ]


def test_without_any_copies_the_folder_is_there_all_the_same(expanded):
    assert expanded({"dest": "/srv/stack", "copies": []}) == [{"dest": "/srv/stack", "folder": True, "mode": "0755"}]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "no text"])
def test_a_copy_that_cannot_be_made_is_said_with_its_path(expanded, tmp_path, content):
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(AnsibleActionFail, match="wanted texts that the control node may read; set copies"):
        expanded({"dest": "/srv/stack", "copies": [str(tmp_path / "x")]})
