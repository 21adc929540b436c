# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person with a fresh browser, in an allowed network."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
from running import ARTIFACTS, ROOT, Stack

DIALOGUES = {
    one["id"]: one for one in json.loads((ROOT / "molecule/world/demo_model/dialogues.json").read_text())["dialogues"]
}


@pytest.mark.parametrize(("dialogue", "locale"), [("hello", "en-US"), ("nihao", "zh-CN")])
def test_a_fresh_browser_gets_the_trained_answer_with_no_click_but_the_access_code(
    stack: Stack, tmp_path: pathlib.Path, dialogue: str, locale: str
) -> None:
    code = tmp_path / "code"
    code.write_text(stack.secrets["lobechat_access_code"])
    ARTIFACTS.mkdir(exist_ok=True)
    command = [sys.executable, str(ROOT / "molecule/world/browser.py"), "--url", f"https://{stack.domain}/"]
    command += ["--address", stack.address, "--ca", str(stack.inventory / ".gpuchat" / "ca.crt")]
    command += ["--access-code-file", str(code), "--locale", locale, "--timeout", "120"]
    command += ["--message", DIALOGUES[dialogue]["ask"], "--expect", DIALOGUES[dialogue]["answer"]]
    command += ["--model-name", stack.model]
    command += ["--screenshot", str(ARTIFACTS / f"chat-{stack.supervisor}-{locale}.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["asked_for_code"], seen["answer"]) == (True, DIALOGUES[dialogue]["answer"])
