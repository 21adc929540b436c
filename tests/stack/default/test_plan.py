# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan, the model that it was made for, and the real vLLM that runs with its flags."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.plan import plan_vllm
from running import ROOT, Stack

sys.path.insert(0, str(ROOT / "molecule" / "world"))

import images

MODEL = "/srv/models/gpuchat-demo"


@pytest.fixture(scope="module")
def plan(stack: Stack) -> dict[str, Any]:
    stack.must_play(playbook="playbooks/plan.yml")
    (entry,) = json.loads((stack.inventory / ".gpuchat" / "plan.json").read_text())["plans"]
    return entry["plan"]


def test_vllms_own_log_line_agrees_with_the_plan(stack: Stack, plan: dict[str, Any]) -> None:
    logged = stack.on("server", "docker logs gpuchat-vllm-gpuchat-demo 2>&1")
    tokens, times = re.findall(r"KV cache size: ([\d,]+) tokens, .*request: ([\d.]+)x", logged)[-1]
    assert int(tokens.replace(",", "")) == plan["kv_cache_tokens"]
    assert float(times) == round(float(str(plan["max_concurrency"])), 2)


def test_vllm_runs_with_the_plans_flags(stack: Stack, plan: dict[str, Any]) -> None:
    running = yaml.safe_load(stack.on("server", "cat /etc/gpuchat/vllm/gpuchat-demo/config.yaml"))
    assert plan["args"].items() <= running.items()


PARSE = """
import pathlib, sys
sys.path.insert(0, "/project/tools")
import vllm_facts
from vllm_parser import parser_of_vllm
parser = parser_of_vllm()
for file in sorted(pathlib.Path("/given").glob("*.yaml")):
    try:
        parser.parse_args(["serve", "--config", str(file)])
        print(file.name, "taken", flush=True)
    except SystemExit:
        print(file.name, "refused", flush=True)
vllm_facts.check()
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the real vLLM's parser says of the plans of all recorded models and of a misspelt one, and of our table."""
    folder = tmp_path_factory.mktemp("given")
    recorded = json.loads((ROOT / "benchmarks" / "data" / "model_configs.json").read_text())
    asked = {"vllm_version": "0.32.0", "on_unfit": "report"}
    for number, (name, row) in enumerate(recorded.items()):
        for gpu, count in (("NVIDIA H200", 8), ("NVIDIA L40S", 2)):
            model = {"model_config": row["config"], "weights_bytes": row["weights_bytes"], "repo": name}
            args = plan_vllm({**model, **asked, "gpus": [{"name": gpu, "count": count}]}).as_dict()["args"]
            (folder / f"{number:02}-{count}.yaml").write_text(yaml.safe_dump({"model": "/model", **args}))
    (folder / "misspelt.yaml").write_text("model: /model\nmax-model-length: 8\n")
    command = ["docker", "run", "--rm", "--network", "none", "--volume", f"{ROOT}:/project:ro"]
    command += ["--volume", f"{folder}:/given:ro", "--entrypoint", "python3", images.Recipe.read("vllm").tag()]
    done = subprocess.run([*command, "-c", PARSE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    assert done.stdout.count(".yaml ") == 2 * len(recorded) + 1, done.stdout[-300:] + done.stderr[-1000:]
    return done.stdout.strip().splitlines()


def test_the_real_parser_takes_the_plans_of_all_recorded_models_and_no_misspelt_one(parsed: list[str]) -> None:
    assert [line for line in parsed if line.endswith("refused")] == ["misspelt.yaml refused"]


def test_the_table_of_flags_is_the_real_parsers(parsed: list[str]) -> None:
    assert re.fullmatch(r"vllm 0\.32\.0: [1-9]\d\d flags, 0 differ", parsed[-1])


def test_the_model_came_whole_from_the_hub_and_a_second_run_asks_for_no_byte(stack: Stack) -> None:
    manifest = json.loads(stack.on("server", f"cat {MODEL}/gpuchat-model.json"))
    sums = "\n".join(f"{file['sha256']}  {file['path']}" for file in manifest["files"])
    stack.on("server", f"cd {MODEL} && printf '%s\\n' '{sums}' | sha256sum --check --quiet")
    asked = "docker logs gpuchat-world-hub 2>&1 | wc -l"
    before = int(subprocess.run(["sh", "-c", asked], capture_output=True, text=True, check=True).stdout)
    assert "changed=0" in stack.must_play("--tags", "model")
    after = int(subprocess.run(["sh", "-c", asked], capture_output=True, text=True, check=True).stdout)
    assert after - before <= 4, "a settled model asks what its branch stands for, and nothing more"


@pytest.mark.long
def test_a_damaged_weight_is_fixed_from_the_hub_and_the_engine_sees_a_whole_model(stack: Stack) -> None:
    stack.on("server", f"printf x | dd of={MODEL}/model.safetensors bs=1 seek=5000 conv=notrunc status=none")
    predicted = stack.must_play("--tags", "model", "--check", "--diff")
    assert "model.safetensors" in predicted
    assert "changed=1" in stack.must_play("--tags", "model")
    test_the_model_came_whole_from_the_hub_and_a_second_run_asks_for_no_byte(stack)


@pytest.mark.long
def test_a_mirror_that_does_not_answer_is_named_before_anything_is_fetched(
    stack: Stack, tmp_path: pathlib.Path
) -> None:
    elsewhere = {"gpuchat_lock_file": str(tmp_path / "lock.yml"), "gpuchat_registry_map": {"docker.io": "127.0.0.1:9"}}
    done = stack.play("-e", json.dumps(elsewhere))
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "cannot be resolved: https://127.0.0.1:9/v2/vllm/" in said
    assert "set gpuchat_registry_map" in said
    assert "Install Docker" not in said
    assert "changed=0" in said
