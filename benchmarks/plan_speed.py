# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times 1,000 plans on one core: each model of the calibration data on many machines, with many wishes."""

from __future__ import annotations

import itertools
import json
import pathlib
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
__import__("conftest")  # it lets the collection be imported from a checkout
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal  # noqa: E402
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.plan import plan_vllm  # noqa: E402

PLANS = 1000
MACHINES = [
    (count, name)
    for name in ("NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB", "NVIDIA L40S", "NVIDIA GeForce RTX 4090")
    for count in (1, 2, 3, 4, 8)
]
WISHES: list[dict[str, object]] = [
    {},
    {"users": 50, "context": 4096, "max_model_len": 32768},
    {"users": 10, "context": 32768},
    {"tensor_parallel_size": 1, "max_model_len": 8192},
    {"context": 16384, "kv_cache_dtype": "fp8"},
]
VERSIONS = ("0.32.0", "0.10.2")


def main() -> None:
    models = json.loads((HERE / "data" / "model_configs.json").read_text(encoding="utf-8"))
    cases = list(itertools.product(models.items(), MACHINES, WISHES, VERSIONS))
    step = 379  # prime to the number of cases, so that every part of the product is met
    chosen = [cases[number * step % len(cases)] for number in range(PLANS)]
    times, ends = [], {"fits": 0, "does not fit": 0, "refused": 0}
    for (name, model), (count, gpu), wishes, version in chosen:
        params = {
            "model_config": model["config"],
            "weights_bytes": model["weights_bytes"],
            "repo": name,
            "gpus": [{"name": gpu, "count": count}],
            "vllm_version": version,
            **wishes,
        }
        started = time.process_time()
        try:
            end = "fits" if plan_vllm(params).fits else "does not fit"
        except Refusal:
            end = "refused"
        times.append(time.process_time() - started)
        ends[end] += 1
    described = ", ".join(f"{count} {end}" for end, count in ends.items())
    print(f"{PLANS} plans: {sum(times):.2f} s of one core ({described})")
    print(f"each: median {1000 * statistics.median(times):.2f} ms, longest {1000 * max(times):.1f} ms")


if __name__ == "__main__":
    main()
