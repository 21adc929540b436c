# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.edge.paths import BELOW_CLOSED, CLOSED, OPEN


def test_what_is_not_handed_on_is_closed():
    first_words = {path.strip("/").partition("/")[0] for path in (*OPEN, *BELOW_CLOSED)}
    assert first_words <= set(CLOSED)


def test_no_path_is_both_open_and_an_example_of_a_closed_one():
    assert not {path.strip("/") for path in OPEN} & {*CLOSED, *BELOW_CLOSED}
