# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How root hands a unit its secrets: into a folder of the unit's own user, who is not to lead root elsewhere by it."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

from .real_nginx import rendered

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="the step is root's, for a user that it is not"
)
USER = 65534


@pytest.fixture
def hand_over(tmp_path):
    """Return the unit's folder, and how to have it filled."""
    secrets, to = tmp_path / "secrets", tmp_path / "private" / "run"
    secrets.mkdir()
    to.mkdir(parents=True)
    os.chown(to, USER, USER)
    to.chmod(0o700)
    # The unit's user has no way into what is above its folder, as with systemd's dynamic users.
    to.parent.chmod(0o700)
    (secrets / "host.key").write_text("the key\n")
    script = tmp_path / "script"
    script.write_text(rendered("monitoring/templates/hand-over.j2", _monitoring_folder=str(tmp_path)))
    return to, lambda: subprocess.run(["sh", str(script), str(to), "host.key"], check=False, capture_output=True)


def is_whole(path: pathlib.Path) -> bool:
    found = path.lstat()
    return (path.read_text(), found.st_uid, found.st_mode & 0o7777) == ("the key\n", USER, 0o400)


def test_a_secret_is_its_units_own_and_replaces_a_former_one(hand_over):
    to, run = hand_over
    for _time in range(2):
        done = run()
        assert (done.returncode, done.stderr) == (0, b"")
        assert is_whole(to / "host.key")
    assert os.listdir(to) == ["host.key"]


@pytest.mark.parametrize("name", ["host.key", "host.key.new"])
def test_a_link_of_the_units_leads_root_nowhere(hand_over, tmp_path, name):
    to, run = hand_over
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (to / name).symlink_to(elsewhere)
    run()
    assert os.listdir(elsewhere) == []
    assert is_whole(to / "host.key")
