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


def test_where_nobody_says_how_many_there_are_an_office_is_taken():
    assert chat(None) == chat(PEOPLE)


def test_a_few_people_are_not_limited_to_less_than_a_busy_page_asks():
    assert chat(1) == chat(10)
