# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of files made from one template, by pyinfra."""

import json
import os
import pathlib

from pyinfra import host
from pyinfra.operations import files

run = json.loads((pathlib.Path(os.environ["BENCH_RUN"]) / "run.json").read_text(encoding="utf-8"))

files.directory(name="Folder", path=run["folder"], user="root", group="root", mode="755")
for number in range(run["files"]):
    files.template(
        name=f"File {number}",
        src=run["template"],
        dest=f"{run['folder']}/{number}.conf",
        user="root",
        group="root",
        mode="644",
        jinja_env_kwargs={"trim_blocks": True},  # as Ansible has it
        number=number,
        inventory_hostname=host.name,
        ansible_managed="pyinfra managed",
    )
