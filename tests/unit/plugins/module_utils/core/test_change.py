# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.change import Difference, Plan


def test_a_plan_without_actions_changes_nothing():
    assert Plan(reason="all is well").result() == {"changed": False, "diff": [], "msg": "all is well"}


def test_a_plan_with_actions_shows_its_differences_as_ansible_wants_them():
    plan = Plan((Difference("/etc/a", "old\n", "new\n"),), ("write",), "one to write", ("its health",))
    shown = {"before_header": "/etc/a", "after_header": "/etc/a", "before": "old\n", "after": "new\n"}
    assert plan.result() == {"changed": True, "diff": [shown], "msg": "one to write", "not_predicted": ["its health"]}
