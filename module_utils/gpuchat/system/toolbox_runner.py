# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands a module that needs a library on to the Python of the toolbox, where the role toolbox installed it."""

from __future__ import annotations

import importlib.util

from ansible.module_utils.common.respawn import has_respawned, respawn_module

from ..core import host

TOOLBOX = "/opt/gpuchat/toolbox"


def respawn_for(library: str, toolbox: str) -> bool:
    """Run the module in the toolbox's Python if its own lacks a library; then this call does not return.

    Call it once the module's arguments are read. Returns whether the library can be imported here.
    """
    if importlib.util.find_spec(library) is not None:
        return True
    python = f"{toolbox}/bin/python"
    # Asked first, for a Python that an upgrade of the system took away would end the module without a word.
    if not has_respawned() and host.run([python, "-c", f"import {library}"], timeout=60).rc == 0:
        respawn_module(python)
    return False
