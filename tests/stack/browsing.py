# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person with a browser, in a test."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

from running import ROOT, Stack

DIALOGUES = {
    one["id"]: one for one in json.loads((ROOT / "molecule/world/demo_model/dialogues.json").read_text())["dialogues"]
}
"""What the demo's model was taught."""


def browse(
    stack: Stack, folder: pathlib.Path, *words: str, scheme: str = "https", email: str = "", password: str = ""
) -> dict[str, object]:
    """Have the administrator, or another person, visit the chat with a fresh browser; return what was seen.

    Args:
        folder: for the password.
        words: further ones for ``molecule/world/browser.py``.
    """
    (folder / "password").write_text(password or stack.secrets["admin_password"])
    command = [sys.executable, str(ROOT / "molecule/world/browser.py"), "--url", f"{scheme}://{stack.domain}/"]
    command += ["--interface", stack.interface, "--address", stack.address, "--timeout", "120"]
    command += ["--email", email or stack.admin_email, "--password-file", str(folder / "password")]
    command += ["--ca", str(stack.inventory / ".gpuchat" / "ca.crt")] if scheme == "https" else []
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    seen: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return seen
