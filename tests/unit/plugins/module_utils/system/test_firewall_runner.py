# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""New rules are on trial until a new connection keeps them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.opening import Opening
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import firewall, firewall_runner

pytestmark = pytest.mark.usefixtures("state_directory")
OPENING = {"ports": [443], "networks": ["10.0.0.0/8"], "address": "", "interface": "", "connections": 0}
OPENING |= {"unlimited": [], "range": [], "engines": False}
TEXT = firewall.ruleset([Opening.read(OPENING)], [])


def params(**more):
    return {
        "openings": [OPENING],
        "rooms": [],
        "room_ports": [],
        "undo_seconds": 60,
        "confirm": False,
        "state": "present",
        **more,
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(firewall_runner, "FOLDER", f"{tmp_path}/firewall")
    monkeypatch.setattr(firewall_runner, "RULES", f"{tmp_path}/firewall/rules.nft")
    monkeypatch.setattr(firewall_runner, "UNIT", f"{tmp_path}/unit.service")
    monkeypatch.setattr(firewall_runner, "TRIAL", f"{tmp_path}/trial.nft")
    return tmp_path


@pytest.fixture
def nft(commands, folder, monkeypatch):
    """A host with nftables, and neither ufw nor firewalld."""
    monkeypatch.setattr(host, "program", lambda name: f"/usr/sbin/{name}" if name == "nft" else None)
    started = lambda: any(line.startswith("systemctl start") for line in commands.made)  # noqa: E731
    commands.answer("nft --json list tables", json.dumps({"nftables": []}))
    commands.answer(
        "systemctl show gpuchat-firewall.service --property=ActiveState",
        lambda: (
            f"ActiveState={'active' if started() else 'inactive'}\nUnitFileState=disabled\nNeedDaemonReload=no\n"
            "Result=success\nNRestarts=0\nType=oneshot\nRemainAfterExit=yes\nExecMainExitTimestampMonotonic=0\n"
        ),
    )
    commands.answer("systemctl show gpuchat-firewall.service --property=LoadState", "loaded")
    commands.answer("docker container inspect", rc=1)
    commands.answer("getenforce", rc=127)
    return commands


def loaded(commands, text):
    table = {"family": "inet", "name": "gpuchat", "comment": firewall.digest_of(text)}
    commands.answer("nft --json list tables", json.dumps({"nftables": [{"table": table}]}))


def test_new_rules_are_loaded_only_after_their_undoing_was_set_and_nothing_is_kept_yet(nft, folder):
    result = firewall_runner.ensure(params(), check=False)
    assert (result["changed"], result["pending"]) == (True, True)
    assert [line.split()[0] for line in nft.that("--check", "systemd-run", "--file")] == ["nft", "systemd-run", "nft"]
    assert "--on-active=60" in nft.that("systemd-run")[0]
    assert not (folder / "firewall").exists()


def test_confirmed_rules_stay_and_their_undoing_is_stopped_first(nft, folder):
    result = firewall_runner.ensure(params(confirm=True), check=False)
    assert (result["changed"], result["pending"]) == (True, False)
    assert nft.made[0] == "systemctl stop gpuchat-firewall-undo.timer"
    assert (folder / "firewall" / "rules.nft").read_text() == TEXT
    assert nft.that("enable")
    assert nft.that("start")


def test_rules_that_are_loaded_and_kept_are_left_alone(nft, folder):
    firewall_runner.ensure(params(confirm=True), check=False)
    loaded(nft, TEXT)
    nft.answer(
        "systemctl show gpuchat-firewall.service --property=ActiveState",
        "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nResult=success\nNRestarts=0\nType=oneshot\n",
    )
    nft.made.clear()
    result = firewall_runner.ensure(params(), check=False)
    assert (result["changed"], result["pending"], nft.that("systemd-run", "--file")) == (False, False, [])


@pytest.mark.parametrize("lost", ["the table", "the file"])
def test_rules_that_somebody_took_away_are_tried_again(nft, folder, lost):
    firewall_runner.ensure(params(confirm=True), check=False)
    if lost == "the file":
        loaded(nft, TEXT)
        (folder / "firewall" / "rules.nft").unlink()
    assert firewall_runner.ensure(params(), check=False)["pending"] is True


def test_rules_that_nft_does_not_take_are_refused_before_anything_is_loaded(nft):
    nft.answer("nft --check", rc=1, stderr="syntax error")
    with pytest.raises(Refusal, match=r"(?s)former ones were left in place.*syntax error"):
        firewall_runner.ensure(params(), check=False)
    assert nft.that("systemd-run") == []


def test_check_mode_shows_the_rules_and_loads_nothing(nft):
    result = firewall_runner.ensure(params(), check=True)
    assert (result["changed"], result["pending"]) == (True, False)
    assert any(TEXT in one["after"] for one in result["diff"])
    assert nft.that("systemd-run", "stop", "start") == []


def test_absent_stops_it_and_takes_its_files_away(nft, folder):
    firewall_runner.ensure(params(confirm=True), check=False)
    nft.made.clear()
    nft.answer(
        "systemctl show gpuchat-firewall.service --property=ActiveState",
        lambda: f"ActiveState={'inactive' if nft.that('systemctl stop gpuchat-firewall.service') else 'active'}\n",
    )
    assert firewall_runner.ensure(params(state="absent"), check=False)["changed"]
    assert "systemctl stop gpuchat-firewall.service" in nft.made
    assert not (folder / "firewall" / "rules.nft").exists()


UFW = "Added user rules (see 'ufw status' for running firewall):\nufw allow 22/tcp\n"


def test_ports_are_opened_in_ufw_too_where_it_runs(nft, monkeypatch):
    monkeypatch.setattr(host, "program", lambda name: name if name in ("nft", "ufw") else None)
    nft.answer("ufw status", "Status: active\n")
    nft.answer("ufw show added", UFW)
    firewall_runner.ensure(params(confirm=True), check=False)
    assert "ufw allow from 10.0.0.0/8 to any port 443 proto tcp comment gpuchat" in nft.made


@pytest.mark.parametrize("program", ["ufw", "firewall-cmd"])
def test_what_is_installed_and_does_not_run_is_left_alone(nft, monkeypatch, program):
    monkeypatch.setattr(host, "program", lambda name: name if name in ("nft", program) else None)
    nft.answer("ufw status", "Status: inactive\n")
    nft.answer("firewall-cmd --state", rc=252)
    firewall_runner.ensure(params(confirm=True), check=False)
    assert not [line for line in nft.that(program) if "allow" in line or "--add" in line]


def test_ports_are_opened_in_firewalld_now_and_for_good_and_closed_again(nft, monkeypatch):
    monkeypatch.setattr(host, "program", lambda name: name if name in ("nft", "firewall-cmd") else None)
    firewall_runner.ensure(params(confirm=True), check=False)
    (rule,) = firewall.firewalld_rules([Opening.read(OPENING)])
    assert [line for line in nft.made if "--add" in line] == [
        f"firewall-cmd --permanent --add-rich-rule={rule}",
        f"firewall-cmd --add-rich-rule={rule}",
    ]
    nft.answer("firewall-cmd --permanent --list-rich-rules", f"{rule}\n")
    nft.made.clear()
    firewall_runner.ensure(params(confirm=True, openings=[]), check=False)
    assert [line for line in nft.made if "--remove" in line] == [
        f"firewall-cmd --permanent --remove-rich-rule={rule}",
        f"firewall-cmd --remove-rich-rule={rule}",
    ]


@pytest.mark.parametrize(
    ("mode", "on", "told"),
    [
        pytest.param("Enforcing", "off", ["setsebool -P httpd_can_network_connect on"], id="it runs"),
        pytest.param("Permissive", "on", [], id="it knows all"),
        pytest.param("Disabled", "off", [], id="it does not run"),
    ],
)
def test_selinux_is_told_of_nginx_where_it_runs(nft, folder, monkeypatch, mode, on, told):
    monkeypatch.setattr(host, "program", lambda name: f"/usr/sbin/{name}" if name in ("nft", "semanage") else None)
    nft.answer("getenforce", f"{mode}\n")
    nft.answer("getsebool", f"httpd_can_network_connect --> {on}\n")
    nft.answer("semanage port --list", "http_port_t                    tcp      80, 443\n")
    firewall_runner.ensure(params(confirm=True), check=True)
    assert nft.that("setsebool", "--add") == []
    firewall_runner.ensure(params(confirm=True), check=False)
    assert nft.that("setsebool", "--add") == told


def test_selinux_without_its_tools_is_refused_and_predicted(nft, folder):
    nft.answer("getenforce", "Enforcing\n")
    assert "semanage is not installed yet" in str(firewall_runner.ensure(params(confirm=True), check=True))
    with pytest.raises(Refusal, match="policycoreutils-python-utils"):
        firewall_runner.ensure(params(confirm=True), check=False)


@pytest.mark.parametrize(("known", "strangers"), [(["root", "www-data"], "!= { 0, 33 }"), (["root"], ">= 1000")])
def test_beside_root_nginx_reaches_a_room_by_the_id_that_it_has_here(nft, folder, monkeypatch, known, strangers):
    def found(name):
        if name not in known:
            raise KeyError(name)
        return SimpleNamespace(pw_uid=33)

    monkeypatch.setattr(firewall_runner.pwd, "getpwnam", found)
    monkeypatch.setattr(host, "os_release", lambda: "ID=debian\n")
    written = []
    monkeypatch.setattr(firewall_runner, "_load_on_trial", lambda text, seconds: written.append(text))
    firewall_runner.ensure(params(rooms=["room0"]), check=False)
    assert f"skuid {strangers}" in written[0]
