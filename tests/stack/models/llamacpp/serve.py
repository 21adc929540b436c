# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama-cpp-python's server in OpenAI's manner: serve.py MODEL NAME HOST PORT KEY."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile


def main() -> None:
    model, name, host, port, key = sys.argv[1:]
    here = pathlib.Path(tempfile.mkdtemp())
    file, settings = here / "model.gguf", here / "settings.json"
    # By itself, for it loads torch.
    subprocess.run([sys.executable, pathlib.Path(__file__).with_name("converted.py"), model, file], check=True)
    # By default another request ends the stream under way.
    chosen = {"host": host, "port": int(port), "api_key": key, "interrupt_requests": False}
    chosen["models"] = [{"model": str(file), "model_alias": name, "n_ctx": 4096}]
    settings.write_text(json.dumps(chosen), encoding="utf-8")
    os.execv(sys.executable, [sys.executable, "-m", "llama_cpp.server", "--config_file", str(settings)])


if __name__ == "__main__":
    main()
