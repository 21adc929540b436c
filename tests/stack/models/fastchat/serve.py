# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastChat's controller, its server in OpenAI's manner and a worker: serve.py MODEL NAME HOST PORT KEY."""

from __future__ import annotations

import importlib
import runpy
import subprocess
import sys

HERE = "http://127.0.0.1:"
CONTROLLER, WORKER = 21001, 21002


def work(words: list[str]) -> None:
    # It looks for a factor, which newer transformers name only where there is one.
    importlib.import_module("fastchat.utils").get_context_length = lambda config: config.max_position_embeddings
    known = importlib.import_module("fastchat.conversation")
    # The demo model's own template, of which FastChat takes no notice: ChatML without a word of the system's.
    template = known.Conversation(
        name="demo",
        system_template="{system_message}",
        roles=("<|im_start|>user", "<|im_start|>assistant"),
        sep_style=known.SeparatorStyle.CHATML,
        sep="<|im_end|>",
        stop_str="<|im_end|>",
    )
    known.register_conv_template(template)
    sys.argv = ["worker", *words]
    runpy.run_module("fastchat.serve.model_worker", run_name="__main__")


def main() -> int:
    if sys.argv[1] == "worker":
        work(sys.argv[2:])
        return 1
    model, name, host, port, key = sys.argv[1:]
    python, controller = sys.executable, ["--controller-address", f"{HERE}{CONTROLLER}"]
    here = ["--host", "127.0.0.1", "--port"]
    worker = ["--model-path", model, "--model-names", name, "--conv-template", "demo", "--device", "cpu"]
    worker += [*controller, "--worker-address", f"{HERE}{WORKER}", *here, str(WORKER)]
    api = ["--host", host, "--port", port, "--api-keys", key, *controller]
    subprocess.Popen([python, "-m", "fastchat.serve.controller", *here, str(CONTROLLER)])
    subprocess.Popen([python, __file__, "worker", *worker])
    return subprocess.call([python, "-m", "fastchat.serve.openai_api_server", *api])


if __name__ == "__main__":
    sys.exit(main())
