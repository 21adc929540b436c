# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import toolbox_runner


class Respawned(Exception):
    """Ends the module, as a respawn does."""


@pytest.fixture
def respawned(monkeypatch):
    """Set whether this is the second Python, and stand in for the call that starts it."""

    def respawn(interpreter):
        raise Respawned(interpreter)

    def set_to(value):
        monkeypatch.setattr(toolbox_runner, "has_respawned", lambda: value)

    monkeypatch.setattr(toolbox_runner, "respawn_module", respawn)
    set_to(False)
    return set_to


def test_a_library_that_is_there_needs_no_other_python(respawned, commands):
    assert toolbox_runner.respawn_for("json", "/opt/toolbox")
    assert commands.made == []


def test_a_missing_library_is_sought_in_the_toolbox(respawned, commands):
    with pytest.raises(Respawned, match="^/opt/toolbox/bin/python$"):
        toolbox_runner.respawn_for("no_such_library", "/opt/toolbox")
    assert commands.made == ["/opt/toolbox/bin/python -c import no_such_library"]


def test_a_toolbox_that_is_missing_or_broken_or_lacks_the_library_is_no_error(respawned, commands):
    commands.answer("/opt/toolbox/bin/python", rc=1)
    assert not toolbox_runner.respawn_for("no_such_library", "/opt/toolbox")


def test_the_second_python_starts_no_third(respawned, commands):
    respawned(True)
    assert not toolbox_runner.respawn_for("no_such_library", "/opt/toolbox")
