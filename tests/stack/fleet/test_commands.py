# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands over a fleet on real hosts: GPUCHAT_INVENTORY names the inventory, of which all hosts run the service.

GPUCHAT_SERVICE is the service (gpuchat-door), a systemd unit that runs on at least two of them; three show more.
"""

from __future__ import annotations

import io
import os
import pathlib
import re
import stat
import subprocess
import sys
import tarfile
import zipfile

import fleet
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
INVENTORY = pathlib.Path(os.environ.get("GPUCHAT_INVENTORY", ROOT / "inventory"))
SERVICE = os.environ.get("GPUCHAT_SERVICE", "gpuchat-door")
BROKEN = f"/run/systemd/system/{SERVICE}.service.d/broken.conf"
SHELL = """
import json, subprocess, sys
done = subprocess.run(["sh", "-c", json.load(sys.stdin)], capture_output=True, text=True)
print(json.dumps([done.returncode, done.stdout, done.stderr]))
"""


@pytest.fixture(scope="module")
def members():
    read = fleet.read([str(INVENTORY)])
    found = on(read, f"systemctl cat {SERVICE} >/dev/null 2>&1 && echo has")
    having = [one for one in read if found[one.name] == "has\n"]
    assert len(having) >= 2, found
    return having


def on(members, script):
    """Run a shell script on hosts; return what each printed."""
    program = io.BytesIO()
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("__main__.py", SHELL)
    outcomes = list(fleet.run(members, program.getvalue(), lambda _one: script, timeout=60))
    assert {one.stage for one in outcomes} == {"done"}, outcomes
    return {one.name: one.value[1] for one in outcomes}


def started(members):
    """Return when the service was started last on each host, in seconds since 1970."""
    shown = (
        f"systemctl show {SERVICE} --property=ExecMainStartTimestampMonotonic --value; cat /proc/uptime; date +%s.%N"
    )
    times = {}
    for name, text in on(members, shown).items():
        monotonic, uptime, now = text.splitlines()
        times[name] = float(now) - float(uptime.split()[0]) + int(monotonic) / 1e6
    return times


def command(name, *words):
    program = [sys.executable, str(ROOT / "deploys" / f"{name}.py"), *words, "-i", str(INVENTORY)]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)


def changed_by_site():
    program = [sys.executable, "-m", "ansible", "playbook", "site.yml", "-i", str(INVENTORY)]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    return sum(map(int, re.findall(r"changed=(\d+)", done.stdout)))


def test_a_dry_run_touches_nothing(members):
    before = started(members)
    done = command("restart", SERVICE, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"{one.name}: would restart {SERVICE}" in done.stdout for one in members)
    after = started(members)
    assert all(abs(after[name] - before[name]) < 1 for name in before)


@pytest.mark.long
def test_a_restart_goes_from_host_to_host_and_site_yml_changes_nothing_afterwards(members):
    before = started(members)
    done = command("restart", SERVICE)
    assert done.returncode == 0, done.stdout + done.stderr
    after = started(members)
    assert all(after[name] - before[name] > 1 for name in before)
    order = [after[one.name] for one in members]
    assert order == sorted(order)
    lines = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert lines == [one.name for one in members for _line in ("restarting", "healthy")]
    assert changed_by_site() == 0


@pytest.mark.long
def test_the_first_host_that_does_not_come_back_ends_it(members):
    first, second, *others = members
    on(
        [second],
        f"mkdir -p $(dirname {BROKEN}); printf '[Service]\\nExecStartPre=/bin/false\\n' >{BROKEN}; "
        "systemctl daemon-reload",
    )
    before = started(others) if others else {}
    try:
        done = command("restart", SERVICE, "--timeout", "20")
        assert done.returncode == 2, done.stdout + done.stderr
        assert f"{first.name}: healthy" in done.stdout
        assert f"{second.name}: {SERVICE} did not come back" in done.stdout
        assert done.stdout.splitlines()[-1] == f"Not touched: {', '.join(one.name for one in others) or 'none'}"
        after = started(others) if others else {}
        assert all(abs(after[name] - before[name]) < 1 for name in before)
    finally:
        on([second], f"rm -f {BROKEN}; systemctl daemon-reload; systemctl restart {SERVICE}")
    assert changed_by_site() == 0


def test_logs_are_collected_and_hold_no_secret_of_the_stack(members, tmp_path):
    output = tmp_path / "logs.tar.gz"
    done = command("collect_logs", "--output", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    with tarfile.open(output) as archive:
        texts = {one.name: archive.extractfile(one).read().decode() for one in archive if one.isfile()}
    for one in members:
        assert f"logs/{one.name}/services/{SERVICE}/log.txt" in texts
    path = INVENTORY / ".gpuchat" / "secrets.yml"
    known = yaml.safe_load(path.read_text()) if path.exists() else {}
    secrets = [str(value) for name, value in known.items() if "certificate" not in name]
    lines = [line for value in secrets for line in value.splitlines() if len(line) > 7 and "-----" not in line]
    everything = "\n".join(texts.values())
    assert [line for line in lines if line in everything] == []


def test_nothing_is_left_on_the_hosts(members):
    shown = on(
        members,
        "find /tmp /var/tmp /dev/shm /root -maxdepth 2 -newermt '-2 minutes' -name '*pyinfra*' -o "
        "-maxdepth 2 -newermt '-2 minutes' -name '*gpuchat-fleet*'",
    )
    assert set(shown.values()) == {""}
