# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/alerts.md: every alert of a stack that has all parts, what it means and what to do."""

from __future__ import annotations

import importlib
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "alerts.md"
PACKAGE = "ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat"
INTRODUCTION = """\
# Alerts

What [the monitoring](monitoring.md) tells people of, and what to do then; `INVENTORY` is yours. A stack has the alerts
of its parts alone: without `backup_target` none about backups. A critical alert takes the place of the warning of the
same; of a host that is down nothing else is told, and of one that is out of rotation nothing that work on it stops.
What is critical is told again after 4 hours, a warning after 24. Each message ends with its last column.
"""


def document() -> str:
    """Return the document as the alerts of today have it."""
    alerts = importlib.import_module(f"{PACKAGE}.monitoring.alerts")
    stack = importlib.import_module(f"{PACKAGE}.monitoring.stack")
    targets = [
        {"job": job, "host": "server", "place": "127.0.0.1:9400", "path": f"/metrics/{job}", "model": model}
        for job, model in (("node", ""), ("engine", "model"), ("postgresql", ""), ("nginx", ""), ("edge", ""))
    ]
    remotes = [{"name": "central", "url": "https://metrics.example.com/api/v1/write"}]
    whole = stack.read({"host": "server", "targets": targets, "has_backup": True, "remotes": remotes})
    return "\n".join((INTRODUCTION, *alerts.table(whole), ""))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    importlib.import_module("conftest")  # lets the collection be imported from a checkout
    DOCUMENT.write_text(document(), encoding="utf-8")
