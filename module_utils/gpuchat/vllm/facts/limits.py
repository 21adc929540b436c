# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How small and how large the numbers may be that arguments of ``vllm serve`` take.

Kept by hand. Sources: the fields of vllm/config/*.py of 0.33.0; for what is gone, the checks of vllm/config.py of 0.9.2
and of vllm/config/scheduler.py of 0.11.0. Versions that check less end later and with less to read, so that the limits
hold for all.
"""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """The least and the most that a number may be; ``above`` and ``below`` say that the limit itself is none."""

    least: int
    most: int | None = None
    above: bool = False
    below: bool = False


FROM_1 = (
    "block-size mamba-block-size prefix-match-unit replayssm-buffer-len num-gpu-blocks-override max-loras "
    "decode-context-parallel-size prefill-context-parallel-size nnodes dp-sync-interval elastic-ep-max-dp-size "
    "max-parallel-loading-workers max-num-active-seqs max-num-scheduled-tokens prefill-schedule-interval "
    "stream-interval offload-num-in-group max-num-partial-prefills max-long-partial-prefills num-scheduler-steps "
    "api-server-count"  # 0 is not refused, and answers nobody: run_headless of vllm/entrypoints/cli/serve.py
)
FROM_0 = (
    "swap-space cpu-offload-gb kv-offloading-size offload-group-size offload-prefetch-step mm-processor-cache-gb "
    "mm-shm-cache-max-object-size-mb mm-ipc-gpu-memory-gb prefix-cache-retention-interval node-rank "
    "data-parallel-size-local data-parallel-rank data-parallel-start-rank ubatch-size dbo-decode-token-threshold "
    "dbo-prefill-token-threshold long-prefill-token-threshold max-num-queued-reqs max-num-queued-tokens "
    "num-lookahead-slots num-redundant-experts max-cudagraph-capture-size shutdown-timeout"
)
LIMITS: dict[str, Limits] = {
    **dict.fromkeys(FROM_1.split(), Limits(1)),
    **dict.fromkeys(FROM_0.split(), Limits(0)),
    "max-logprobs": Limits(-1),
    "seed": Limits(0, 2**32 - 1),  # np.random.seed in set_random_seed of vllm/utils/torch_utils.py
    "data-parallel-rpc-port": Limits(1, 65535),
    "kv-cache-metrics-sample": Limits(0, 1, above=True),
    "video-pruning-rate": Limits(0, 1, below=True),
    "watermark": Limits(0, 1, below=True),
}
