# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the packet filter on trial, keeps it once a new connection has come through, and opens ufw and firewalld."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
from collections.abc import Mapping, Sequence
from typing import Any

from ..core import host
from ..core.change import Difference, Plan, merged
from ..core.errors import Refusal
from ..core.opening import Opening
from . import files_runner, firewall, nginx, selinux, unit_runner

NAME = "gpuchat-firewall"
FOLDER = "/etc/gpuchat/firewall"
RULES = f"{FOLDER}/rules.nft"
UNIT = f"/etc/systemd/system/{NAME}.service"
TRIAL = f"/run/{NAME}.nft"
UNDO = f"{NAME}-undo"
UNDO_SCRIPT = f"nft delete table inet {firewall.TABLE}; if [ -e {RULES} ]; then nft -f {RULES}; fi"
FIREWALLD_RECORD = f"{host.STATE_DIRECTORY}/firewalld.json"

UNIT_TEXT = f"""# Made by gpuchat; changes are lost in the next run.
[Unit]
Description=gpuchat's packet filter
DefaultDependencies=no
After=local-fs.target nftables.service
Before=network-pre.target docker.service shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {RULES}
ExecReload=/usr/sbin/nft -f {RULES}
ExecStop=-/usr/sbin/nft delete table inet {firewall.TABLE}

[Install]
WantedBy=sysinit.target
"""

DROP_IN_FOLDER = "/etc/systemd/system/nftables.service.d"
# Debian's nftables.service flushes all tables, everybody's, when it starts, stops and reloads.
DROP_IN_TEXT = f"""# Made by gpuchat; changes are lost in the next run.
[Service]
ExecStartPost=-/usr/sbin/nft -f {RULES}
ExecStopPost=-/usr/sbin/nft -f {RULES}
"""


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Ensure the packet filter that a module's parameters describe, and return the module's result.

    New rules are loaded on trial: unless the module is called again with ``confirm``, by a new connection, the former
    ones come back after ``undo_seconds``.

    Raises:
        Refusal: nftables is missing, or does not take the rules; nothing was changed.
    """
    openings = [Opening.read(one) for one in params["openings"]] if params["state"] == "present" else []
    text = firewall.ruleset(openings, params["rooms"], params.get("room_ports") or (), _nginx())
    if params["state"] == "absent" or params["confirm"]:
        host.run(["systemctl", "stop", f"{UNDO}.timer"])
    elif not check and _is_new(text):
        _load_on_trial(text, params["undo_seconds"])
        seconds = params["undo_seconds"]
        return {"changed": True, "pending": True, "diff": [], "msg": f"the rules are loaded for {seconds} s"}
    unit = unit_runner.ensure(_unit(params["state"], text), check)
    others = (_ufw(openings, check), _firewalld(openings, check), _selinux(openings, check))
    return {**merged(unit, *others), "pending": False}


def _nginx() -> int | None:
    """Return the id of nginx's user on this host; None where it is not installed yet."""
    try:
        return pwd.getpwnam(nginx.of(host.os_release()).user).pw_uid
    except KeyError:
        return None


def _is_new(text: str) -> bool:
    there = host.file_state(RULES)
    listed = host.run(["nft", "--json", "list", "tables"])
    with contextlib.suppress(ValueError):
        loaded = firewall.loaded_digest(json.loads(listed.stdout))
        return loaded != firewall.digest_of(text) or there is None or there.content != text.encode()
    return True


def _load_on_trial(text: str, undo_seconds: int) -> None:
    if host.program("nft") is None:
        raise Refusal("found no nft on this host; wanted nftables; install it before this task")
    host.write_atomically(TRIAL, text.encode(), 0o600)
    checked = host.run(["nft", "--check", "--file", TRIAL])
    if checked.rc != 0:
        raise Refusal(
            "found that nft does not take the rules, so the former ones were left in place; wanted networks and "
            "ports that it knows; set gpuchat_allowed_networks anew, or firewall_state to absent. nft said:\n"
            f"{checked.text}"
        )
    host.run(["systemctl", "stop", f"{UNDO}.timer", f"{UNDO}.service"])
    host.run(["systemctl", "reset-failed", f"{UNDO}.timer", f"{UNDO}.service"])
    host.must(
        [
            *("systemd-run", "--quiet", "--collect", f"--unit={UNDO}", f"--on-active={undo_seconds}"),
            *("--timer-property=AccuracySec=1s", "/bin/sh", "-c", UNDO_SCRIPT),
        ]
    )
    host.must(["nft", "--file", TRIAL])
    os.unlink(TRIAL)


def _unit(state: str, text: str) -> dict[str, object]:
    """Return the file set and its service, as the module ``gpuchat_files`` takes them."""
    files: list[dict[str, object]] = [
        {"dest": "/etc/gpuchat", "folder": True},
        {"dest": FOLDER, "folder": True, "mode": "0700"},
        {"dest": RULES, "content": text, "mode": "0600"},
        {"dest": UNIT, "content": UNIT_TEXT},
        {"dest": DROP_IN_FOLDER, "folder": True},
        {"dest": f"{DROP_IN_FOLDER}/gpuchat.conf", "content": DROP_IN_TEXT},
    ]
    return {
        "name": "firewall",
        "state": state,
        "files": [{**files_runner.USUAL, **one} for one in files],
        "validate": ["nft", "--check", "--file", f"{{staged}}{RULES}"],
        "validate_requires": [],
        "service": {
            "name": NAME,
            "supervisor": "systemd",
            "compose_file": None,
            "on_change": "reload",
            "health": None,
        },
    }


def _ufw(openings: Sequence[Opening], check: bool) -> dict[str, object]:
    """Open the stack's ports in ufw where it runs, and close those of ours that are no longer wanted."""
    if host.program("ufw") is None or "Status: active" not in host.run(["ufw", "status"]).stdout.splitlines():
        return Plan().result()
    add, remove = firewall.plan_ufw(host.must(["ufw", "show", "added"]).stdout, firewall.ufw_rules(openings))
    for rule in () if check else remove:
        host.must(["ufw", "delete", *rule.split()])
    for rule in () if check else add:
        host.must(["ufw", *rule.split(), "comment", firewall.UFW_COMMENT])
    return _opened("ufw", add, remove)


def _firewalld(openings: Sequence[Opening], check: bool) -> dict[str, object]:
    """Open the stack's ports in firewalld's default zone where it runs, now and for good."""
    if host.program("firewall-cmd") is None or host.run(["firewall-cmd", "--state"]).rc != 0:
        return Plan().result()
    there = host.must(["firewall-cmd", "--permanent", "--list-rich-rules"]).stdout.splitlines()
    given = host.read_json(FIREWALLD_RECORD).get("rules")
    ours = [str(one) for one in given] if isinstance(given, list) else []
    wanted = firewall.firewalld_rules(openings)
    add = [one for one in wanted if one not in there]
    remove = [one for one in ours if one in there and one not in wanted]
    for act, rules in () if check else (("remove", remove), ("add", add)):
        for rule in rules:
            host.must(["firewall-cmd", "--permanent", f"--{act}-rich-rule={rule}"])
            host.must(["firewall-cmd", f"--{act}-rich-rule={rule}"])
    if not check and ours != wanted:
        host.write_json(FIREWALLD_RECORD, {"rules": wanted})
    return _opened("firewalld", add, remove)


def _selinux(openings: Sequence[Opening], check: bool) -> dict[str, object]:
    """Let nginx listen on the stack's ports, and ask other servers, where SELinux runs."""
    mode = host.run(["getenforce"])
    if not openings or mode.rc != 0 or mode.stdout.strip() == "Disabled":
        return Plan().result()
    if host.program("semanage") is None:
        if check:
            return Plan(notes=("the ports that SELinux knows: semanage is not installed yet",)).result()
        raise Refusal("found SELinux on this host, and no semanage; wanted it; install policycoreutils-python-utils")
    can_connect = host.run(["getsebool", selinux.BOOLEAN]).stdout.strip().endswith(" on")
    ports = [port for one in openings if not one.engines for port in one.ports]
    steps = selinux.steps(host.must(["semanage", "port", "--list"]).stdout, can_connect, ports)
    for step in () if check else steps:
        host.must(step)
    return _opened("SELinux", [" ".join(step) for step in steps], [])


def _opened(name: str, add: Sequence[str], remove: Sequence[str]) -> dict[str, object]:
    if not add and not remove:
        return Plan().result()
    before, after = ("".join(f"{rule}\n" for rule in rules) for rules in (remove, add))
    return Plan((Difference(name, before, after),), (*remove, *add), f"the stack's ports are opened in {name}").result()
