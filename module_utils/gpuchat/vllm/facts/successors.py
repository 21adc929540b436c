# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do instead of setting an argument of ``vllm serve`` that is gone, or has another name in a file.

Kept by hand: the advice, and where it is said. Paths are those of the source distribution of the last version that had
the argument.
"""

from __future__ import annotations

ARGUMENTS = "vllm/engine/arg_utils.py"
V1_GUIDE = "docs/usage/v1_guide.md: the V1 engine has no such thing"

STRUCTURED = "give structured-outputs-config instead"
SPECULATIVE = "give speculative-config instead"
BALANCER = "give eplb-config instead"
NO_SUCH_THING = "remove it, the V1 engine has no such thing"
ADAPTERS = "remove it, prompt adapters are gone; LoRA adapters do their work"

SUCCESSORS: dict[str, tuple[str, str]] = {
    "calculate-kv-scales": ("remove it, the scales come from the checkpoint", "vllm/config/cache.py"),
    "cuda-graph-sizes": ("give cudagraph-capture-sizes instead", ARGUMENTS),
    "device": ("remove it, the platform is found by itself", ARGUMENTS + " of 0.9.2"),
    "disable-async-output-proc": (NO_SUCH_THING, V1_GUIDE),
    "disable-frontend-multiprocessing": ("remove it, the API server always has a process of its own", "no help text"),
    "disable-log-requests": ("remove it, requests are logged only where enable-log-requests is true", ARGUMENTS),
    "disable-logprobs-during-spec-decoding": (SPECULATIVE, ARGUMENTS),
    "disable-mm-preprocessor-cache": ("give mm-processor-cache-gb: 0 instead", ARGUMENTS),
    "enable-multimodal-encoder-data-parallel": ("give mm-encoder-tp-mode: data instead", ARGUMENTS),
    "enable-prompt-adapter": (ADAPTERS, ARGUMENTS),
    "enable-reasoning": ("remove it, reasoning-parser alone turns reasoning on", ARGUMENTS),
    "eplb-log-balancedness": (BALANCER, ARGUMENTS),
    "eplb-step-interval": (BALANCER, ARGUMENTS),
    "eplb-window-size": (BALANCER, ARGUMENTS),
    "guided-decoding-backend": (STRUCTURED, ARGUMENTS),
    "guided-decoding-disable-additional-properties": (STRUCTURED, ARGUMENTS),
    "guided-decoding-disable-any-whitespace": (STRUCTURED, ARGUMENTS),
    "guided-decoding-disable-fallback": (STRUCTURED, ARGUMENTS),
    "logits-processor-pattern": ("give logits-processors instead", ARGUMENTS),
    "max-prompt-adapter-token": (ADAPTERS, ARGUMENTS),
    "max-prompt-adapters": (ADAPTERS, ARGUMENTS),
    "max-seq-len-to-capture": ("remove it, CUDA graphs now serve sequences of any length", V1_GUIDE),
    "multi-step-stream-outputs": (NO_SUCH_THING, V1_GUIDE),
    "ngram-prompt-lookup-max": (SPECULATIVE, ARGUMENTS),
    "ngram-prompt-lookup-min": (SPECULATIVE, ARGUMENTS),
    "num-lookahead-slots": (SPECULATIVE, ARGUMENTS),
    "num-redundant-experts": (BALANCER, ARGUMENTS),
    "num-scheduler-steps": (NO_SUCH_THING, V1_GUIDE),
    "num-speculative-tokens": (SPECULATIVE, ARGUMENTS),
    "override-pooler-config": ("give pooler-config instead", ARGUMENTS),
    "preemption-mode": (NO_SUCH_THING, V1_GUIDE),
    "prompt-adapters": (ADAPTERS, ARGUMENTS),
    "rope-scaling": (
        "give hf-overrides with rope_parameters (rope_scaling before 0.12.0) instead",
        "vllm/config/model.py",
    ),
    "rope-theta": ("give hf-overrides with rope_parameters (rope_theta before 0.12.0) instead", "vllm/config/model.py"),
    "scheduler-delay-factor": (NO_SUCH_THING, V1_GUIDE),
    "spec-decoding-acceptance-method": (SPECULATIVE, ARGUMENTS),
    "speculative-disable-by-batch-size": (SPECULATIVE, ARGUMENTS),
    "speculative-disable-mqa-scorer": (SPECULATIVE, ARGUMENTS),
    "speculative-draft-tensor-parallel-size": (SPECULATIVE, ARGUMENTS),
    "speculative-max-model-len": (SPECULATIVE, ARGUMENTS),
    "speculative-model": (SPECULATIVE, ARGUMENTS),
    "speculative-model-quantization": (SPECULATIVE, ARGUMENTS),
    "swap-space": (
        "remove it, the V1 engine computes anew what it drops; kv-offloading-size keeps it in RAM",
        V1_GUIDE,
    ),
    "task": ("give runner and convert instead", ARGUMENTS),
    "typical-acceptance-sampler-posterior-alpha": (SPECULATIVE, ARGUMENTS),
    "typical-acceptance-sampler-posterior-threshold": (SPECULATIVE, ARGUMENTS),
    "use-v2-block-manager": (NO_SUCH_THING, V1_GUIDE),
}

PARSERS: dict[str, str] = {
    # Parsers that have another name since (vllm/reasoning and tool_parsers of 0.10.2).
    "GptOss": "openai_gptoss",
    "glm4_moe": "glm45",
}

SHORT: dict[str, str] = {
    "asc": "api-server-count",
    "ac": "attention-config",
    "cc": "compilation-config",
    "dcp": "decode-context-parallel-size",
    "dp": "data-parallel-size",
    "dpa": "data-parallel-address",
    "dpb": "data-parallel-backend",
    "dpe": "data-parallel-external-lb",
    "dph": "data-parallel-hybrid-lb",
    "dpl": "data-parallel-size-local",
    "dpn": "data-parallel-rank",
    "dpp": "data-parallel-rpc-port",
    "dpr": "data-parallel-start-rank",
    "ep": "enable-expert-parallel",
    "n": "nnodes",
    "O": "optimization-level",
    "pcp": "prefill-context-parallel-size",
    "pp": "pipeline-parallel-size",
    "q": "quantization",
    "r": "node-rank",
    "sc": "speculative-config",
    "tp": "tensor-parallel-size",
}
"""Names of one dash, which a command line takes and a configuration file does not (vllm/engine/arg_utils.py and
vllm/entrypoints/common/cli_args.py of 0.33.0)."""
