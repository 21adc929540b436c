# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exporters' units: they listen on sockets of systemd's alone, and can do little beside."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from .real_nginx import rendered

ROLE = pathlib.Path(__file__).resolve().parents[2] / "roles" / "exporters"
SERVICES = sorted(path.name for path in (ROLE / "templates").glob("*.service.j2"))
SOCKETS = {
    "node-exporter": "node",
    "postgresql-exporter": "postgresql",
    "nginx-exporter": "nginx",
    "edge-metrics": "edge",
}
PLACES = {
    "_gpuchat_nginx": {"group": "www-data"},
    "exporters_state_seconds": 60,
    **{
        name: value
        for name, value in yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8")).items()
        if isinstance(value, str) and "{{" not in value
    },
}


def service(name):
    return rendered(f"exporters/templates/{name}", **PLACES)


@pytest.mark.parametrize("name", [one for one in SERVICES if one.endswith("exporter.service.j2")])
def test_an_exporter_takes_its_socket_from_systemd_and_names_no_address(name):
    (command,) = re.findall(r"^ExecStart=(.*)$", service(name), re.MULTILINE)
    assert " --web.systemd-socket" in command
    assert "listen" not in command


@pytest.mark.parametrize(("unit", "job"), SOCKETS.items())
def test_a_socket_is_a_file_for_nginx_alone(unit, job):
    text = rendered(
        "exporters/templates/exporter.socket.j2", _exporters_unit=unit, _exporters_job=job, _exporters_log="", **PLACES
    )
    assert re.findall(r"^Listen.*$", text, re.MULTILINE) == [f"ListenStream=/run/gpuchat-metrics/{job}.sock"]
    assert {"SocketGroup=www-data", "SocketMode=0660", f"Service=gpuchat-{unit}.service"} <= set(text.splitlines())
    assert f"PartOf=gpuchat-{unit}.socket" in service(f"gpuchat-{unit}.service.j2")


def test_node_exporter_sees_the_hosts_own_file_systems():
    """By a unit's own view of them all would be read-only."""
    text = service("gpuchat-node-exporter.service.j2")
    assert not re.search("^(ProtectSystem|ProtectHome|PrivateTmp|ReadOnlyPaths|DynamicUser)=", text, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd judges its units by a program of its own")
@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_little_that_a_unit_could_do(name, tmp_path):
    unit = tmp_path / name.removesuffix(".j2")
    unit.write_text(service(name), encoding="utf-8")
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=40", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
