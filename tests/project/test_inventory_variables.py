# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of which variables of the inventory flow into which option."""

from __future__ import annotations

import inventory_variables


def test_the_table_is_what_the_roles_say():
    assert inventory_variables.TABLE.read_text(encoding="utf-8") == inventory_variables.text(), (
        "run python tools/inventory_variables.py"
    )


def test_a_variable_is_found_through_a_roles_own_ones():
    own = {"_x": "{{ gpuchat_domain }}", "_y": {"url": "{{ _x }}/v1"}, "_z": "{{ _z }}"}
    public = {"gpuchat_domain", "gpuchat_model", "gpuchat_model.name"}
    assert dict(inventory_variables.leaves("site", "{{ _y }}", own)) == {"site.url": "{{ _x }}/v1"}
    assert inventory_variables.reached("{{ _x }}/{{ gpuchat_model.name }}", own, public) == {
        "gpuchat_domain", "gpuchat_model.name",
    }  # fmt: skip
    assert inventory_variables.reached("{{ _z }} and 'gpuchat_domain'", own, public) == set()
