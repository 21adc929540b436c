# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names each file of variables that is no YAML, before Ansible ends at the first of them without its name."""

from __future__ import annotations

DOCUMENTATION = r"""
name: gpuchat_unread
type: notification
short_description: Name the files of variables that are no YAML
version_added: 0.1.0
description:
  - At the start of a run, names each file in C(group_vars) and C(host_vars), of the inventory or of the playbook, that
    is no YAML, with the line. Ansible ends at the first of them, and ansible-core 2.19 without its name.
  - In a checkout this is enabled; of an installed collection, name it in C(callbacks_enabled).
author: gpuchat contributors (@gpuchat)
"""

import importlib.util
import os
import pathlib

from ansible import context
from ansible.plugins.callback import CallbackBase

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_files_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_files = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_files)


class CallbackModule(CallbackBase):
    """Looks once, at the start."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "gpuchat.stack.gpuchat_unread"

    def v2_playbook_on_start(self, playbook):
        given = [one for one in context.CLIARGS.get("inventory") or () if "," not in one]
        paths = map(pathlib.Path, (*given, os.path.abspath(playbook._file_name)))
        for folder in sorted({path if path.is_dir() else path.parent for path in paths}):
            for problem in control_files.unread(folder):
                self._display.error(problem)
