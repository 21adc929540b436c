# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of the role backup, and what it is given."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def program(by_path):
    return by_path("roles/backup/files/gpuchat_backup.py")


@pytest.fixture(autouse=True)
def mask():
    """Leave the files of other tests as they would be: the program makes its own for root alone."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def given(tmp_path):
    """Return what backup.json holds, for folders of this test."""
    for name in ("state", "files", "folder"):
        (tmp_path / name).mkdir()
    return {
        "target": "/srv/backup",
        "domain": "chat.example.com",
        "kind": "lobehub",
        "version": "2.1.48",
        "database": "lobehub",
        "files": str(tmp_path / "files"),
        "containers": ["gpuchat-lobehub", "gpuchat-object-store"],
        "supervisor": "compose",
        "url": "",
        "keep": {"daily": 7, "weekly": 5},
        "state": str(tmp_path / "state"),
        "folder": str(tmp_path / "folder"),
    }


@pytest.fixture
def settings(program, given):
    return program.settings_of(given)
