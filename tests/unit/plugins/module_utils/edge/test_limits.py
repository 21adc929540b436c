# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.edge.limits import PEOPLE, chat


@pytest.mark.parametrize("people", [10, 100, 2_000])
def test_all_people_behind_one_address_may_ask_twice_at_once_and_again_every_second(people):
    limits = chat(people)
    assert limits.burst >= 2 * people
    assert limits.rate >= people
    assert limits.connections >= 2 * people
    assert limits.newcomers >= people // 4


@pytest.mark.parametrize("people", [None, 1, PEOPLE])
def test_an_office_of_people_is_let_in_however_few_an_engine_holds_at_once(people):
    assert chat(people) == chat(PEOPLE)
