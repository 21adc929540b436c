# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dockerd pulls through: files of ours beside its unit, which no account but root's reads."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker import daemon_network_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import files_runner

GIVEN = {
    "way_out": {"https": "http://proxy:3128", "no_proxy": ["localhost"], "own": ["10.0.0.5"]},
    "way_out_logins": {"https": "name:s3cret%40word"},
}


@pytest.fixture
def paths(tmp_path, state_directory, monkeypatch):
    variables, drop_in = tmp_path / "network.env", tmp_path / "docker.service.d" / "gpuchat-network.conf"
    monkeypatch.setattr(daemon_network_runner, "VARIABLES", str(variables))
    monkeypatch.setattr(daemon_network_runner, "DROP_IN", str(drop_in))
    monkeypatch.setattr(files_runner.os, "fchown", lambda *_: None)
    return variables, drop_in


def test_without_a_proxy_there_is_nothing_to_do(paths):
    assert daemon_network_runner.ensure({"way_out": {}, "way_out_logins": {}}, False) == (None, "")


def test_the_login_is_in_a_file_for_root_alone_and_in_no_diff(paths):
    variables, drop_in = paths
    result, digest = daemon_network_runner.ensure(GIVEN, False)
    assert result["changed"]
    assert digest
    assert 'HTTPS_PROXY="http://name:s3cret%40word@proxy:3128"\n' in variables.read_text()
    assert "10.0.0.5" not in variables.read_text()
    assert variables.stat().st_mode & 0o777 == 0o600
    assert "s3cret" not in drop_in.read_text() + str(result)
    again, same = daemon_network_runner.ensure(GIVEN, False)
    assert not again["changed"]
    assert same == digest


def test_files_go_with_the_variable(paths):
    daemon_network_runner.ensure(GIVEN, False)
    result, digest = daemon_network_runner.ensure({"way_out": {}}, False)
    assert result["changed"]
    assert digest == ""
    assert not any(path.exists() for path in paths)
    assert daemon_network_runner.ensure({"way_out": {}}, False) == (None, "")


def test_authorities_alone_are_taken_up_by_a_start_and_need_no_file(paths):
    result, digest = daemon_network_runner.ensure({"way_out": {"authorities": "PEM"}}, False)
    assert result is None
    assert digest not in ("", daemon_network_runner.ensure(GIVEN, True)[1])
