# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the edge hands on to the interface that was chosen, as plain data for its templates and for the verification."""

from __future__ import annotations

from . import lobehub_paths, open_webui_paths

LOBEHUB, OPEN_WEBUI = "lobehub", "open_webui"


def describe(kind: str, version: str, signup: str, sso: bool = False, tools: bool = False) -> dict[str, object]:
    """Return what of an interface may be asked from outside; nothing where there is none.

    Args:
        kind: ``lobehub``, ``open_webui``, or another word where there is no interface.
        version: of the interface.
        signup: ``open`` where people make accounts by themselves.
        sso: whether people come in by their company's own sign-in (OpenID Connect).
        tools: whether the owner named tool servers (MCP), which Open WebUI alone calls.
    """
    if kind == LOBEHUB:
        return lobehub_paths.room(version, signup, sso).as_dict()
    if kind == OPEN_WEBUI:
        return open_webui_paths.room(version, signup, sso, tools).as_dict()
    return {}
