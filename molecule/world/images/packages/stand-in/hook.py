# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""STAND-IN of NVIDIA's container runtime hook: dockerd offers `--gpus` only where it finds it at its start.

The real one mounts the driver into the container; this one makes the devices of the GPUs that were asked for.
"""

import json
import os
import re
import subprocess
import sys

state = json.load(sys.stdin)  # the OCI runtime specification's "State"
with open(os.path.join(state["bundle"], "config.json"), encoding="utf-8") as file:
    config = json.load(file)
environment = dict(word.partition("=")[::2] for word in config["process"]["env"])
visible = environment.get("NVIDIA_VISIBLE_DEVICES", "void")
if visible in ("", "void", "none"):
    sys.exit(0)
there = sorted(name for name in os.listdir("/dev") if re.fullmatch(r"nvidia\d+", name))
wanted = there if visible == "all" else [f"nvidia{index}" for index in visible.split(",")]
for name in ["nvidiactl", *wanted]:
    if name not in os.listdir("/dev"):
        sys.exit(f"nvidia-container-cli: device error: {name}: unknown device (stand-in)")
    node = os.path.join(config["root"]["path"], "dev", name)
    enter = ["nsenter", "--target", str(state["pid"]), "--mount", "--"]
    subprocess.run([*enter, "mknod", "--mode", "666", node, "c", "1", "3"], check=True)
