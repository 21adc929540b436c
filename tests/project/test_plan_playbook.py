# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/plan.yml plans for machines that are not there, from a config.json and GPUs by name."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
import yaml
from planning_docs import LLAMA

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    model = folder / "Llama-3.1-8B-Instruct"
    model.mkdir()
    (folder / "images").mkdir()
    (model / "config.json").write_text(json.dumps(LLAMA))
    weights = 16_060_522_496
    header = json.dumps({"w": {"dtype": "U8", "shape": [weights], "data_offsets": [0, weights]}}).encode()
    with (model / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + weights)
    one = {"name": "NVIDIA L40S", "count": 2}
    hosts = {
        "fits": {"plan_gpus": [one], "gpuchat_users": 10, "gpuchat_context": 32768},
        "short": {"plan_gpus": [one], "gpuchat_users": 500, "gpuchat_context": 32768},
        "wrong": {"plan_gpus": [one], "vllm_args": {"max-model-length": 8192}},
        "missing": {"plan_gpus": [one]},
    }
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "gpuchat_domain": "chat.example.com",
        "gpuchat_allowed_networks": ["10.0.0.0/8"],
        "gpuchat_image_archives": str(folder / "images"),
        "gpuchat_models": [
            {"name": "llama", "path": str(model), "hosts": ["fits", "short", "wrong"]},
            {"name": "missing", "path": str(folder / "missing"), "hosts": ["missing"]},
        ],
    }
    written = {"all": {"vars": variables, "children": {"gpu": {"hosts": hosts}}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(written))
    return folder / "hosts.yml"


def run(inventory, fail=None):
    program = pathlib.Path(sys.executable).parent / "ansible-playbook"
    command = [str(program), "playbooks/plan.yml", "-i", str(inventory)]
    command += ["-e", f"plan_fail={fail}"] if fail else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (fail == "never"), done.stdout + done.stderr
    return done.stdout


def test_all_hosts_are_planned_and_nothing_is_written_but_two_files(inventory):
    described, again = run(inventory), run(inventory, fail="never")
    assert "found plans that do not serve: missing on missing (refused), llama on wrong (refused)" in described
    for text in (described, again):
        assert "FITS" in text
        assert "DOES NOT FIT" in text
        assert text.count("REFUSED") == 2
        assert "did you mean max-model-len?" in " ".join(text.split())
        assert "found nothing of its files" not in text  # what the model's own look at its source said stands there
    assert "changed=1" not in again
    assert sorted(path.name for path in (inventory.parent / ".gpuchat").iterdir()) == ["plan.html", "plan.json"]
    plans = json.loads((inventory.parent / ".gpuchat" / "plan.json").read_text())["plans"]
    assert {one["host"]: one["verdict"] for one in plans} == {
        "fits": "fits",
        "short": "does not fit",
        "wrong": "refused",
        "missing": "refused",
    }
    assert all(one.get("refusal") or one["plan"]["reason"] for one in plans if one["verdict"] == "refused")
    planned = next(one["plan"] for one in plans if one["host"] == "fits")
    assert planned["args"]["max-model-len"] == 32768
