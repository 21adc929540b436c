# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/alerts.md names the alerts of today."""

from __future__ import annotations

from alerts_docs import DOCUMENT, document


def test_the_table_of_alerts_is_the_one_that_the_rules_make():
    assert document() == DOCUMENT.read_text(encoding="utf-8"), "run tools/alerts_docs.py"
