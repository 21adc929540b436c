# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules get secrets by the names of their variables."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.given_runner import filled

VARIABLES = {"gpuchat_admin_password": "{{ secret }}", "_gpuchat_secrets": {"key": "{{ secret }}"}}


class Templar:
    def template(self, value):
        return dict.fromkeys(value, "known") if isinstance(value, dict) else "known"


class Action:
    _templar = Templar()


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        pytest.param({"email": "a@b.c"}, {"email": "a@b.c"}, id="none"),
        pytest.param({"password_from": "gpuchat_admin_password"}, {"password": "known"}, id="a variable"),
        pytest.param({"password_from": "_gpuchat_secrets.key"}, {"password": "known"}, id="an entry of one"),
        pytest.param({"password_from": ""}, {}, id="nothing is named"),
        pytest.param(
            {"databases": [{"name": "x", "password_from": "_gpuchat_secrets.key"}]},
            {"databases": [{"name": "x", "password": "known"}]},
            id="deep in a list",
        ),
    ],
)
def test_a_secret_is_looked_up_by_the_name_of_its_variable(args, wanted):
    assert filled(Action(), args, VARIABLES) == wanted
