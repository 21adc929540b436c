# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that run.py names, for pyinfra."""

import json
import os
import pathlib

_run = json.loads((pathlib.Path(os.environ["BENCH_RUN"]) / "run.json").read_text(encoding="utf-8"))
_ssh = {"ssh_user": "root", "ssh_key": _run["key"], "ssh_strict_host_key_checking": "no"}
_ssh["ssh_known_hosts_file"] = "/dev/null"

hosts = [(name, {"ssh_hostname": address, **_ssh}) for name, address in _run["hosts"].items()]
