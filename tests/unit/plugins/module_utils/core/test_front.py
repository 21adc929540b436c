# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module ends."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import front, host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import CommandFailed, Refusal, Unhealthy


class Module:
    """Stands in for AnsibleModule: keeps how it ended."""

    def __init__(self, module="gpuchat_space", **params):
        self._name = module
        self.params = params

    def exit_json(self, **result):
        self.ended = "well", result

    def fail_json(self, msg, **result):
        self.ended = msg, result


def ended(work, module=None, **words):
    module = module or Module()
    front.run(module, work, **words)
    return module.ended


def raising(error):
    def work():
        raise error

    return work


def test_a_result_is_handed_on():
    assert ended(lambda: {"changed": True}, invocation={}) == ("well", {"changed": True, "invocation": {}})


def test_what_a_module_makes_does_not_hang_on_the_umask(tmp_path):
    file = tmp_path / "keyrings" / "docker.gpg"

    def work():
        host.write_atomically(str(file), b"key", 0o644)
        host.must(["mkdir", str(tmp_path / "of-a-program")])
        return {}

    before = os.umask(0o077)
    try:
        ended(work)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (file.parent, tmp_path / "of-a-program")] == [0o755, 0o755]


@pytest.mark.parametrize("kind", [Refusal, CommandFailed, Unhealthy])
def test_a_failure_ends_with_its_message_and_its_result(kind):
    message, result = ended(raising(kind("found a; wanted b", rows=[1])), subject="service x", invocation={})
    assert message == "service x: found a; wanted b"
    assert result == {"rows": [1], "invocation": {}}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(
            PermissionError(errno.EACCES, "Permission denied", "/x"), "Permission denied at /x", id="no right"
        ),
        pytest.param(
            FileNotFoundError(errno.ENOENT, "No such file or directory", b"/y"), "directory at /y", id="bytes"
        ),
        pytest.param(KeyError("dest"), "KeyError: 'dest' inside gpuchat", id="an error of ours"),
        pytest.param(
            AttributeError("'NoneType' object"), "AttributeError: 'NoneType' object inside gpuchat", id="none"
        ),
        pytest.param(RecursionError("too deep"), "RecursionError: too deep inside gpuchat", id="depth"),
    ],
)
def test_no_exception_ends_in_pythons_words_alone(error, words):
    message, _result = ended(raising(error))
    assert words in message
    assert message.startswith("found ")
    assert "; wanted " in message


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "run as a user who may (become: true), for root look at what else forbids it (NFS's no_root"),
        (errno.EPERM, "remove a flag"),
        (errno.EROFS, "mount its file system for writing"),
        (errno.ENOSPC, "free space on its file system"),
        (errno.EIO, "look at its disk"),
        (errno.EUCLEAN, "look at its disk"),
        (errno.ESTALE, "look at its server"),
        (errno.ENOTCONN, "look at its server"),
        (errno.EHOSTDOWN, "look at its server"),
        (errno.ETIMEDOUT, "look at its server"),
        (errno.ENOMEM, "give the host more memory"),
        (errno.ELOOP, "look where its links lead to"),
        (errno.ENOENT, "make it, or name another path"),
        (errno.EISDIR, "free the path"),
    ],
)
def test_what_a_path_is_refused_for_has_its_own_way_out(number, words):
    message, _result = ended(raising(OSError(number, os.strerror(number), "/x")))
    assert words in message
    assert ("become: true" in message) == (number in (errno.EACCES, errno.EPERM))


@pytest.mark.parametrize(
    ("module", "message", "shown"),
    [
        pytest.param(
            Module("gpuchat_packages", name="docker"),
            "set minimum_gib to what you need",
            "set minimum_gib (docker_minimum_free_gib in the inventory) to what you need",
            id="one variable",
        ),
        pytest.param(
            Module("ansible_collections.gpuchat.stack.plugins.modules.gpuchat_virtualenv"),
            "set python",
            "set python (toolbox_python in the inventory)",
            id="installed",
        ),
        pytest.param(
            Module("gpuchat_packages", name="docker"),
            "set key_url",
            "set key_url (docker_repository_key_url or docker_repository_url in the inventory)",
            id="a suboption, by the unit that the module works for",
        ),
        pytest.param(
            Module("gpuchat_image"),
            "set registry_mirrors[] to one",
            "set registry_mirrors[] (gpuchat_registry_mirrors in the inventory) to one",
            id="a part of a list",
        ),
        pytest.param(Module("gpuchat_files"), "set dest to another", "set dest to another", id="no variable"),
        pytest.param(
            Module("gpuchat_accelerator"),
            "set nvidia_driver_install to true",
            "set nvidia_driver_install to true",
            id="a variable already",
        ),
    ],
)
def test_the_variable_of_the_inventory_stands_beside_the_option(module, message, shown):
    assert ended(raising(Refusal(message)), module)[0] == shown
