# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module's work in processes that may be killed: reads parameters as JSON lines, answers with process ids.

Where it is ``crowded``, each file gets as many connections as it may have. With ``die_at`` the process kills itself
right before the step of that number that changes the file system.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import signal
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
STEPS = ("rename", "replace", "link", "unlink", "mkdir", "rmdir", "chmod", "ftruncate", "fsync", "pwrite")


def kill_at(step, store_runner):
    """Let this process die by SIGKILL right before its n-th change of the file system."""
    count = 0

    def counted(change):
        def before(*args, **kwargs):
            nonlocal count
            count += 1
            if count > step:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*args, **kwargs)

        return before

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    store_runner.exchange = counted(store_runner.exchange)


def main():
    """Serve until the input ends."""
    specification = importlib.util.spec_from_file_location("collection", TESTS / "conftest.py")
    specification.loader.exec_module(importlib.util.module_from_spec(specification))
    # Only now, for the collection had to be registered first.
    from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal  # noqa: PLC0415
    from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import (  # noqa: PLC0415
        runner,
        transfer,
    )
    from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import (  # noqa: PLC0415
        store_runner as model_store_runner,
    )

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child:
            print(child, flush=True)
            _pid, status = os.waitpid(child, 0)
            print(status, flush=True)
            continue
        transfer.SHORTEST, transfer.LONGEST, transfer.FIRST_WAIT = order["ranges"]
        if order["crowded"]:
            transfer.more_helps = lambda *_: True
        if order.get("die_at") is not None:
            kill_at(order["die_at"], model_store_runner)
        try:
            result = runner.ensure(order["params"], False)
        except Refusal as refusal:
            result = {"refused": str(refusal)}
        pathlib.Path(order["answer"]).write_text(json.dumps(result), encoding="utf-8")
        os._exit(0)


if __name__ == "__main__":
    main()
