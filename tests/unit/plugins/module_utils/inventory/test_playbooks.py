# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook is not given without which it has nothing to do."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import playbooks

ROOT = pathlib.Path(__file__).resolve().parents[5]
RESTORE = ["restore_confirm or restore_stack_folder"]
SITE = {"gpuchat_domain": "chat.example.com"}


@pytest.mark.parametrize(
    ("needed", "given", "told"),
    [
        pytest.param([], {}, [], id="nothing is needed"),
        pytest.param(["account_email"], {"account_email": "a@b.de"}, [], id="it is there"),
        pytest.param(
            ["account_email"],
            {},
            ["account_email is not set; wanted the address with which the new person signs in; set it, as by -e acc"],
            id="it is not there",
        ),
        pytest.param(["account_email"], {"account_email": ""}, ["account_email is not set"], id="it is empty"),
        pytest.param(
            ["history_file", "history_email"],
            {},
            ["history_file is not set; wanted a file of the control node", "history_email is not set"],
            id="two of them",
        ),
        pytest.param(
            RESTORE,
            {},
            ["restore_confirm is not set; wanted the stack's domain, without which nothing is restored; set it, as "],
            id="neither of two",
        ),
        pytest.param(RESTORE, {"restore_stack_folder": "/x"}, [], id="one of two"),
        pytest.param(RESTORE, {"restore_confirm": "chat.example.com"}, [], id="the domain"),
        pytest.param(
            RESTORE,
            {"restore_confirm": "yes"},
            ["restore_confirm is 'yes'; wanted the stack's domain, chat.example.com, for a backup takes the place"],
            id="another word than the domain",
        ),
    ],
)
def test_what_a_playbook_needs_is_told_before_any_host_is_asked(needed, given, told):
    found = list(playbooks.faults(needed, {**SITE, **given}))
    assert len(found) == len(told), found
    assert all(one.startswith(begin) for one, begin in zip(found, told, strict=True)), found


def test_playbooks_need_what_is_a_playbooks_variable():
    needed = [
        name
        for path in sorted((ROOT / "playbooks").glob("*.yml"))
        for play in yaml.safe_load(path.read_text())
        for words in play.get("vars", {}).get("__gpuchat_needed", ())
        for name in words.split(playbooks.OR)
    ]
    assert len(needed) > 3
    assert set(needed) <= set(playbooks.OPTIONS)
