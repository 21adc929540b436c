# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A company's authorities come into the system's and go from there with their variable."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host, network_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages import authorities_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import files_runner

FIRST = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"
SECOND = "-----BEGIN CERTIFICATE-----\nMIICAAAA\n-----END CERTIFICATE-----\n"


class System:
    """A folder of anchors, and a program that makes one file of them."""

    def __init__(self, tmp_path):
        self.folder, self.store = tmp_path / "anchors", tmp_path / "all.crt"
        self.folder.mkdir()
        self.calls, self.installed, self.is_there = 0, [], True

    def take_up(self, command, timeout=600, environment=None):
        self.calls += 1
        self.store.write_text("".join(path.read_text() for path in sorted(self.folder.iterdir())))

    def install(self, package):
        self.installed.append(package)
        self.is_there = True

    def ensure(self, authorities, check=False):
        given = {"way_out": {"authorities": authorities}} if authorities else {"way_out": {}}
        return authorities_runner.ensure(given, "apt", check, self.install)


@pytest.fixture
def system(tmp_path, state_directory, monkeypatch):
    one = System(tmp_path)
    monkeypatch.setattr(authorities_runner, "ANCHORS", {"apt": (str(one.folder), ("take-up",))})
    monkeypatch.setattr(authorities_runner, "LINKS", str(tmp_path))
    monkeypatch.setattr(network_runner, "BUNDLES", (str(one.store),))
    monkeypatch.setattr(host, "program", lambda name: f"/usr/sbin/{name}" if one.is_there else None)
    monkeypatch.setattr(host, "must", one.take_up)
    monkeypatch.setattr(files_runner.os, "fchown", lambda *_: None)
    return one


def test_without_the_variable_nothing_is_looked_at(system):
    assert system.ensure("") is None
    assert not system.calls


def test_they_come_once_change_and_go(system):
    assert system.ensure(FIRST, check=True)["changed"]
    assert list(system.folder.iterdir()) == []
    assert system.ensure(FIRST)["changed"]
    assert FIRST in system.store.read_text()
    assert not system.ensure(FIRST)["changed"]
    assert system.ensure(SECOND)["changed"]
    assert system.store.read_text() == SECOND
    assert system.ensure("")["changed"]
    assert system.store.read_text() == ""
    assert system.ensure("") is None
    assert system.calls == 3


def test_what_a_run_that_died_left_undone_is_done_by_the_next(system):
    system.ensure(FIRST)
    system.store.write_text("")
    assert system.ensure(FIRST)["changed"]
    assert FIRST in system.store.read_text()


def test_a_bare_host_gets_the_package_first(system):
    system.is_there = False
    system.ensure(FIRST)
    assert system.installed == ["ca-certificates"]
    assert FIRST in system.store.read_text()


def test_a_removal_has_the_system_forget_them(system):
    system.ensure(FIRST)
    (path,) = system.folder.iterdir()
    links = [path.parents[1] / "gpuchat-x.pem", path.parents[1] / "5d0c6cda.0"]
    links[0].symlink_to(path)
    links[1].symlink_to(f"gpuchat-{path.stem}.pem")
    path.unlink()
    authorities_runner.refresh_for(["/etc/other.crt"])
    assert FIRST in system.store.read_text()
    authorities_runner.refresh_for([str(path)])
    assert system.store.read_text() == ""
    assert not any(link.is_symlink() for link in links)
