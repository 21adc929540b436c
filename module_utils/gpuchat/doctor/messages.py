# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What known messages in the logs mean, and what to do about them.

Each row's source stands above it: a file of vLLM 0.33 (vllm), of Docker's moby, of NVIDIA's toolkit, of LobeHub 2.1.26,
of Open WebUI 0.12.4, or of the program that is named; the strings of Debian's nginx 1.26.3 and PostgreSQL 17; a thread
of an issue tracker; or what people are known to meet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..survey import types as parts
from ..survey.types import ENGINES, FAULT, WARNING

VLLM, DOCKER, NGINX, POSTGRESQL = "vllm", "docker", "nginx", "postgresql"
CHAT, LOBEHUB, OPEN_WEBUI = "chat", "lobehub", "open_webui"
"""Of either interface, and of one."""

PODMAN, SYSTEMD, KERNEL, RESTIC, ACME = "podman", "systemd", "kernel", "restic", "acme"
DRIVER = "driver"
"""What the kernel says of NVIDIA's, where that serves no GPU."""

BEGINNINGS = re.compile(
    r"vLLM API server version|[█▄▀] +version \d|start worker process|starting PostgreSQL \d|DNS Server: \["
    r"|msg=\"?Starting up\b"
)
"""Lines with which a program says that it starts anew."""

COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
MILD = re.compile(
    r"\b(?:INFO|DEBUG|WARNING) \d\d-\d\d \d\d:\d\d|\bINFO:  |\| (?:INFO|DEBUG) +\||^(?:INFO|DEBUG) +\["
    r"|\blevel=(?:info|debug)\b|\[(?:info|notice|debug)\] \d+#|\[dump_input\.py:\d+"
    r"|\bNCCL INFO |\bW\d{4} \d\d:\d\d:\d\d|\[W\d{0,4}[ \d:.]*\w+\.cpp:\d+\]"
    r"|Handler for (?:GET|HEAD) \S+ returned error"
)
"""Lines of which the program itself says that nothing failed, or in which it shows all that it was given."""

LONGEST = 300
TELLING = re.compile(
    r"\b(\w*(?:error|exception)|fatal|panic|emerg|alert|crit|failed|cannot|unable)\b[: \]]", re.IGNORECASE
)
"""What the last words of a program look like that are no known message."""


@dataclass(frozen=True)
class Message:
    """One known message.

    Attributes:
        name: a word for programs.
        of: whose it is.
        pattern: is searched in a line.
        cause: what it comes from, after "found".
        is_consequence: it says that something ended, and not why; another message of the same log says more.
        is_hint: it says what failed, and not for certain why; one that does counts before it.
        refers: it stands below or above the exception that it speaks of, which is shown in its place.
    """

    name: str
    of: str
    pattern: str
    cause: str
    fix: str
    severity: str = FAULT
    is_consequence: bool = False
    is_hint: bool = False
    refers: bool = False

    @property
    def kind(self) -> str:
        return f"log.{self.of}.{self.name}"

    @property
    def place(self) -> int:
        """Its place among those that one log holds: what says why, before what ended, before what only warns."""
        if self.severity == WARNING:
            return 4 if self.is_consequence else 3
        return 2 if self.is_consequence else int(self.is_hint)


@dataclass(frozen=True)
class Recognised:
    """A message, and the line in which it stands."""

    message: Message
    line: str


MESSAGES = (
    # vllm/v1/worker/utils.py
    Message(
        "memory_taken",
        VLLM,
        r"less than desired GPU memory utilization",
        "less free GPU memory than the engine is to use: something else holds it",
        "stop what else holds it (`nvidia-smi` names it), or plan without that GPU (gpus in gpuchat_models)",
    ),
    # vllm/v1/core/kv_cache_planning.py
    Message(
        "no_cache",
        VLLM,
        r"No available memory for the cache blocks",
        "weights and activations that fill the GPUs, so that nothing is left for conversations",
        "run playbooks/plan.yml; give the model more GPUs, or take one with smaller weights",
    ),
    # vllm/v1/core/kv_cache_planning.py
    Message(
        "context_too_long",
        VLLM,
        r"To serve at least one request with |"
        r"is larger than the maximum number of tokens that can be stored in KV cache",
        "a context that is longer than what the GPUs' free memory holds",
        "lower context of the model in gpuchat_models, or give it more GPUs; playbooks/plan.yml says what fits",
    ),
    # vllm/v1/worker/gpu_worker.py, vllm#56830
    Message(
        "neighbour",
        VLLM,
        r"Error in memory profiling",
        "GPU memory that another program freed while the engine measured it",
        "start the engines of a host one after the other: restart this one now (deploys/restart.py)",
    ),
    # vllm/v1/engine/utils.py; vllm/v1/engine/exceptions.py
    Message(
        "core_ended",
        VLLM,
        r"Engine core initialization failed|EngineCore (?:encountered an? |failed to start|died)|"
        r"Engine core proc \S+ died|"
        r"Engine process failed to start|WorkerProc (?:initialization failed|hit an exception)|"
        r"(?:Async)?EngineDeadError|"
        r"got fatal signal from worker processes|Background loop has errored already|RPCServer process ended before",
        "an engine whose core ended; the first traceback above this line says why",
        "read the log from its first traceback on",
        is_consequence=True,
        refers=True,
    ),
    # vllm/distributed/device_communicators/shm_broadcast.py
    Message(
        "waiting",
        VLLM,
        r"No available shared memory broadcast block",
        "a worker that is stuck or compiles for long",
        "wait once; where it repeats, restart the engine, and look for Xid with `dmesg`",
        WARNING,
        is_consequence=True,
    ),
    # vllm/v1/executor/multiproc_executor.py, vllm#40926
    Message(
        "hung_worker",
        VLLM,
        r"RPC call to \S+ timed out",
        "a worker that hangs",
        "restart the engine; where it comes back, look for Xid with `dmesg` and report it to vLLM",
        is_hint=True,
    ),
    # vllm/v1/executor/multiproc_executor.py
    Message(
        "worker_died",
        VLLM,
        r"Worker proc \S+ died unexpectedly(?! \(exit code: -4\))",
        "a worker that the system ended: the host's memory was full, or a GPU failed",
        "look for `Out of memory` and `Xid` with `dmesg`; give the host more memory, or look at the GPU",
        is_hint=True,
        refers=True,
    ),
    # vllm/platforms/cuda.py
    Message(
        "no_bfloat16",
        VLLM,
        r"Bfloat16 is only supported",
        "a GPU older than compute capability 8.0, which has no bfloat16",
        "put dtype: half into args of the model in gpuchat_models",
    ),
    # vllm/config/vllm.py, vllm/model_executor/layers/fused_moe/oracle
    Message(
        "quantization",
        VLLM,
        r"not supported for the current GPU\. Minimum|type fp8\w+ not supported in this architecture|"
        r"Failed to find a kernel that can implement the|No \w+ MoE backend supports the deployment|"
        r"Int8 not supported (?:on|for) ",
        "weights in a precision that this GPU cannot compute with",
        "take the model in another quantization; playbooks/plan.yml says which ones fit",
    ),
    # vllm/model_executor/models/registry.py; transformers, whose later versions only warn of a scaling's numbers
    Message(
        "architecture",
        VLLM,
        r"Model architectures .* are not supported for now|"
        r"Unrecognized configuration class .* for this kind of AutoModel|"
        r"KeyError: '(?:deepseek|gemma|glm|gpt_oss|kimi|llama|minimax|mistral|nemotron|phi|qwen)\w*'$|"
        r"but Transformers does not recognize this architecture|has no vLLM implementation and the Transformers|"
        r"GGUF model with architecture \S+ is not supported|Unknown gguf model_type|"
        r"'\w+Config' object has no attribute|"
        r"(?:ValueError: |Value error, )`rope_\w+`.* must be|KeyError: 'rope_type'|"
        r"ForC\w+\.__init__\(\) got an unexpected keyword",
        "a model that this version of vLLM does not know",
        "set vllm_version, or the model's version in gpuchat_models, to a newer one",
    ),
    # vllm/model_executor/models/registry.py; vllm#46132
    Message(
        "inspection",
        VLLM,
        r"Model architectures .* failed to be inspected|Error in inspecting model architecture",
        "a model at which this version of vLLM could not look; the exception says why",
        "read the log from its first traceback on; where that names nothing else, set vllm_version, or the model's "
        "version in gpuchat_models, to a newer one",
        is_hint=True,
        refers=True,
    ),
    # vllm/v1/core/kv_cache_utils.py; vllm#42911
    Message(
        "hybrid_cache",
        VLLM,
        r"Hybrid KV cache manager is disabled but failed",
        "a model with layers of several kinds, and settings that want one cache for all of them",
        "take kv-transfer-config, kv-offloading-size and disable-hybrid-kv-cache-manager out of args in gpuchat_models "
        "and of vllm_args",
    ),
    # vllm/model_executor/models/interfaces.py
    Message(
        "stages",
        VLLM,
        r"Pipeline parallelism is not supported for this model",
        "a model that this version of vLLM does not divide into stages",
        "take pipeline-parallel-size out of args in gpuchat_models, and give the model GPUs of one host",
    ),
    # vllm/lora, in peft_helper.py, lora_model.py and worker_manager.py
    Message(
        "adapter",
        VLLM,
        r"is greater than max_lora_rank|Loading lora \S+ failed|expected target modules in .* but received|"
        r"does not support LoRA yet",
        "an adapter that is not there, or that the engine does not take",
        "compare lora-modules and max-lora-rank in args in gpuchat_models with the adapter's folder, and with r and "
        "the model in its own configuration",
    ),
    # vllm/config/speculative.py
    Message(
        "draft",
        VLLM,
        r"Target and draft model should have the same vocabulary|"
        r"Speculative decoding with draft model is not supported",
        "a model for drafts that does not go with this one, or with this version of vLLM",
        "take speculative-config out of args in gpuchat_models, or name a draft of the same family there",
    ),
    # vllm/platforms/interface.py; vllm#41848, vllm#13815
    Message(
        "gpu_names",
        VLLM,
        r"invalid literal for int\(\) with base 10: '(?:GPU|MIG)-",
        "GPUs by UUIDs, which this version of vLLM does not read",
        "take CUDA_VISIBLE_DEVICES out of environment in gpuchat_models, and name them by gpus of the model",
    ),
    # vllm/config/model.py
    Message(
        "heads",
        VLLM,
        r"AssertionError: \d+ is not divisible by \d+|"
        r"(?:attention heads|hidden layers) .*must be divisible by",
        "a number of GPUs that does not divide the model's attention heads",
        "give the model 1, 2, 4 or 8 GPUs (gpus in gpuchat_models), or leave it to auto",
    ),
    # vllm/model_executor/model_loader/default_loader.py
    Message(
        "no_weights",
        VLLM,
        r"Cannot find any model weights|"
        r"FileNotFoundError: .*\.(?:safetensors|bin|gguf)\b",
        "a model's folder without weights, or with weights of another format",
        "run site.yml with --tags model; look whether include and exclude of the model leave its weights out",
    ),
    # vllm/config/device.py
    Message(
        "no_device",
        VLLM,
        r"Failed to infer device type|No CUDA GPUs are available|Found no NVIDIA driver on your system|"
        r"NVMLError_(?:LibraryNotFound|DriverNotLoaded)|Torch not compiled with CUDA enabled|"
        r"libcuda\.so\.1: cannot open shared object|no CUDA-capable device is detected|Device string must not be empty|"
        r"CUDA driver initialization failed",
        "an engine that sees no GPU in its container",
        "run site.yml with --tags nvidia_container_toolkit; try nvidia-smi in a container (`docker run --gpus all`)",
    ),
    # vllm/config/compilation.py
    Message(
        "sequences",
        VLLM,
        r"exceeds available Mamba cache",
        "more conversations at once than the model's cache of states holds",
        "lower users of the model in gpuchat_models",
    ),
    # vllm/entrypoints/openai/chat_completion/protocol.py
    Message(
        "chat_template",
        VLLM,
        r"default chat template is no longer|Cannot use chat template functions because|"
        r"The supplied chat template .*(?:doesn't exist|not found)",
        "a model without a chat template, or one that is not where it should be",
        "put chat-template into args of the model in gpuchat_models, or take its instruct variant",
    ),
    # argparse, by way of vllm/utils/argparse_utils.py
    Message(
        "unknown_flag",
        VLLM,
        r"unrecognized arguments",
        "a flag that this version of vLLM does not have",
        "remove it from args in gpuchat_models or from vllm_args; playbooks/plan.yml names the nearest one",
    ),
    # llm-d#1430
    Message(
        "caches",
        VLLM,
        r"Permission denied: '(?:/root|/home/\w+)?/\.(?:triton|cache|config|nv|local)|getpwuid\(\): uid not found",
        "caches for which the engine's user has no home",
        "run site.yml with --tags vllm; leave HOME out of environment of the model",
    ),
    # CUDA's errors 803 and 804, and its words of missing kernels; vllm#33447, gpustack#4678
    Message(
        "driver",
        VLLM,
        r"Error 80[34]|system has unsupported display driver|CUDA error: forward compatibility was attempted|"
        r"driver version is insufficient|NVIDIA driver on your system is too old|"
        r"compiled with an unsupported toolchain",
        "a driver that is too old for the image's CUDA",
        "install a newer driver, or set vllm_version to one whose CUDA it serves; playbooks/plan.yml says which",
    ),
    # vllm/entrypoints/launcher.py
    Message(
        "socket_taken",
        VLLM,
        r"(?:\[Errno 98\]|error while attempting to bind).*[Aa]ddress already in use|"
        r"failed to listen on any local network address|ZMQError: Address already in use",
        "an engine's socket that another process, or one before it, still holds",
        "restart the engine (deploys/restart.py); if that does not help, remove its vllm.sock while it is stopped",
    ),
    # Gloo, and NCCL in src/bootstrap.cc and src/transport/net_socket.cc, by way of torch.distributed
    Message(
        "interfaces",
        VLLM,
        r"no socket interface found|connectFullMesh failed|gloo.*Unable to find (?:address|interface) for|"
        r"gloo.*timed out connecting|"
        r"NET/Socket : (?:no interface|No usable listening interface) found",
        "no network interface by which the parts of one engine find each other",
        "name it by NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME in environment of the model in gpuchat_models",
    ),
    # torch, in c10/cuda/CUDACachingAllocator.cpp and driver_api.h
    Message(
        "out_of_memory",
        VLLM,
        r"CUDA out of memory|torch\.(?:cuda\.)?OutOfMemoryError|CUDA (?:driver )?[Ee]rror: out of memory|"
        r"CUBLAS_STATUS_ALLOC_FAILED|CUDA_ERROR_OUT_OF_MEMORY|Cuda failure.*out of memory|"
        r"Triton Error \[CUDA\]: out of memory|"
        r"CUBLAS_STATUS_NOT_INITIALIZED|"
        r"cudaGetDeviceCount\(\).*Error 2: out of memory|"
        r"NVML_SUCCESS == r INTERNAL ASSERT",  # torch asks who holds the memory, and is not told
        "a GPU whose memory is full",
        "see with `nvidia-smi` who holds it; lower context or users of the model, or give it more GPUs",
    ),
    # vllm/config/model.py; xinference#1715
    Message(
        "context_beyond",
        VLLM,
        r"is greater than the derived max_model_len",
        "a context that is longer than the one that the model was made for",
        "lower context of the model in gpuchat_models (or gpuchat_context, vllm_max_model_len), or stretch it by "
        "hf-overrides in its args",
    ),
    # vllm/config/scheduler.py
    Message(
        "scheduler",
        VLLM,
        r"max_num_batched_tokens \(\d+\) (?:is smaller than|must be greater)|is larger than max_num_batched_tokens",
        "a number of tokens in a step that goes with neither the context nor the conversations at once",
        "take max-num-batched-tokens and max-num-seqs out of args in gpuchat_models and of vllm_args, or let them "
        "fit each other",
    ),
    # vllm/config/parallel.py, vllm/v1/worker/gpu_worker.py; CUDA's error 101; vllm/v1/executor/ray_utils.py; NCCL, in
    # src/init.cc, with other words since 2.30
    Message(
        "too_few_gpus",
        VLLM,
        r"is larger than the number of available GPUs|invalid device ordinal|local rank \d+ is out of bounds|"
        r"number of required GPUs exceeds|"
        r"Duplicate GPU detected|Multiple Ranks are using the same GPU|device < num_gpus INTERNAL ASSERT",
        "fewer GPUs in the engine's container than it is to use",
        "see with `nvidia-smi --list-gpus` which are there; correct gpus of the model in gpuchat_models, or leave "
        "it to auto",
    ),
    # CUDA's error 802
    Message(
        "fabric",
        VLLM,
        r"Error 802|system not yet initialized",
        "GPUs with NVSwitch whose fabric manager does not run",
        "install nvidia-fabricmanager of the driver's version, start it, and look at its state with `nvidia-smi -q`",
    ),
    # NCCL, in src/transport/nvls.cc
    Message(
        "multicast",
        VLLM,
        r"Failed to bind NVLink SHARP|transport/nvls\.cc:\d+ NCCL WARN",
        "GPUs whose NVSwitches do not take what NCCL wants of them (NVLS)",
        "look at the fabric manager's log and at `nvidia-smi -q`; else put NCCL_NVLS_ENABLE: '0' into environment of "
        "the model in gpuchat_models",
    ),
    # torch, in c10/cuda/CUDAFunctions.cpp; CUDA's error 999
    Message(
        "cuda_unknown",
        VLLM,
        r"CUDA unknown error|CUDA error: unknown error|Error 999|cudaGetDeviceCount\(\).*Error (?:3|304): ",
        "a driver that is loaded in part, as after sleep or an upgrade",
        "run `nvidia-modprobe --unified-memory`, then restart the engine (deploys/restart.py); where it stays so, "
        "restart the host",
    ),
    # CUDA's errors 700, 716, 719, 710; vllm#17098
    Message(
        "gpu_fault",
        VLLM,
        r"illegal memory access|unspecified launch failure|misaligned address|device-side assert triggered|"
        r"illegal instruction was encountered|CUBLAS_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR)",
        "a computation that failed on the GPU: a mistake in a kernel, or a GPU that is faulty",
        "look for Xid with `dmesg`; where there is none, set vllm_version to another one, or put enforce-eager: "
        "true into args of the model in gpuchat_models",
    ),
    # NCCL, in misc/shmutils.cc; torch, in its DataLoader
    Message(
        "shm",
        VLLM,
        r"/dev/shm/\S+.*(?:No space|error)|shared memory segment /dev/shm|</torch_\S+>: No space|"
        r"insufficient shared memory|No space left on device.*/dev/shm|is killed by signal: Bus error",
        "shared memory of the engine that is full",
        "run site.yml with --tags vllm, which gives its container 16 GiB; look with `df /dev/shm` in it at what "
        "else lies there",
    ),
    # NCCL, by way of vllm/distributed/device_communicators/pynccl_wrapper.py; gloo, in gloo/transport/tcp; vllm#12625
    Message(
        "nccl",
        VLLM,
        r"NCCL [Ee]rror(?!.*no socket interface)|unhandled (?:cuda|system) error|"
        r"nccl(?:System|Internal|Remote|UnhandledCuda)Error|NCCL WARN Cuda failure (?!.*out of memory)|"
        r"remote process exited or there was a network error|"
        r"gloo.*Connection (?:closed|reset) by peer|gloo.*Timed out waiting|(?:recvValue|sendBytes) failed",
        "GPUs that do not reach each other, or a worker of the engine that ended",
        "read what stands above it, and look for Xid with `dmesg`; else put NCCL_DEBUG: INFO into environment of "
        "the model in gpuchat_models",
        is_hint=True,
    ),
    # torch, in c10/cuda/CUDAException.cpp, of what no other row names; vllm#43473
    Message(
        "cuda",
        VLLM,
        r"CUDA (?:driver )?error: (?!out of memory|no kernel|invalid device|uncorrectable|CUBLAS_STATUS_[AEI]|"
        r"an illegal|unspecified|misaligned|device-side|the provided PTX|no CUDA-capable|system not yet)|"
        r"cudaGetDeviceCount\(\).*Error 805",
        "a GPU that did not do what the engine asked of it",
        "look for Xid with `dmesg`, and at memory with `free`; where neither says more, set vllm_version to another "
        "one",
        is_hint=True,
    ),
    # torch, in ProcessGroupNCCL.cpp; vllm#6042, vllm#12625
    Message(
        "collective",
        VLLM,
        r"Watchdog caught collective operation timeout",
        "a GPU that the others wait for in vain: it hangs, or they do not reach each other",
        "look for Xid with `dmesg`; where there is none, put NCCL_P2P_DISABLE: '1' into environment of the model in"
        " gpuchat_models",
        is_hint=True,
    ),
    # torch, in TCPStore.cpp and socket.cpp; NCCL, in src/misc/socket.cc, since 2.30 in src/os/linux.cc; vllm#13052
    Message(
        "other_host",
        VLLM,
        r"Timed out after \d+ seconds waiting for clients|client socket has timed out|"
        r"DistNetworkError: .*client socket has failed|"
        r"NCCL WARN .*(?:[Cc]onnect (?:to \S+ )?returned|[Cc]onnect to \S+ failed)",
        "a part of an engine that spans hosts, which the others do not reach",
        "see whether the engine runs on each host of the model, and whether gpuchat_span_port is free there and "
        "open between them",
    ),
    # transformers, in tokenization_utils_base.py, convert_slow_tokenizer.py and models/auto; tokenizers; QwenPaw#3084,
    # transformers#45566
    Message(
        "tokenizer",
        VLLM,
        r"instantiate the backend tokenizer|Tiktoken failed|Tokenizer class \S+ does not exist|"
        r"Can't load tokenizer for|did not match any variant of untagged enum|"
        r"AttributeError: 'list' object has no attribute 'keys'",  # tokens of transformers 5, for one before
        "a tokenizer that is missing, or of a form that this version of vLLM does not know",
        "run site.yml with --tags model; see that include and exclude of the model leave its tokenizer in; else set"
        " vllm_version to a newer one",
    ),
    # transformers, in configuration_utils.py and models/auto/configuration_auto.py; vllm/transformers_utils/config.py
    Message(
        "no_config",
        VLLM,
        r"Invalid repository ID or local directory|Should have a `model_type` key|Can't load the configuration of|"
        r"not appear to have (?:a|any) files? named|HFValidationError|Incorrect path_or_model_id|"
        r"Could not detect config format|Can't load (?:(?:image|video) processor|feature extractor) for",
        "a model's folder without a configuration that vLLM knows",
        "run site.yml with --tags model; compare repo, path, include and exclude of the model in gpuchat_models",
    ),
    # safetensors, in safetensors/src/tensor.rs; QwenLM/Qwen3-VL#264
    Message(
        "damaged_weights",
        VLLM,
        r"Error while deserializing header|HeaderTooLarge|MetadataIncompleteBuffer|"
        r"invalid header length|Unable to load weights from|"
        r"UnpicklingError|PytorchStreamReader failed",
        "weights that are damaged, came in part, or are only a pointer of git-lfs",
        "run site.yml with --tags model, which compares them with the hub's; of a model by path, copy its files anew",
    ),
    # the system's own words (ENODEV of mmap), by way of safetensors
    Message(
        "mapping",
        VLLM,
        r"No such device \(os error 19\)",
        "weights on a file system from which files cannot be mapped into memory",
        "put safetensors-load-strategy: eager into args of the model in gpuchat_models, or its files on a local disk",
    ),
    # vllm/model_executor/models/utils.py, vllm/model_executor/parameter.py
    Message(
        "weights_unlike",
        VLLM,
        r"There is no module or parameter named|Attempted to load weight|"
        r"KeyError: '(?:model\.)?(?:language_model\.)?layers\.\d|"
        r"KeyError: '[\w.]+\.(?:q?weight|weight_\w+|qzeros|scales|bias)'|"
        r"start \(\d+\) \+ length \(\d+\) exceeds dimension size|must match the size of tensor b .* at non-singleton|"
        r"weights were not initialized from checkpoint",
        "weights that are not of the form that this version of vLLM has for the model",
        "set vllm_version, or version of the model in gpuchat_models, to a newer one; or take the model in another "
        "quantization",
    ),
    # transformers, in dynamic_module_utils.py; vllm/transformers_utils/config.py and vllm/tokenizers
    Message(
        "custom_code",
        VLLM,
        r"contains custom code which must be executed|"
        r"(?:pass the argument|set the option|consider setting) `trust_remote_code=True`",
        "a model that brings program code of its own",
        "look at that code; where you trust it, put trust-remote-code: true into args of the model in "
        "gpuchat_models, else take another model",
    ),
    # vllm/config/model.py, vllm/config/vllm.py
    Message(
        "dtype",
        VLLM,
        r"does not support float16|(?:float16|bfloat16|float32) is not supported for quantization method",
        "a precision that the model, or its quantization, does not compute with",
        "put dtype into args of the model in gpuchat_models as the line names it (bfloat16 or half), or take "
        "another model",
    ),
    # vllm/config/model.py
    Message(
        "quantization_flag",
        VLLM,
        r"does not match the quantization method specified|Unknown quantization method|"
        r"Cannot find any of \[.*\] in the model's quantization config",
        "a quantization that is not the model's, or none that this version of vLLM has",
        "take quantization out of args in gpuchat_models and of vllm_args; where it is not there, set vllm_version "
        "to a newer one",
    ),
    # vllm/model_executor/layers/quantization/fp8.py, utils/marlin_utils.py
    Message(
        "quantized_split",
        VLLM,
        r"not divisible by weight quantization block|is not divisible by min_thread|"
        r"not aligned with the quantized weight shape",
        "quantized weights that so many GPUs cannot divide among them",
        "give the model fewer GPUs (gpus in gpuchat_models), or take it in another quantization",
    ),
    # vllm/platforms/cuda.py, vllm/v1/attention/backends, in registry.py too; vllm#22331
    Message(
        "attention",
        VLLM,
        r"Sinks are only supported in|is not valid for this configuration|No valid attention backend found|"
        r"FlashAttention (?:only supports|is not supported)|"
        r"Unknown attention backend: |Invalid attention backend for|"
        r"does not support --kv-cache-dtype|Unsupported FA version|FlashAttention version not detected",
        "an attention that this version of vLLM does not compute on this GPU with these settings",
        "take attention-backend and kv-cache-dtype out of args in gpuchat_models; else set vllm_version to a newer one",
    ),
    # huggingface_hub, in errors.py; transformers, in utils/hub.py
    Message(
        "hub",
        VLLM,
        r"couldn't connect to 'https?://|OfflineModeIsEnabled|LocalEntryNotFoundError|"
        r"GatedRepoError|RepositoryNotFoundError|"
        r"ConnectionPool\(host='(?:huggingface\.co|hf-mirror\.com|(?:www\.)?modelscope\.\w+)'|"
        r"httpx\.ConnectError: \[Errno -\d\]",
        "an engine that looks for files at a hub, which engines do not reach",
        "name no repository of a hub in args of the model (tokenizer, speculative-config); run site.yml with --tags"
        " model for its own files",
    ),
    # openai_harmony, in src/tiktoken_ext/public_encodings.rs; vllm#22525
    Message(
        "harmony",
        VLLM,
        r"HarmonyError: error downloading or loading vocab|failed to download or load vocab",
        "gpt-oss without its vocabulary, which it looks for in the internet",
        "put o200k_base.tiktoken beside the model's files, and its folder as TIKTOKEN_ENCODINGS_BASE into "
        "environment of the model in gpuchat_models",
    ),
    # vllm/entrypoints/openai/cli_args.py, vllm/tool_parsers; recipes#51, vllm#38674
    Message(
        "tool_parser",
        VLLM,
        r"invalid tool call parser|--tool-call-parser: invalid choice|"
        r"requires --(?:tool-call-parser|enable-auto-tool-choice)|"
        r"(?i:tool parser could not locate)|Tool parser '?\S+'? not found",
        "a tool parser that this version of vLLM does not have, or that is not the model's",
        "correct vllm_tool_call_parser (empty for that of the model's family), or set vllm_version to one that has it",
    ),
    # vllm/reasoning/abs_reasoning_parsers.py, vllm/entrypoints/openai/api_server.py
    Message(
        "reasoning_parser",
        VLLM,
        r"[Rr]easoning parser '?\S+'? not found|invalid reasoning parser|--reasoning-parser: invalid choice|"
        r"reasoning parser could not locate",
        "a reasoning parser that this version of vLLM does not have, or that is not the model's",
        "correct vllm_reasoning_parser (empty for that of the model's family), or set vllm_version to one that has it",
    ),
    # argparse, by way of vllm/engine/arg_utils.py
    Message(
        "flag_value",
        VLLM,
        r"error: argument (?!--(?:tool-call|reasoning)-parser)\S+:? (?:invalid |expected |Value )|"
        r"error: argument (?!--(?:tool-call|reasoning)-parser)\S+: |is only supported for multimodal models",
        "a flag, or a value of one, that this version of vLLM or this model does not take",
        "correct what the line names in args in gpuchat_models or in vllm_args; playbooks/plan.yml knows the flags "
        "of each version",
    ),
    # pydantic, of what stands in vllm/config
    Message(
        "refused",
        VLLM,
        r"\d+ validation errors? for \w+(?:Config|Args)\b",
        "a setting that vLLM refuses; the lines below this one say which",
        "read on in its log; correct args in gpuchat_models or vllm_args",
        is_hint=True,
        refers=True,
    ),
    # the system's own words (EACCES)
    Message(
        "unreadable",
        VLLM,
        r"PermissionError.*'[^']*(?:/model\b|/models/|\.safetensors|config\.json|tokenizer[^']*)'?",
        "files of the model that the engine's user may not read",
        "run site.yml with --tags model; of a model by path, let everybody read it (`chmod --recursive a+rX`)",
    ),
    # triton, in runtime/build.py; flashinfer, in flashinfer/jit/cpp_ext.py, jit/core.py (which says sm75 also of a GPU
    # too new for its nvcc) and compilation_context.py; flashinfer#1919, #1781, #3675, vllm#21960, vllm#42393
    Message(
        "compiler",
        VLLM,
        r"Could not find nvcc|nvcc: not found|directory: '\S*nvcc'|Failed to find C compiler|"
        r"Python\.h: No such file|"
        r"Ninja build failed|ninja: (?:build stopped|error)|directory: 'ninja'|"
        r"CUDA_HOME environment variable is not set|"
        r"cannot find -lcuda|nvcc fatal|CalledProcessError: .*/cuda_utils\.c|"
        r"FlashInfer requires (?:GPUs with )?sm\d+|No supported CUDA architectures found",
        "kernels that an engine wants to compile, and no compiler or headers for them, or a compiler that does not "
        "know the GPU",
        "run site.yml with --tags uv,vllm; where nvcc is missing or older than the GPU, put "
        "VLLM_USE_FLASHINFER_SAMPLER: '0' into environment of the model in gpuchat_models",
    ),
    # cutlass, by way of vllm/csrc and flashinfer; vllm#24377, vllm#11763
    Message(
        "cutlass",
        VLLM,
        r"Failed to (?:initialize|run) cutlass|RuntimeError: Error Internal\b|Failed to initialize the TMA descriptor",
        "kernels for quantized weights that fail on this GPU",
        "set vllm_version to a newer one, or put moe-backend: marlin into args of the model in gpuchat_models; else "
        "take the model in another quantization",
    ),
    # torch, in torch/_inductor/exc.py and torch/_dynamo/exc.py
    Message(
        "compile",
        VLLM,
        r"InductorError|BackendCompilerFailed|torch\._dynamo\.exc|PTXASError|ptxas fatal",
        "kernels that could not be compiled for this GPU",
        "set vllm_version to another one; put enforce-eager: true into args of the model in gpuchat_models meanwhile",
        is_hint=True,
    ),
    # the system's own loader (ld.so); torch, in torch/backends/cudnn and torch/_ops.py; flashinfer, in jit/env.py
    Message(
        "libraries",
        VLLM,
        r"lib(?:cudart|cublas\w*|cudnn\w*|nccl|cusparse\w*|nvrtc|torch\w*|c10\w*)\S*: cannot open shared object|"
        r"undefined symbol: _Z|ImportError: cannot import name|operator torchvision::\w+ does not exist|"
        r"Numpy is not available|numpy\.core\.multiarray failed|"
        r"version `GLIBC\S+' not found|ImportError: lib(?!cuda\.so)\S+: cannot open shared object|"
        r"cuDNN version incompatibility|'_OpNamespace' '\w+' object has no attribute|does not match flashinfer version",
        "packages of vLLM, PyTorch and CUDA that are not of one another",
        "take further packages out of vllm_packages, leave uv_torch_backend to auto, and run site.yml with --tags "
        "uv,vllm",
    ),
    # Python's own words
    Message(
        "package",
        VLLM,
        r"ModuleNotFoundError: No module named|"
        r"FlashInfer is not installed|(?:Error|Exception): Please install \S+",
        "a Python package that vLLM's image or environment lacks",
        "add it to vllm_packages, or set vllm_image to an image that has it",
        is_hint=True,
    ),
    # vllm/utils/deep_gemm.py
    Message(
        "deep_gemm",
        VLLM,
        r"DeepGEMM backend is not available|requires DeepGEMM to be installed",
        "kernels for FP8 weights (DeepGEMM) that vLLM's image or environment lacks",
        "put VLLM_USE_DEEP_GEMM: '0' into environment of the model in gpuchat_models, or set vllm_image to one with it",
    ),
    # vllm/entrypoints/openai/engine/serving.py
    Message(
        "request_too_long",
        VLLM,
        r"This model's maximum context length is|exceeds the pre-allocated encoder cache size",
        "conversations that are longer than the model's context",
        "raise context of the model in gpuchat_models, if the GPUs hold it",
        WARNING,
    ),
    # CUDA's error 209; torch, in torch/cuda/__init__.py and torch/_inductor/exc.py; vllm#16901, vllm#21633;
    # vllm/csrc, in quantization/w8a8/cutlass and quantization/fp4
    Message(
        "kernels",
        VLLM,
        r"no kernel image is available|device kernel image is invalid|is not compatible with the current PyTorch|"
        r"No compiled (?:get_)?(?:cutlass|nvfp4)|is too old to be supported by the triton|"
        r"Triton only supports devices of CUDA",
        "a GPU for which the image has no kernels: it is newer or older than those that it was built for",
        "set vllm_version to one that knows the GPU (a newer one for a new card); playbooks/plan.yml says which",
    ),
    # triton, in compiler/errors.py
    Message(
        "resources",
        VLLM,
        r"OutOfResources|out of resource: shared memory",
        "a kernel that is too large for this GPU's own shared memory",
        "put another attention-backend into args of the model in gpuchat_models, or set vllm_version to a newer one",
    ),
    # torch, in torch/cuda/__init__.py
    Message(
        "forked",
        VLLM,
        r"Cannot re-initialize CUDA in forked subprocess",
        "an engine whose workers are forked after it has used the GPU",
        "put VLLM_WORKER_MULTIPROC_METHOD: spawn into environment of the model in gpuchat_models",
    ),
    # vllm/config/cache.py, vllm/v1/worker/cpu_worker.py
    Message(
        "host_memory",
        VLLM,
        r"Too large swap space|less than desired CPU memory|VLLM_CPU_KVCACHE_SPACE.*(?:exceed|larg|enough)",
        "an engine that is to use more of the host's memory than there is",
        "lower vllm_cpu_kv_cache_gib, or swap-space in args of the model in gpuchat_models",
    ),
    # the system's own words (SIGILL)
    Message(
        "processor",
        VLLM,
        r"Illegal instruction +\(core dumped\)|Fatal Python error: Illegal instruction|requires AVX|"
        r"died unexpectedly \(exit code: -4\)|AVX512.*(?:not supported|required)",
        "a processor without the instructions that this build of vLLM wants",
        "name an image for this processor by vllm_cpu_image (or vllm_image), or take another host",
    ),
    # vllm/utils/argparse_utils.py; PyYAML
    Message(
        "settings_file",
        VLLM,
        r"yaml\.\w+\.\w+Error|Config file must be of a yaml",
        "a file of settings that vLLM cannot read, as after a change by hand",
        "run site.yml with --tags vllm, which writes it anew",
    ),
    # jinja2, in what vllm/entrypoints/chat_utils.py makes of a conversation
    Message(
        "template_error",
        VLLM,
        r"jinja2\.exceptions\.\w+",
        "conversations that the model's chat template does not take",
        "put another chat-template into args of the model in gpuchat_models, or set vllm_version to a newer one",
        WARNING,
    ),
    # CUDA's error 46
    Message(
        "gpu_busy",
        VLLM,
        r"busy or unavailable",
        "a GPU that another program has for itself",
        "see with `nvidia-smi` which one, and stop it; set its mode back with `nvidia-smi --compute-mode=DEFAULT`",
    ),
    # vllm/distributed/device_communicators/custom_all_reduce.py
    Message(
        "peer",
        VLLM,
        r"custom_all_reduce\.cuh|peer access is not supported",
        "GPUs that do not reach each other's memory, as a virtual machine or the board may have it",
        "put disable-custom-all-reduce: true into args of the model in gpuchat_models",
    ),
    # vllm/v1/engine/core_client.py, vllm/v1/engine/core.py
    Message(
        "slow_core",
        VLLM,
        r"Timed out waiting for (?:engine core|engines to send)|"
        r"VLLM_ENGINE_READY_TIMEOUT_S\)|response from front-end process within",
        "an engine whose weights took longer to load than it waits",
        "raise vllm_start_seconds, and VLLM_ENGINE_READY_TIMEOUT_S in environment of the model in gpuchat_models; "
        "look at the disk of the model",
        is_hint=True,
    ),
    # moby, in daemon/errors.go
    Message(
        "no_gpu_driver",
        DOCKER,
        r"could not select device driver|"
        r"failed to discover GPU vendor|no known GPU vendor",
        "a Docker that knows no GPUs: the container toolkit was not there when it started",
        "run site.yml with --tags nvidia_container_toolkit, then `systemctl restart docker`",
    ),
    # moby, in daemon/runtime_unix.go
    Message(
        "runtime",
        DOCKER,
        r"unknown or invalid runtime name|Unknown runtime specified|"
        r"nvidia-container-runtime\S* (?:executable file not found|no such file)",
        "a runtime of NVIDIA's that Docker does not know, or whose program is gone",
        "run site.yml with --tags docker,nvidia_container_toolkit",
    ),
    # container-device-interface, in pkg/cdi/cache.go
    Message(
        "cdi",
        DOCKER,
        r"unresolvable CDI devices|CDI device injection failed|failed to stat CDI host device|"
        r"failed to inject (?:CDI )?devices",
        "GPUs by names that the host's CDI files do not have, as after a change of driver or cards",
        "run `nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml`, then start the container again",
    ),
    # libnvidia-container; vllm#5635, vllm#4940
    Message(
        "cuda_condition",
        DOCKER,
        r"unsatisfied condition: ",
        "a driver that is older than the image's CUDA",
        "install a newer driver (nvidia_driver_branch), or set vllm_version to one whose CUDA it serves",
    ),
    # libnvidia-container, nvidia-smi itself, and NVIDIA's driver, in osapi.c
    Message(
        "library_mismatch",
        DOCKER,
        r"(?i)driver/library version mismatch|NVRM: API mismatch|"
        r"nvidia-container-cli: .*cuda error: forward compatibility was attempted",
        "a driver that was upgraded while the former one is loaded",
        "restart the host",
    ),
    # nvidia-container-toolkit#48, #1227
    Message(
        "lost_gpus",
        DOCKER,
        r"Failed to initialize NVML: (?:Unknown Error|Insufficient Permissions)|NVMLError_Unknown",
        "a container that lost its GPUs, as after `systemctl daemon-reload`",
        "restart the container (deploys/restart.py); avoid `systemctl daemon-reload` while engines run",
    ),
    # moby, in libnetwork/portallocator
    Message(
        "port_allocated",
        DOCKER,
        r"port is already allocated|(?:bind|host port) .*: address already in use|bind: address already in use",
        "a port that another container or program has",
        "see with `docker ps` and `ss --listening --tcp --processes` which one, and stop it or move it to another port",
    ),
    # moby, in daemon/libnetwork/portallocator, with EADDRNOTAVAIL; compose#8106
    Message(
        "address_missing",
        DOCKER,
        r"(?:bind|host port).*: cannot assign requested address",
        "a container that is to listen at an address which this host does not have",
        "compare `ip -brief address` with gpuchat_private_address and with what the line names, then run site.yml",
    ),
    # moby, in daemon/libnetwork/portallocator, with EACCES; rootlesskit
    Message(
        "port_forbidden",
        DOCKER,
        r"(?:bind|host port \S+): permission denied|cannot expose privileged port",
        "a port below 1024, which a Docker or Podman without root may not open",
        "take a higher port, or let every user open such ones (`sysctl net.ipv4.ip_unprivileged_port_start=80`)",
    ),
    # moby, in libnetwork/endpoint.go
    Message(
        "chains",
        DOCKER,
        r"failed programming external connectivity(?!.*(?:already allocated|already in use|cannot assign requested|"
        r"permission denied))|"
        r"(?<!iptables: )No chain/target/match by that name|ZONE_CONFLICT",
        "chains of Docker's in the packet filter that somebody flushed",
        "run `systemctl restart docker`; let whatever reloads the packet filter leave other tables alone",
    ),
    # moby, in libnetwork/ipamapi
    Message(
        "networks",
        DOCKER,
        r"address pools have been fully subnetted|Pool overlaps with other one|"
        r"non-overlapping IPv4 address pool|no available network\b|networks have same bridge name|"
        r"no available (?:IPv[46] )?addresses",
        "no range of addresses left for a container network, or one that is in use",
        "set gpuchat_room_network to eight addresses that nobody uses, or docker_address_pools",
    ),
    # moby, in daemon/libnetwork/drivers/bridge/setup_ip_forwarding.go
    Message(
        "forwarding",
        DOCKER,
        r"IPv4 forwarding is disabled: ",
        "a kernel that is told to hand on no packets, without which Docker does not start",
        "run `sysctl --write net.ipv4.ip_forward=1`, see what in /etc/sysctl.d says otherwise, then `systemctl restart "
        "docker`",
    ),
    # moby, in daemon/server/middleware/version.go
    Message(
        "client_version",
        DOCKER,
        r"client version \S+ is too (?:old|new)\. ",
        "a docker or a Compose that is of another time than the Docker that it speaks to",
        "bring them to one release: run site.yml with --tags docker, and upgrade what was put there by hand (`type -a "
        "docker docker-compose`)",
    ),
    # moby, in daemon/errors.go
    Message(
        "name_in_use",
        DOCKER,
        r"[Cc]ontainer name \S+ is already in use",
        "a leftover container of the same name",
        "remove it (`docker rm -f` with its name), then run site.yml again",
    ),
    # the system's own words (ENOSPC)
    Message(
        "disk_full",
        DOCKER,
        r"(?i)^(?!.*(?:could not (?:extend|write to) file|shared memory|/dev/shm|</torch_|inotify))"
        r".*(?:no space left on device|disk quota exceeded)",
        "a full file system",
        "remove what is not needed, also below /var/lib/containerd (`docker image prune`), or mount a larger one",
    ),
    # Docker Hub's registry; moby, in daemon/containerd/registry_errors.go
    Message(
        "too_many_pulls",
        DOCKER,
        r"toomanyrequests|You have reached your (?:unauthenticated )?pull rate limit|429 Too Many Requests|"
        r"error from registry: too many requests",
        "a registry that has answered too often",
        "set gpuchat_registry_logins, or a mirror by gpuchat_registry_map",
    ),
    # Go, crypto/x509
    Message(
        "registry_authority",
        DOCKER,
        r"x509: certificate signed by unknown authority",
        "a registry whose certificate this host does not trust",
        "name its authority in gpuchat_ca_files, or put it under /etc/docker/certs.d/ in a folder named after the "
        "registry",
    ),
    # moby, in daemon/start.go, as dockerd ends
    Message(
        "daemon_settings",
        DOCKER,
        r"unable to configure the Docker daemon with file (?!.*specified both as a flag)|"
        r"failed to validate daemon configuration|merged configuration validation",
        "a daemon.json that dockerd cannot read",
        "correct /etc/docker/daemon.json by what the line says, or run site.yml with --tags docker",
    ),
    # libnvidia-container, in src/nvc.c; nvidia-smi; text-generation-webui-docker#20, nvidia-docker#1225
    Message(
        "no_driver",
        DOCKER,
        r"load library failed: libnvidia-ml|nvml error: driver not loaded|driver error: failed to process request|"
        r"couldn't communicate with the NVIDIA driver|Failed to initialize NVML: Driver Not Loaded|"
        r"NVML: Shared Library Not Found|adding custom device \W*/dev/nvidia",
        "a host whose driver for its GPUs is missing or not loaded",
        "see what `nvidia-smi` says on the host; set nvidia_driver_install: true, or restart it after an upgrade of"
        " driver or kernel",
    ),
    # libnvidia-container, in src/cli/common.c
    Message(
        "unknown_gpu",
        DOCKER,
        r"device error: \S+ unknown device|no device with (?:uuid|index)|NVIDIA_VISIBLE_DEVICES.*not found",
        "a GPU that the container is to have, and that the host no longer has",
        "see with `nvidia-smi --list-gpus` which are there, then run site.yml with --tags vllm, which plans anew",
    ),
    # libnvidia-container, in src/nvc_container.c; runc and crun, in their cgroups
    Message(
        "cgroup",
        DOCKER,
        r"cgroup subsystem devices not found|cgroup mountpoint does not exist|no cgroup filesystem mounted|"
        r"controller \S+ is not available|unable to (?:apply|start unit).*cgroup|"
        r"Devices cgroup isn't mounted|failed to get device cgroup|bpf_prog_query|"
        r"device filters attached to the cgroup",
        "control groups that are missing, or of a kind that the runtime does not know",
        "upgrade the container toolkit (nvidia_container_toolkit role), and start the host with cgroup v2, as its "
        "release does; in an LXC container set nvidia_container_toolkit_cdi: false",
    ),
    # libnvidia-container, in src/cli; runc, in libcontainer/configs/config.go; docker-snap#184
    Message(
        "gpu_hook",
        DOCKER,
        r"nvidia-container-cli(?:\.real)?: (?!requirement error|.*version mismatch)|nvidia-container-runtime-hook\S*:|"
        r"error running (?:prestart|createRuntime|createContainer) hook|"
        r"exec: \\?.nvidia-smi\\?.: executable file not found",
        "GPUs that NVIDIA's toolkit could not bring into the container",
        "try `docker run --rm --gpus all` with nvidia-smi, then run site.yml with --tags nvidia_container_toolkit",
        is_hint=True,
    ),
    # moby, in daemon/config/config.go; moby#34104, docker/for-linux#165
    Message(
        "daemon_flags",
        DOCKER,
        r"specified both as a flag and in the conf",
        "a setting that stands both in /etc/docker/daemon.json and on dockerd's command line",
        "take it out of docker_settings and daemon.json, or out of the unit (`systemctl cat docker`), then "
        "`systemctl restart docker`",
    ),
    # moby, in daemon/internal/libcontainerd/supervisor; containerd's client
    Message(
        "containerd",
        DOCKER,
        r"failed to start containerd|timeout waiting for containerd|failed to dial \S*containerd\.sock",
        "a containerd that does not run",
        "see `journalctl -u containerd`, and /etc/containerd/config.toml; then `systemctl restart containerd docker`",
    ),
    # moby, in daemon/graphdriver
    Message(
        "storage",
        DOCKER,
        r"error initializing graphdriver|prior storage driver \S+ failed|driver not supported: \w+|"
        r"not supported over \w+|"
        r"kernel does not support overlay|error creating overlay mount|"
        r"overlay: can't stat imageStore",
        "a storage driver that this kernel, file system or version of Docker does not have",
        "take storage-driver out of docker_settings and daemon.json, or set docker_data_root to a file system that "
        "it takes",
    ),
    # moby, in pkg/pidfile
    Message(
        "daemon_runs",
        DOCKER,
        r"ensure docker is not running or delete|pid file found|"
        r"volume store metadata database \S+ timeout",
        "a second dockerd, or what one that was killed has left",
        "see with `pgrep --list-full dockerd` who runs; where nobody does, remove the file and start docker",
    ),
    # moby, in daemon/libnetwork/iptables; xtables
    Message(
        "netfilter",
        DOCKER,
        r"can't initialize iptables table|failed to create NAT chain|Failed to Setup IP tables|"
        r"do you need to insmod|bridge-nf-call-iptables: no such file|Could not fetch rule \w+ generation id|"
        r"missing kernel module|RULE_APPEND failed",
        "a kernel without what Docker's packet filter needs, as between an upgrade and a restart",
        "run site.yml with --tags docker, which brings what RHEL 10 lacks; else restart the host, or load what the "
        "line names (`modprobe ip_tables nf_nat`), then `systemctl restart docker`",
    ),
    # moby, in daemon/container_operations.go; Compose
    Message(
        "network_gone",
        DOCKER,
        r"network \S+ not found|network \S+ was found but has incorrect label",
        "a container whose network somebody has removed or made anew",
        "remove the container (`docker rm -f` with its name), then run site.yml again",
    ),
    # Docker's registry (distribution), containerd's remotes/docker
    Message(
        "no_image",
        DOCKER,
        r"manifest unknown|manifest for \S+ not found|failed to resolve reference .*: not found|name unknown: |"
        r"No such image: ",
        "an image that the registry does not have under that name and tag",
        "compare the version's variable (vllm_version, lobehub_version, open_webui_version) with the registry, and "
        "gpuchat_registry_map",
    ),
    # moby and containerd, of an image; the system's own words (ENOEXEC)
    Message(
        "platform",
        DOCKER,
        r"no matching manifest for|exec format error|does not match the (?:specified|detected host) platform",
        "an image that was built for another kind of processor",
        "name an image for this processor (vllm_image, lobehub_image, open_webui_image), or take another version",
    ),
    # Docker's registry (distribution); moby, in daemon/internal/distribution and daemon/containerd/registry_errors.go;
    # containerd, in core/remotes/errors
    Message(
        "login",
        DOCKER,
        r"pull access denied|unauthorized: |denied: requested access|no basic auth credentials|insufficient_scope|"
        r"requested access to the resource is denied|"
        r"incorrect username or password|error from registry: (?:authentication required|requested access|denied)|"
        r"unexpected status from \w+ request to \S+: 40[13]\b",
        "a registry that wants a login, or that has no such image",
        "set gpuchat_registry_logins for it, or correct the image's name or gpuchat_registry_map",
    ),
    # Go, net/http
    Message(
        "proxy",
        DOCKER,
        r"proxyconnect tcp|Proxy Authentication Required",
        "a proxy that does not answer, or does not let this host through",
        "correct gpuchat_proxy, then run site.yml with --tags docker",
    ),
    # Go, net/http and net; containerd, in core/remotes/errors
    Message(
        "registry_silent",
        DOCKER,
        r"(?:Get|Head|Post|Put) \S*https?://(?!%2F)\S+: (?:dial |net/http|context deadline|read tcp|EOF|unexpected EOF|"
        r"remote error|"
        r"TLS handshake|http2)|"
        r"unexpected status from \w+ request to \S+: 5\d\d|error from registry: service unavailable|"
        r"download failed after attempts=\d+: (?:dial |read |net/http|context|EOF)",
        "a registry that this host does not reach",
        "look at its name and the way there; set gpuchat_proxy, or a registry that it reaches by gpuchat_registry_map",
    ),
    # Go, net/http
    Message(
        "registry_plain",
        DOCKER,
        r"server gave HTTP response to HTTPS client",
        "a registry that speaks plain HTTP",
        "name it in gpuchat_insecure_registries, if its network is yours, or give it a certificate",
    ),
    # Go, crypto/x509
    Message(
        "registry_certificate",
        DOCKER,
        r"x509: certificate (?:has expired|is valid for|is not valid|relies on legacy)|"
        r"x509: cannot validate certificate",
        "a registry whose certificate does not hold: its date, or its name",
        "compare the host's clock (`timedatectl`), and name the registry by gpuchat_registry_map as its certificate"
        " does",
    ),
    # moby and containerd, of what they download
    Message(
        "layers",
        DOCKER,
        r"filesystem layer verification failed|unexpected commit digest|failed to copy: httpReadSeeker|"
        r"content digest \S+ not found|"
        r"failed to verify digest|wrong diff id calculated|(?:blob|layer|copy).*unexpected EOF",
        "an image that came in part, or otherwise than its digest says",
        "run site.yml again; where a mirror is the reason, set gpuchat_registry_map or gpuchat_registry_mirrors to "
        "another one",
    ),
    # moby, in daemon/volume/mounts; runc, in libcontainer/rootfs_linux.go; podman
    Message(
        "mount",
        DOCKER,
        r"bind source path does not exist|error mounting .*(?:not a directory|no such file)|"
        r"mount a directory onto a file|"
        r"Error: statfs \S+: no such file",
        "a file or folder of the host that a container is to have, and that is not there",
        "run site.yml, which writes what is its own; mount or bring back what is yours, such as path of the model",
    ),
    # runc, in libcontainer/standard_init_linux.go and internal/linux/linux.go; crun, in src/libcrun/utils.c
    Message(
        "no_program",
        DOCKER,
        r"exec: (?!\\?.nvidia-)\S+: (?:executable file not found|permission denied|"
        r"stat \S+: no such file)|"
        r"exec: (?!\\?.nvidia-)\S+ executable file not found in \$PATH|"
        r"(?<!/)\bexec /\S+: (?:no such file|permission denied)|"
        r"Cannot find module '/app/\w+\.js'|unable to find user \S+ no matching entries|"
        r"executable file `(?!nvidia-)\S+ not found|open executable: Permission|exists but it is not executable",
        "an image without the program, or the user, with which its container is to start",
        "take the version's own image (vllm_image, lobehub_image, open_webui_image back to their defaults)",
    ),
    # runc, in libcontainer/apparmor and seccomp; podman, in libpod/define/errors.go, of whatever crun was not let do
    Message(
        "confinement",
        DOCKER,
        r"unable to apply apparmor profile|apparmor failed to apply|error loading seccomp filter|"
        r"open sysctl \S+ file: .*permission denied|"
        r"error setting rlimit|"
        r"^(?!.*executable: ).*OCI permission denied|can't get final child's PID",
        "a kernel or an outer container that does not let Docker confine its containers",
        "load AppArmor's profiles (`systemctl restart apparmor`); in an LXC container allow nesting",
    ),
    # the system's own words (ENOSPC and EMFILE of inotify)
    Message(
        "inotify",
        DOCKER,
        r"(?i)inotify.*(?:no space left|too many open files)|(?:fsnotify|inotify) watcher: too many open files",
        "more watches on files than the kernel allows",
        "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances with `sysctl`",
    ),
    # moby, in client/errors.go and, since 29, client/request.go
    Message(
        "silent",
        DOCKER,
        r"Cannot connect to the Docker daemon|failed to connect to the docker API",
        "a Docker that does not answer",
        "see `journalctl -u docker`, then `systemctl start docker`",
        is_consequence=True,
    ),
    # moby, in client/request.go
    Message(
        "socket_forbidden",
        DOCKER,
        r"permission denied while trying to connect to the (?:Docker daemon socket|docker API)",
        "an account that may not speak to Docker",
        "do it as root; an account of the group docker is as good as root, so give it to nobody else",
    ),
    # moby, in layer; containerd and containers/storage, as they unpack an image
    Message(
        "unpacking",
        DOCKER,
        r"failed to register layer: .*(?:lchown|lsetxattr|operation not (?:permitted|supported)|invalid argument)",
        "an image's files that this file system, or this range of users, does not take",
        "set docker_data_root to a local ext4 or xfs; in an LXC container, or with userns-remap, give it more users",
    ),
    # moby, in daemon/command/daemon.go
    Message(
        "daemon_ended",
        DOCKER,
        r"failed to start (?:daemon|cluster component)",
        "a Docker that cannot start, for what the line says",
        "correct that, or run site.yml with --tags docker",
        is_consequence=True,
    ),
    # moby, in daemon/listeners
    Message(
        "listeners",
        DOCKER,
        r"failed to load listeners: (?!.*address already in use)|no sockets found via socket activation",
        "a dockerd that cannot listen where it is asked by",
        "run `systemctl start docker.socket docker`; take hosts out of docker_settings and daemon.json",
    ),
    # nginx, in src/event/ngx_event_connect.c, with errno 111
    Message(
        "upstream_refuses",
        NGINX,
        r"connect\(\) (?:to unix:\S+ )?failed \(111",
        "nobody listening where nginx asks: what is behind it is down",
        "start what is behind; the address in the line names it",
        is_consequence=True,
    ),
    # nginx, with errno 2
    Message(
        "no_socket",
        NGINX,
        r"connect\(\) to unix:\S+ failed \(2:",
        "no socket of the engine: it is down or still loads its model",
        "see `docker logs` of the engine whose folder the line names",
        is_consequence=True,
    ),
    # nginx, with errno 13
    Message(
        "socket_closed",
        NGINX,
        r"connect\(\) to \S+ failed \(13:",
        "a socket or port that nginx may not use: its group, or SELinux",
        "run site.yml with --tags vllm,door; under SELinux look at `ausearch -m avc -ts recent`",
    ),
    # nginx, in src/http/ngx_http_upstream.c; with errno 11, by which Linux says that a Unix socket's queue is full
    Message(
        "upstream_slow",
        NGINX,
        r"upstream timed out \(110(?!.*while connecting to upstream)|connect\(\) to unix:\S+ failed \(11:",
        "an engine or interface that does not answer in time: it hangs, or answers begin later than allowed",
        "look at what is behind; where it is only slow, raise door_stream_timeout and edge_stream_timeout",
    ),
    # nginx, in src/http/ngx_http_upstream.c and src/event/ngx_event_openssl.c
    Message(
        "upstream_ended",
        NGINX,
        r"upstream prematurely closed|failed \((?:104|32): .*while (?:reading|sending|proxying).*upstream|"
        r"peer closed connection in SSL handshake .*to upstream",
        "what is behind nginx ended in the middle of an answer",
        "look at why it ended: its log, and `dmesg`",
        is_consequence=True,
    ),
    # nginx, in src/http/ngx_http_upstream.c
    Message(
        "no_upstream",
        NGINX,
        r"no live upstreams",
        "none of the servers behind nginx answering",
        "look at the engines and interfaces behind it",
        is_consequence=True,
    ),
    # nginx, in src/http/ngx_http_core_module.c
    Message(
        "body",
        NGINX,
        r"client intended to send too large body",
        "a request that is larger than allowed",
        "raise edge_body_limit and door_body_limit, if such requests are wanted",
        WARNING,
    ),
    # nginx, in src/http/modules/ngx_http_limit_req_module.c
    Message(
        "rate",
        NGINX,
        r"limiting (?:requests|connections)",
        "an address that asks more often than allowed",
        "where it is people behind one address, raise edge_api_rate and edge_api_burst, or gpuchat_users",
        WARNING,
    ),
    # nginx, in src/core/ngx_connection.c, with errno 24
    Message(
        "connections",
        NGINX,
        r"worker_connections are not enough(?!, reusing)|\(24: Too many open files\)",
        "more connections than nginx or its unit allow",
        "look who holds them (`ss --tcp --processes`); raise worker_connections together with LimitNOFILE",
    ),
    # nginx, in src/http/modules/ngx_http_proxy_module.c
    Message(
        "header",
        NGINX,
        r"upstream sent too big header",
        "an answer with larger headers than nginx takes, as of a long session",
        "let the person sign in again; raise proxy_buffer_size",
    ),
    # nginx, in src/http/ngx_http_upstream.c
    Message(
        "upstream_certificate",
        NGINX,
        r"upstream SSL certificate (?:verify error|does not match)|"
        r"certificate verify failed\) while SSL handshaking to upstream|"
        r"alert [^)]*\) while SSL handshaking to upstream",
        "a server behind nginx with a certificate that does not hold: its date, authority or name",
        "compare the hosts' clocks, then run playbooks/renew.yml",
    ),
    # nginx, in src/event/ngx_event_openssl.c
    Message(
        "certificate",
        NGINX,
        r"cannot load certificate|SSL_CTX_use_(?:PrivateKey|certificate)|no \"ssl_certificate\" is defined|"
        r"\[emerg\].*(?:PEM_read_bio|SSL_CTX_load_verify_locations)",
        "a certificate or key that is missing, damaged, or not of one pair",
        "run playbooks/renew.yml; of a certificate of yours, set edge_certificate_file and edge_certificate_key_file",
    ),
    # nginx, in src/core/ngx_connection.c, with errno 98
    Message(
        "port_taken",
        NGINX,
        r"bind\(\) to (?!unix:)\S+ failed \(98:|"
        r"still could not bind",
        "a port of the stack's on which another program listens",
        "see with `ss --listening --tcp --processes` which one, and stop it or move it to another port",
    ),
    # nginx, with errno 99
    Message(
        "address_missing",
        NGINX,
        r"bind\(\) to \S+ failed \(99:",
        "an address of the stack's that this host does not have",
        "compare `ip -brief address` with gpuchat_private_address and gpuchat_room_network",
    ),
    # nginx, in src/core/ngx_resolver.c and ngx_inet.c
    Message(
        "upstream_name",
        NGINX,
        r"^(?!.*requesting certificate status).*"
        r"(?:host not found in upstream|could not be resolved \(|no resolver defined to resolve)",
        "the name of a server behind nginx that does not resolve",
        "correct url in gpuchat_endpoints, or this host's resolver (/etc/resolv.conf)",
    ),
    # nginx, in src/core/ngx_conf_file.c
    Message(
        "directive",
        NGINX,
        r"unknown directive|invalid number of arguments in|directive is (?:not allowed here|duplicate)|"
        r"\[emerg\].*(?:unexpected (?:end of file|\"[};]\")|duplicate |invalid (?:parameter|value|condition)|"
        r"unknown \"\w+\" variable|could not build |terminated by|cannot have URI part|zone \"\S+\" is too small)|"
        r"conflicts with already declared size|require_pv\(\S+ failed|call_sv\(\S+ failed",
        "a configuration that nginx does not understand, as after a change by hand",
        "run site.yml with --tags door,edge, which writes it anew",
    ),
    # nginx, in src/http/ngx_http_upstream.c, with errno 110, 113 and 101
    Message(
        "upstream_silent",
        NGINX,
        r"upstream timed out \(110: .*while connecting to upstream|connect\(\) failed \((?:110|113|101):",
        "a host behind nginx that does not answer: it is off, or something on the way drops it",
        "see whether the host of the address in the line is up, and look at firewalls and routes on the way",
        is_consequence=True,
    ),
    # nginx, in src/event/ngx_event_openssl.c
    Message(
        "upstream_plain",
        NGINX,
        r"(?:wrong version number|packet length too long|http request)\)? while SSL handshaking to upstream",
        "a server behind nginx that speaks plain HTTP where TLS is wanted",
        "write its url in gpuchat_endpoints with http://; of a host of the stack, run site.yml with --tags door",
    ),
    # nginx, in src/http/modules/ngx_http_proxy_module.c
    Message(
        "upstream_words",
        NGINX,
        r"upstream sent (?:no valid HTTP|invalid header|unsupported transfer|invalid chunked)",
        "an answer that is no HTTP as nginx reads it, as of a server that speaks TLS at that port",
        "write its url in gpuchat_endpoints with https:// if it speaks TLS; else look at what listens at the address "
        "in the line",
    ),
    # nginx, in src/core/ngx_inet.c
    Message(
        "upstream_url",
        NGINX,
        r"invalid (?:host|port(?: range)?) in upstream|no (?:host|port) in upstream|invalid URL prefix",
        "the address of a server behind nginx that is none",
        "correct url in gpuchat_endpoints, then run site.yml with --tags door,edge",
    ),
    # nginx, in src/core/ngx_connection.c, with errno 97
    Message(
        "no_ipv6",
        NGINX,
        r"socket\(\) \[\S+ failed \(97:",
        "a kernel without IPv6",
        "set edge_ipv6: false, then run site.yml with --tags edge",
    ),
    # nginx, in src/core/ngx_connection.c, with errno 13
    Message(
        "port_forbidden",
        NGINX,
        r"bind\(\) to \S+ failed \(13:",
        "a port that nginx may not listen on: its user, or SELinux",
        "run site.yml with --tags door,edge; under SELinux look at `ausearch -m avc -ts recent` and `semanage port "
        "--list`",
    ),
    # nginx, in src/core/ngx_connection.c, with errno 98
    Message(
        "socket_left",
        NGINX,
        r"bind\(\) to unix:\S+ failed \(98:",
        "a socket that a former nginx has left",
        "remove that file while nginx is stopped, then start it anew",
    ),
    # nginx, in src/core/ngx_conf_file.c and ngx_file.c
    Message(
        "file",
        NGINX,
        r"\[(?:emerg|crit)\].*(?:open|mkdir|stat|rename|chown|mkstemp)\(.*\) .*failed \((?:1|2|13|30):",
        "a file or folder of nginx's that is missing, or that it may not use",
        "run site.yml with --tags door,edge, which writes them anew; look at owner and mode of what the line names",
    ),
    # nginx, in src/core/ngx_module.c
    Message(
        "module",
        NGINX,
        r"dlopen\(\)|is not binary compatible",
        "a module that does not belong to this nginx",
        "upgrade nginx and its modules together, and take out of /etc/nginx/modules-enabled what is not wanted",
    ),
    # nginx, in src/http/modules/ngx_http_auth_request_module.c
    Message(
        "forward_auth",
        NGINX,
        r"auth request unexpected status",
        "the server that says who people are, which does not answer as it should",
        "look at the server of edge_forward_auth, and at its log",
    ),
    # nginx, in src/os/unix/ngx_process.c
    Message(
        "worker_ended",
        NGINX,
        r"worker process \d+ exited on signal (?:4|6|7|9|11)\b|"
        r"failed while spawning .worker process",
        "a worker of nginx that crashed or was killed",
        "look with `dmesg` for `Out of memory` and `segfault`; upgrade nginx together with its modules",
        is_hint=True,
    ),
    # nginx, in src/http/modules/ngx_http_access_module.c
    Message(
        "not_allowed",
        NGINX,
        r"access forbidden by rule",
        "somebody whose address is not let in",
        "where it is one of your people, add their network to gpuchat_allowed_networks (edge_chat_networks, "
        "edge_api_networks)",
        WARNING,
    ),
    # nginx, in src/core/nginx.c
    Message(
        "user",
        NGINX,
        r"getpw(?:nam|uid)\(.*\) failed|getgrnam\(.*\) failed",
        "a user of nginx's that is gone",
        "run site.yml with --tags nginx,door,edge, which makes it anew",
    ),
    # postgres, in src/backend/libpq/auth.c
    Message(
        "password",
        POSTGRESQL,
        r"password authentication failed|no password supplied|SCRAM-SERVER-FIRST-MESSAGE",
        "a password that the database does not know: the secrets of both sides differ",
        "run site.yml, which gives both the same; bring back .gpuchat/secrets.yml if it was lost",
    ),
    # postgres, in src/backend/libpq/auth.c
    Message(
        "not_let_in",
        POSTGRESQL,
        r"no pg_hba\.conf entry|(?:Peer|Ident) authentication failed|pg_hba\.conf rejects connection",
        "a database that lets nobody in from that address, or not without TLS",
        "run site.yml, which writes pg_hba.conf; compare gpuchat_private_address with the address in the line",
    ),
    # postgres, in src/backend/utils/init/postinit.c
    Message(
        "clients",
        POSTGRESQL,
        r"too many clients|connection slots are reserved|too many connections for (?:role|database)",
        "more connections than the database allows",
        "restart what leaves its connections open, or raise max_connections in postgresql_settings",
    ),
    # postgres, in src/backend/utils/init/postinit.c and utils/init/miscinit.c
    Message(
        "database_missing",
        POSTGRESQL,
        r"(?:database|role) \"[^\"]+\" does not exist|is not permitted to log in",
        "a PostgreSQL without the interface's database or role: somebody has dropped or renamed it",
        "give it its name back; else run site.yml with --tags postgresql, then playbooks/restore.yml",
    ),
    # postgres, in src/backend/utils/misc/guc-file.l and guc.c
    Message(
        "settings",
        POSTGRESQL,
        r"(?:LOG|FATAL): .*(?:unrecognized configuration parameter|invalid value for parameter|"
        r"outside the valid range for parameter)|configuration file \S+ contains errors|syntax error in file|"
        r"could not access the server configuration file|could not load \S*pg_hba\.conf",
        "a setting that PostgreSQL does not know, as after a change by hand",
        "run site.yml with --tags postgresql, which writes its settings anew; compare postgresql_settings",
    ),
    # postgres, in src/backend/utils/init/miscinit.c
    Message(
        "database_gone",
        POSTGRESQL,
        r"is not a valid data directory|could not access directory|data directory lock file is invalid|"
        r"data directory \S+ does not exist",
        "a PostgreSQL without its data: the folder was moved or removed, or its file system is not mounted",
        "mount or move it back; only where it is lost, run site.yml, then playbooks/restore.yml with the last backup",
    ),
    # postgres, in src/backend/storage/smgr/md.c
    Message(
        "database_disk",
        POSTGRESQL,
        r"could not (?:extend|write to) file(?!.*Input/output error)|"
        r"(?:FATAL|PANIC|ERROR|LOG): +(?!.*shared memory).*No space left on device",
        "a database whose disk is full",
        "free space on the file system of /var/lib/gpuchat/postgresql, or mount a larger one",
    ),
    # postgres, in src/backend/commands/extension.c
    Message(
        "extension",
        POSTGRESQL,
        r"extension \S+ is not available|could not open extension control file|"
        r"type \"(?:vector|halfvec|sparsevec)\" does not exist",
        "a database without an extension that the interface needs",
        "run site.yml with --tags postgresql, which installs pgvector; pg_search needs a repository of its own",
    ),
    # postgres, in src/backend/utils/init/miscinit.c
    Message(
        "database_version",
        POSTGRESQL,
        r"database files are incompatible with server|"
        r"was initialized by PostgreSQL version",
        "a database that another major version wrote",
        "run playbooks/upgrade_postgresql.yml, which brings the data to the new version and keeps the former one",
    ),
    # postgres, in src/backend/utils/init/miscinit.c
    Message(
        "database_folder",
        POSTGRESQL,
        r"data directory \S+ has (?:invalid permissions|wrong ownership|group or world access)|"
        r"(?:FATAL|PANIC): +could not (?:open|read) .*: Permission denied",
        "a database's folder whose owner or mode was changed",
        "run site.yml with --tags postgresql, which gives them back",
    ),
    # postgres, in src/backend/utils/init/miscinit.c
    Message(
        "database_runs",
        POSTGRESQL,
        r"Is another (?:postmaster|postgres) .*(?:already running|running in data directory)|"
        r"lock file \S+ (?:already exists|is empty)|bogus data in lock file|pre-existing shared memory block|"
        r"could not bind .*: Address already in use",
        "a second PostgreSQL on the same data, or what one that was killed has left",
        "see with `pgrep --list-full postgres` who runs it, and stop what is not gpuchat-postgresql",
    ),
    # postgres, in src/backend/libpq/pqcomm.c
    Message(
        "address_missing",
        POSTGRESQL,
        r"could not bind .*: Cannot assign requested address",
        "a PostgreSQL that is to listen at an address which this host does not have",
        "compare `ip -brief address` with the address in the line; take listen_addresses out of postgresql_settings",
    ),
    # postgres, in src/backend/access/transam/xlogrecovery.c
    Message(
        "checkpoint",
        POSTGRESQL,
        r"could not locate (?:a valid|required) checkpoint record|"
        r"(?:PANIC|FATAL): .*(?:global/pg_control|control file)|PANIC: .*could not open file \"pg_wal|"
        r"FATAL: .*could not open (?:file \"global/|directory \"pg_).*: No such file",
        "a database whose log of changes is damaged or was brought back in part",
        "run playbooks/restore.yml with the last backup; keep the damaged folder until that has worked",
    ),
    # postgres, in src/backend/tcop/backend_startup.c
    Message(
        "database_starts",
        POSTGRESQL,
        r"the database system is (?:starting up|shutting down|in recovery mode|not yet accepting)",
        "a database that is just starting or stopping",
        "wait a minute; where it stays so, see `journalctl -u gpuchat-postgresql`",
        WARNING,
        is_consequence=True,
    ),
    # postgres, in src/backend/utils/init/postinit.c
    Message(
        "collation",
        POSTGRESQL,
        r"collation version mismatch|collation \S+ has version mismatch",
        "sort orders that changed with the system's libraries",
        "run REINDEX DATABASE, then ALTER DATABASE ... REFRESH COLLATION VERSION",
        WARNING,
    ),
    # postgres, in src/backend/storage/ipc/dsm_impl.c
    Message(
        "shared_memory",
        POSTGRESQL,
        r"could not resize shared memory segment",
        "a database in a container with too little shared memory",
        "give its container a larger shm_size",
    ),
    # postgres, in src/backend/storage/page/bufpage.c
    Message(
        "page",
        POSTGRESQL,
        r"invalid page in block|page verification failed|could not read block|could not fsync file|"
        r"could not access status of transaction|missing chunk number|unexpected zero page|Input/output error|"
        r"corrupted (?:page|(?:item|line) pointer)|could not open relation mapping file",
        "a damaged database: the disk lost what was written",
        "look at the disk (`smartctl -a`), and run playbooks/restore.yml with the last backup",
    ),
    # postgres, in src/backend/port/sysv_shmem.c and utils/mmgr
    Message(
        "memory",
        POSTGRESQL,
        r"could not (?:map anonymous|create) shared memory(?: segment)?: (?:Cannot allocate memory|"
        r"Invalid argument|No space)|"
        r"(?:ERROR|FATAL): +out of memory",
        "a PostgreSQL that wants more memory than the host has",
        "lower shared_buffers and work_mem in postgresql_settings, or give the host more memory",
    ),
    # postgres, in src/backend/postmaster/postmaster.c
    Message(
        "process_killed",
        POSTGRESQL,
        r"\(PID \d+\) was terminated by signal (?:4|6|7|9|11)\b",
        "a process of PostgreSQL that was killed or crashed, so that all of them started anew",
        "look with `dmesg` for `Out of memory` and `segfault`; give the host more memory, or upgrade PostgreSQL "
        "with its extensions",
        is_hint=True,
    ),
    # postgres, in src/backend/utils/init/miscinit.c
    Message(
        "socket_folder",
        POSTGRESQL,
        r"could not create (?:lock file|Unix socket) .*: (?:No such file|Permission denied|Read-only)",
        "a PostgreSQL whose folder for its socket or lock is missing or another's",
        "run site.yml with --tags postgresql, which makes it anew",
    ),
    # postgres, in src/backend/utils/init/postinit.c
    Message(
        "locale",
        POSTGRESQL,
        r"database locale is incompatible|is not recognized by setlocale|invalid locale name",
        "a database whose locale this system no longer has",
        "generate the locale that the line below names (`locale-gen`, or the package of all locales), then start it"
        " anew",
    ),
    # postgres, in src/backend/utils/fmgr/dfmgr.c
    Message(
        "library",
        POSTGRESQL,
        r"could not (?:access file|load library|find function)|incompatible library|"
        r"has no update path from version",
        "a library of an extension that is missing, or of another version of PostgreSQL",
        "install the extension's package for this version (postgresql_packages), or take it out of "
        "shared_preload_libraries in postgresql_settings",
    ),
    # postgres, in src/backend/catalog/aclchk.c and commands/extension.c
    Message(
        "rights",
        POSTGRESQL,
        r"permission denied (?:for (?:schema|table|database|relation|sequence|language)|to create extension)|"
        r"must be owner of|"
        r"[Mm]ust be superuser to create",
        "a database whose role may not do what the interface needs",
        "run site.yml with --tags postgresql; in one of gpuchat_database, let its owner create the extension and "
        "own the schema",
    ),
    # postgres, in src/backend/libpq/be-secure-openssl.c
    Message(
        "tls",
        POSTGRESQL,
        r"could not load (?:server|root) certificate|private key file \S+ (?:has group|must be owned)|"
        r"could not load private key|"
        r"could not access private key",
        "a certificate or key of PostgreSQL that is missing, or readable by others",
        "run playbooks/renew.yml, then site.yml with --tags postgresql",
    ),
    # postgres, in src/backend/access/transam/varsup.c
    Message(
        "wraparound",
        POSTGRESQL,
        r"to avoid wraparound data loss",
        "a database that takes no more changes, for it was not vacuumed long enough",
        "run VACUUM in each database as the postgres user, and see why autovacuum did not",
    ),
    # postgres, in src/backend/tcop/utility.c
    Message(
        "read_only",
        POSTGRESQL,
        r"in a read-only transaction",
        "a database that only shows what another one holds, or one that takes no changes",
        "name in gpuchat_database the server that is written to",
    ),
    # postgres, in src/backend/commands/prepare.c
    Message(
        "pooler",
        POSTGRESQL,
        r"prepared statement \S+ (?:does not exist|already exists)",
        "a pool of connections before the database that hands them on within a session",
        "name in gpuchat_database the server itself, or a pool that keeps to sessions",
    ),
    # LobeHub, in packages/database/src/core/web-server.ts, src/server/modules/KeyVaultsEncrypt, scripts/migrateServerDB
    Message(
        "environment",
        LOBEHUB,
        r"\b(?:KEY_VAULTS_SECRET|DATABASE_URL|APP_URL|AUTH_SECRET|JWKS_KEY)\b\W? "
        r"(?:is not set|is required|environment variable is required)|You are using the default secret|"
        r"Base URL could not be determined",
        "a LobeHub without a setting that it needs",
        "run site.yml with --tags lobehub, which writes its environment anew; compare lobehub_environment",
    ),
    # LobeHub, in scripts/migrateServerDB/errorHint.js
    Message(
        "pgvector",
        LOBEHUB,
        r"pgvector. extension not found",
        "a database without pgvector",
        "run site.yml with --tags postgresql, which installs the package of pgvector for its version of PostgreSQL",
    ),
    # LobeHub, in scripts/migrateServerDB/docker.cjs and scripts/serverLauncher/startServer.js
    Message(
        "migration",
        LOBEHUB,
        r"Database migrate failed\. Please check|Error during DB migration",
        "a LobeHub whose database could not be brought to its version, and stays as it was; the lines below say why",
        "read on in its log; set lobehub_version back to the former one meanwhile",
        is_consequence=True,
        refers=True,
    ),
    # LobeHub, in scripts/_shared/checkDeprecatedAuth.js
    Message(
        "former_variables",
        LOBEHUB,
        r"Detected deprecated environment variables",
        "a LobeHub that is given variables of LobeChat 1, with which it does not start",
        "take the ones that its log names out of lobehub_environment and lobehub_secret_environment",
    ),
    # LobeHub, in src/server/modules/S3
    Message(
        "object_store",
        LOBEHUB,
        r"S3 environment variables are not set|S3 bucket is not set",
        "a LobeHub that does not know where files are kept",
        "run site.yml with --tags object_store,lobehub; take S3_ variables out of lobehub_environment",
    ),
    # LobeHub, in src/libs/better-auth/sso
    Message(
        "sign_in",
        LOBEHUB,
        r"\[Better-Auth\] (?:(?:Unknown|Duplicate) SSO provider|\S+ (?:SSO provider environment variables are not set"
        r"|OAuth enabled but missing credentials))",
        "a LobeHub with a way to sign in that is unknown or incomplete, so that nobody comes in",
        "correct AUTH_SSO_PROVIDERS and its variables in lobehub_environment and lobehub_secret_environment",
    ),
    # LobeHub, in packages/types/src/agentRuntime.ts
    Message(
        "engine_key",
        LOBEHUB,
        r"InvalidProviderAPIKey",
        "an interface whose questions the model's door refuses",
        "run site.yml with --tags door,lobehub: its door adds the engine's key",
        is_hint=True,
    ),
    # LobeHub, in packages/types/src/agentRuntime.ts
    Message(
        "unknown_name",
        LOBEHUB,
        r"\bModelNotFound\b",
        "a chat interface that asks for a model by a name that nobody serves",
        "run site.yml, which tells it the names of gpuchat_models",
        is_hint=True,
    ),
    # LobeHub, in packages/types/src/agentRuntime.ts
    Message(
        "context",
        LOBEHUB,
        r"ExceededContextWindow",
        "conversations that are longer than the model's context",
        "raise context of the model in gpuchat_models, if the GPUs hold it",
        WARNING,
    ),
    # LobeHub, by @t3-oss/env-nextjs
    Message(
        "environment_invalid",
        LOBEHUB,
        r"Invalid environment variables",
        "a LobeHub with a setting whose value it does not take",
        "correct what the line names in lobehub_environment and lobehub_secret_environment",
    ),
    # Node, in lib/internal/crypto/webcrypto; LobeHub, in src/server/modules/KeyVaultsEncrypt
    Message(
        "key_vaults",
        LOBEHUB,
        r"Invalid (?:AES )?key length|failed for an operation-specific reason|"
        r"Unsupported state or unable to authenticate data|"
        r"Failed to decrypt private key",
        "a LobeHub whose key is not the one by which its secrets were encrypted, or is none",
        "bring back the former .gpuchat/secrets.yml, or lobehub_key_vaults_secret; what was encrypted by another "
        "key stays lost",
    ),
    # better-auth, in packages/better-auth/src/api/middlewares/origin-check.ts
    Message(
        "origin",
        LOBEHUB,
        r"Invalid (?:origin|redirectURL|(?:error|newUser)?[Cc]allbackURL)",
        "people who come by another address than LobeHub knows",
        "name that address in gpuchat_domain or edge_extra_names, then run site.yml with --tags edge,lobehub",
    ),
    # oauth4webapi; better-auth, in packages/better-auth/src/plugins/generic-oauth; lobehub#5897
    Message(
        "issuer",
        LOBEHUB,
        r"issuer\S* property does not match|unexpected \S*iss\S* |OAuth issuer (?:mismatch|parameter missing)|"
        r"[Dd]iscovery.*(?:failed|404|did not|returned no|timed out)|"
        r"not a conform Authorization Server Metadata|OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED",
        "a server of accounts that calls itself otherwise than LobeHub was told, or does not answer",
        "correct its _ISSUER in lobehub_environment as its /.well-known/openid-configuration says it",
    ),
    # the AWS SDK's client-s3
    Message(
        "bucket",
        LOBEHUB,
        r"NoSuchBucket|specified bucket does not exist",
        "an object store without LobeHub's bucket",
        "run site.yml with --tags object_store, which makes it; of gpuchat_object_store, correct its bucket",
    ),
    # the AWS SDK's client-s3
    Message(
        "bucket_key",
        LOBEHUB,
        r"SignatureDoesNotMatch|InvalidAccessKeyId|CredentialsProviderError|\bForbidden\]?: UnknownError|"
        r"\bAccessDenied: ",
        "an object store that does not take LobeHub's key",
        "run site.yml with --tags object_store,lobehub: both get the same",
    ),
    # LobeHub, in scripts/serverLauncher/startServer.js
    Message(
        "proxy",
        LOBEHUB,
        r"DNS Error: (?:Could not resolve|Invalid resolved)|ProxyChains: Invalid",
        "a LobeHub whose proxy has no address",
        "correct PROXY_URL in lobehub_environment, or gpuchat_proxy",
    ),
    # open_webui, in env.py
    Message(
        "secret_key",
        OPEN_WEBUI,
        r"WEBUI_SECRET_KEY is not set|Required environment variable not found",
        "an Open WebUI without its secret key",
        "run site.yml with --tags open_webui, which gives it the one of the secrets",
    ),
    # open_webui, in config.py
    Message(
        "migration",
        OPEN_WEBUI,
        r"Error running migrations:|No config file 'alembic\.ini' found",
        "an Open WebUI whose database could not be brought to its version",
        "read on in its log; set open_webui_version back to the former one meanwhile",
        is_consequence=True,
        refers=True,
    ),
    # SQLite, in src/main.c (sqlite3ErrStr)
    Message(
        "locked",
        OPEN_WEBUI,
        r"sqlite3\.OperationalError\S* database is locked",
        "an Open WebUI that keeps its data in SQLite, which two programs write at once",
        "take DATABASE_URL out of open_webui_environment, so that it uses the stack's PostgreSQL",
    ),
    # alembic, in alembic/script/base.py; open-webui#26163
    Message(
        "revision",
        OPEN_WEBUI,
        r"Can't locate revision identified by",
        "a database that a newer Open WebUI has written",
        "set open_webui_version back to that newer one; else run playbooks/restore.yml with a backup of before",
    ),
    # SQLAlchemy, by way of alembic; open-webui#21349
    Message(
        "half_migrated",
        OPEN_WEBUI,
        r"Duplicate(?:Table|Column|Object)\b|(?:table|column|index) \S+ already exists|Multiple head revisions",
        "a database that a migration which was broken off has left half changed",
        "run playbooks/restore.yml with the last backup of before the upgrade, then upgrade again without a stop",
    ),
    # python-engineio, in engineio/base_server.py
    Message(
        "origin",
        OPEN_WEBUI,
        r"is not an accepted origin",
        "people who come by another address than Open WebUI knows",
        "name that address in gpuchat_domain or edge_extra_names, then run site.yml with --tags edge,open_webui",
    ),
    # redis-py
    Message(
        "redis",
        OPEN_WEBUI,
        r"redis\.exceptions\.\w*(?:ConnectionError|TimeoutError|AuthenticationError)|"
        r"Failed to connect to redis",
        "a Redis that does not answer",
        "take REDIS_URL and WEBSOCKET_REDIS_URL out of open_webui_environment, or start that Redis",
    ),
    # SQLAlchemy, in lib/sqlalchemy/pool
    Message(
        "pool",
        OPEN_WEBUI,
        r"QueuePool limit of size",
        "more people than Open WebUI has connections to its database for",
        "raise DATABASE_POOL_SIZE in open_webui_environment, and max_connections in postgresql_settings",
    ),
    # the system's own words (EACCES)
    Message(
        "folder",
        OPEN_WEBUI,
        r"Permission denied: '/app/backend",
        "a folder of Open WebUI's that its user may not write",
        "run site.yml with --tags open_webui, which gives it back",
    ),
    # SQLite, in src/main.c
    Message(
        "sqlite",
        OPEN_WEBUI,
        r"unable to open database file|attempt to write a readonly database",
        "an Open WebUI that keeps its data in SQLite, in a folder that it may not write",
        "take DATABASE_URL out of open_webui_environment, so that it uses the stack's PostgreSQL",
    ),
    # huggingface_hub, in errors.py
    Message(
        "embedding",
        OPEN_WEBUI,
        r"LocalEntryNotFoundError|OfflineModeIsEnabled|couldn't connect to 'https?://",
        "an Open WebUI that looks for a model of its own in the internet",
        "serve a model for embeddings (task in gpuchat_models), and leave RAG_ variables out of open_webui_environment",
        is_hint=True,
    ),
    # open_webui, in models/oauth_sessions.py; cryptography, in fernet.py
    Message(
        "encryption",
        OPEN_WEBUI,
        r"\bInvalidToken\b|Error decrypting tokens: |Fernet key must be",
        "an Open WebUI whose key is not the one by which its secrets were encrypted",
        "bring back the former .gpuchat/secrets.yml, or open_webui_secret_key; what was encrypted by another key "
        "stays lost",
    ),
    # authlib, by way of open_webui/utils/oauth.py
    Message(
        "oauth",
        OPEN_WEBUI,
        r"OAuth (?:callback )?error|OAuth callback failed|mismatching_state",
        "a way to sign in that fails between Open WebUI and the server of accounts",
        "correct OPENID_ and OAUTH_ variables in open_webui_environment; people come by gpuchat_domain alone",
        is_hint=True,
    ),
    # Node, in lib/net.js; libpq, in src/interfaces/libpq/fe-connect.c
    Message(
        "no_database",
        CHAT,
        r"connect (?:ENOENT|ECONNREFUSED|EACCES) \S*\.s\.PGSQL|"
        r"connect (?:ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH) \S+:5432\b|"
        r"connection to server (?:on socket|at) .* failed: (?!FATAL|fe_sendauth)|"
        r"server closed the connection unexpectedly|SSL (?:SYSCALL error: EOF|connection has been closed unexpectedly)|"
        r"Connection terminated unexpectedly|timeout exceeded when trying to connect",
        "an interface that does not reach its database",
        "see `journalctl -u gpuchat-postgresql`, then run site.yml with --tags postgresql",
        is_consequence=True,
    ),
    # Node, in lib/net.js
    Message(
        "address",
        CHAT,
        r"EADDRINUSE|"
        r"\[Errno 98\] error while attempting",
        "an interface whose port is taken within its container",
        "restart its container; two programs in it want the same port",
    ),
    # postgres, in src/backend/parser; SQLite; lobehub#3391, open-webui#21349
    Message(
        "schema",
        CHAT,
        r"relation \S+ does not exist|column \S+ (?:of relation \S+ )?does not exist|no such (?:table|column)",
        "an interface whose database is not of its version: its migration did not run or did not end",
        "restart its container and read its first lines; else run playbooks/restore.yml with the last backup",
    ),
    # V8, in src/heap
    Message(
        "heap",
        CHAT,
        r"JavaScript heap out of memory|Reached heap limit",
        "an interface whose own memory was too small",
        "put NODE_OPTIONS: --max-old-space-size=4096 into lobehub_environment",
    ),
    # Node's tls and OpenSSL, Python's ssl; lobehub#6167
    Message(
        "authority",
        CHAT,
        r"self[- ]signed certificate|SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)|"
        r"unable to (?:verify the first certificate|get local issuer)|CERTIFICATE_VERIFY_FAILED|CERT_HAS_EXPIRED|"
        r"ALTNAME_INVALID",
        "a server whose certificate the interface does not trust: its authority, date or name",
        "name its authority in gpuchat_ca_files, or ask it by the name in its certificate; compare the clocks",
    ),
    # OpenSSL, by way of Node's tls and Python's ssl
    Message(
        "plain",
        CHAT,
        r"wrong version number|WRONG_VERSION_NUMBER|packet length too long",
        "a server that is asked by TLS and speaks plain HTTP",
        "write http:// in its address (url in gpuchat_object_store or gpuchat_endpoints), if that network is yours, or "
        "give it a certificate",
    ),
    # open_webui, in retrieval/vector/dbs/pgvector.py; pgvector, in src/vector.c
    Message(
        "vectors",
        CHAT,
        r"does not match existing vector column dimension|expected \d+ dimensions, not \d+",
        "vectors of people's files that another model for embeddings has made",
        "serve the former model for embeddings again (task in gpuchat_models), or have all files read anew by the "
        "present one",
    ),
    # pgvector, in src/hnsw.h and src/ivfflat.h
    Message(
        "dimensions",
        CHAT,
        r"cannot have more than \d+ dimensions for \w+ index",
        "a model for embeddings whose vectors are longer than a database's index takes",
        "serve one with shorter vectors (task in gpuchat_models)",
    ),
    # pg, in lib/connection.js
    Message(
        "database_tls",
        CHAT,
        r"server does not support SSL connections",
        "a database that is asked by TLS and has none",
        "take sslmode out of DATABASE_URL, or give the database of gpuchat_database a certificate",
    ),
    # Node, in lib/dns.js; libpq; Python's socket
    Message(
        "name",
        CHAT,
        r"getaddrinfo (?:ENOTFOUND|EAI_AGAIN)|could not translate host name|Name or service not known|"
        r"Temporary failure in name resolution",
        "an interface that asks for a server by a name that does not resolve",
        "correct the name (host in gpuchat_database, url in gpuchat_object_store or gpuchat_endpoints), or this "
        "host's resolver",
        is_hint=True,
    ),
    # Node, in lib/net.js; aiohttp, in client_exceptions.py; LobeHub, in packages/types/src/agentRuntime.ts;
    # lobehub#15286
    Message(
        "unreachable",
        CHAT,
        r"connect (?:ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH) (?!\S*\.s\.PGSQL|\S+:5432\b)|"
        r"Cannot connect to host|TypeError: fetch failed|"
        r"\[Errno 1(?:01|11|13)\]|exceptions\.ProxyError|ProviderBizError|Upstream(?:Gateway|Http)Error",
        "an interface that does not reach a server that it needs",
        "see what should listen at the address in the line, and start it",
        is_consequence=True,
    ),
    # vllm/entrypoints/openai, in its answer 400
    Message(
        "tools",
        CHAT,
        r"tool choice requires --enable-auto-tool-choice",
        "an interface that hands tools to a model which is served without a parser for them",
        "set vllm_tool_call_parser (empty for that of the model's family), then run site.yml with --tags vllm; else "
        "let nobody switch tools on for that model",
    ),
    # containers/storage, in pkg/idtools and pkg/unshare; podman, in pkg/rootless
    Message(
        "subuid",
        PODMAN,
        r"no sub[ug]id ranges found|insufficient UIDs or GIDs|newuidmap: |newgidmap: |"
        r"cannot set up namespace using",
        "a user without ids for the users within containers",
        "run `usermod --add-subuids 100000-165535 --add-subgids 100000-165535` for that user, then `podman system "
        "migrate`",
    ),
    # aardvark-dns
    Message(
        "dns",
        PODMAN,
        r"aardvark-dns failed to start|failed to bind (?:udp|tcp) listener",
        "a port 53 that another name server has, where Podman's networks want theirs",
        "see with `ss --listening --udp --processes` who has it, and let it leave the networks of containers alone",
    ),
    # netavark; common/libnetwork/netavark
    Message(
        "netavark",
        PODMAN,
        r"could not find .?netavark|netavark: (?!aardvark)",
        "a network of Podman's that could not be made",
        "run site.yml with --tags podman, which installs what is missing; restart the host after an upgrade of its "
        "kernel",
    ),
    # containers/image, in pkg/shortnames
    Message(
        "short_name",
        PODMAN,
        r"short-name \S+ did not resolve",
        "an image without its registry's name",
        "write the registry before it (docker.io/...) in the image's variable (vllm_image, lobehub_image, "
        "open_webui_image)",
    ),
    # podman, in pkg/systemd/quadlet
    Message(
        "quadlet",
        PODMAN,
        r"unsupported (?:key|value) .* in group|quadlet-generator\S*: .*(?:converting|error)",
        "a container's unit that this version of Podman does not understand",
        "upgrade Podman, or set gpuchat_supervisor to compose or systemd",
    ),
    # podman, in libpod/runtime.go
    Message(
        "boot",
        PODMAN,
        r"boot ID differs from cached boot ID|invalid internal (?:state|status)",
        "what Podman has left of before a restart of the host",
        "remove the folder that the line names, or run `podman system migrate`, then start the unit anew",
    ),
    # systemd, in src/core/exec-invoke.c
    Message(
        "program",
        SYSTEMD,
        r"(?:Failed|Unable) to locate executable|Failed at step EXEC|Failed to execute command|status=203(?:/EXEC)?",
        "a unit whose program is missing or may not be started",
        "run site.yml, which installs it; under SELinux look at `ausearch -m avc -ts recent`",
    ),
    # systemd, in src/core/exec-invoke.c
    Message(
        "user",
        SYSTEMD,
        r"Failed to determine (?:user|group) credentials|Failed at step (?:USER|GROUP)|status=21[67]/(?:USER|"
        r"GROUP)",
        "a unit whose user or group is gone",
        "run site.yml, which makes it anew",
    ),
    # systemd, in src/core/exec-invoke.c and namespace.c
    Message(
        "namespace",
        SYSTEMD,
        r"Failed to set up mount namespacing|Failed at step NAMESPACE|status=226/NAMESPACE",
        "a folder that a unit is to see, and that is not there",
        "mount or bring back what the line names; run site.yml, which makes what is its own",
    ),
    # systemd, in src/core/exec-invoke.c
    Message(
        "directory",
        SYSTEMD,
        r"Changing to the requested working directory failed|Failed at step (?:CHDIR|STATE_DIRECTORY|"
        r"RUNTIME_DIRECTORY|"
        r"CACHE_DIRECTORY|LOGS_DIRECTORY)|status=(?:200/CHDIR|2\d\d/\w+_DIRECTORY)|"
        r"Failed to set up special execution directory",
        "a folder of a unit's that is missing, or another's",
        "run site.yml, which makes it anew",
    ),
    # systemd, in src/core/exec-invoke.c
    Message(
        "environment",
        SYSTEMD,
        r"Failed to load environment files",
        "a unit whose file of settings is missing",
        "run site.yml, which writes it anew",
    ),
    # systemd, in src/core/exec-credential.c
    Message(
        "credential",
        SYSTEMD,
        r"Failed to set up credentials|status=243/CREDENTIALS",
        "a unit one of whose secrets is missing",
        "run site.yml, which writes it anew",
    ),
    # systemd, in src/core/load-fragment.c and service.c
    Message(
        "unit",
        SYSTEMD,
        r"Unit configuration has fatal error|bad unit file setting|\.service: Service has .*\. Refusing\.",
        "a unit that systemd does not understand, as after a change by hand",
        "see `systemd-analyze verify` with its name; run site.yml, which writes it anew, and take away what "
        "`systemctl cat` shows beside it",
    ),
    # systemd, in src/core/exec-invoke.c
    Message(
        "confinement",
        SYSTEMD,
        r"Failed at step (?:SECCOMP|CAPABILITIES|CGROUP|NO_NEW_PRIVILEGES|ADDRESS_FAMILIES|BPF)\b|"
        r"status=(?:228/SECCOMP|218/CAPABILITIES|219/CGROUP|227/NO_NEW_PRIVILEGES|232/ADDRESS_FAMILIES|246/BPF)",
        "a kernel or an outer container that does not let systemd confine a unit as it says",
        "upgrade the kernel and systemd together; in an LXC container allow nesting",
    ),
    # systemd, in src/core/service.c
    Message(
        "slow_start",
        SYSTEMD,
        r"start(?:-post|-pre)? operation timed out|Failed with result 'timeout'",
        "a start that took longer than its unit allows",
        "look at what it does so long; of an engine, raise vllm_start_seconds",
        is_hint=True,
    ),
    # systemd, in src/core/service.c; Linux, in arch/x86/mm/fault.c; vllm#3053, vllm#44780
    Message(
        "crashed",
        SYSTEMD,
        r"code=dumped, status=|code=killed, status=(?:11/SEGV|6/ABRT|4/ILL|7/BUS)|"
        r": segfault at |Fatal Python error: Segmentation fault|Segfault encountered|"
        r"\*\*\* SIG(?:SEGV|ABRT|ILL|BUS) received at|"
        r"(?:Illegal instruction|Segmentation fault|Bus error) +\(core dumped\)",
        "a program that crashed",
        "look at `coredumpctl info` and `dmesg`; take another version of it",
        is_consequence=True,
    ),
    # systemd, in src/core/service.c
    Message(
        "killed",
        SYSTEMD,
        r"code=killed, status=9/KILL|code=exited, status=137|"
        r"(?:^|[ |])Killed$",
        "a program that somebody, or the kernel for want of memory, has killed",
        "look for `Out of memory` with `dmesg`; give the host more memory, or see who ended it",
        is_consequence=True,
    ),
    # systemd, in src/core/service.c
    Message(
        "resources",
        SYSTEMD,
        r"Failed with result 'resources'",
        "a unit that systemd could not start for want of something of the host's; the line above says of what",
        "read that line; look at memory, disks and open files of the host (`free`, `df`, `systemctl show`)",
        is_consequence=True,
    ),
    # systemd, in src/core/job.c
    Message(
        "dependency",
        SYSTEMD,
        r"Dependency failed for|failed with result 'dependency'",
        "a unit that waits for another, which failed",
        "see with `systemctl list-dependencies` and `systemctl --failed` which one",
        is_consequence=True,
    ),
    # systemd, in src/core/unit.c
    Message(
        "start_limit",
        SYSTEMD,
        r"[Ss]tart request repeated too quickly|start-limit-hit",
        "a unit that failed so often that it is not started any more",
        "read in its log why it fails; then `systemctl reset-failed` with its name, and start it",
        is_consequence=True,
    ),
    # NVIDIA's driver (Xid 79, 167; nverror.h), nvidia-smi; nvidia-docker#1553, NVSentinel#155
    Message(
        "gpu_lost",
        KERNEL,
        r"fallen off the bus|GPU is lost|Unable to determine the device handle|Xid \(PCI\S+\): (?:79|167)\b",
        "a GPU that has left the bus",
        "power the host off and on; where it comes back, look at the card's seat, power and temperature",
    ),
    # NVIDIA's driver (Xid 48, 58, 63 and others; nverror.h); CUDA's error 214
    Message(
        "gpu_ecc",
        KERNEL,
        r"uncorrectable ECC|Xid \(PCI\S+\): (?:48|58|63|64|92|94|95|140|15[67]|16[018]|17[125])\b",
        "a GPU whose memory has errors",
        "restart the host, so that the GPU replaces the cells; look at `nvidia-smi -q -d ECC,ROW_REMAPPER`; where "
        "it comes back, replace it",
    ),
    # NVIDIA's driver (Xid 74, 121, 136, 144 to 150 and others; nverror.h)
    Message(
        "gpu_link",
        KERNEL,
        r"Xid \(PCI\S+\): (?:74|121|136|14[4-9]|150|155|166|17[03])\b",
        "a fault of NVLink between GPUs",
        "look at `nvidia-smi nvlink --status`; power the host off and on, and look at bridges and seats",
    ),
    # NVIDIA's driver (Xid 61, 62, 109, 110, 119 and others; nverror.h)
    Message(
        "gpu_firmware",
        KERNEL,
        r"Xid \(PCI\S+\): (?:46|61|62|109|110|119|120|143|154|158|169)\b|GSP RM heartbeat|_kgspRpc",
        "a GPU that hangs, or whose own processor does not answer",
        "restart the host; where it comes back, set nvidia_driver_branch to another one",
    ),
    # NVIDIA's driver
    Message(
        "gpu_init",
        KERNEL,
        r"RmInitAdapter failed|NVIDIA probe routine failed|"
        r"No devices were found",
        "a GPU that the driver cannot start",
        "power the host off and on; see that driver and card go together (nvidia_driver_branch), and that the card "
        "has its power",
    ),
    # NVIDIA's driver, in what its closed modules say of Blackwell
    Message(
        "open_modules",
        DRIVER,
        r"requires use of the NVIDIA open kernel modules",
        "a GPU that the open kernel modules alone serve, with the closed ones of the driver",
        "set nvidia_driver_open_modules: true, run site.yml with --tags nvidia_driver, and restart the host",
    ),
    # Linux, in kernel/module/signing.c and security/lockdown; kmod
    Message(
        "signature",
        DRIVER,
        r"not signed with a trusted key|Loading of .*module.* is rejected|Key was rejected by service|"
        r"Lockdown: \S+: unsigned module loading",
        "Secure Boot, which does not trust the kernel modules of the driver",
        "on Ubuntu set nvidia_driver_source: distribution, whose modules are signed; else turn Secure Boot off in the "
        "firmware, or sign them with a key of your own (`mokutil --import`)",
    ),
    # NVIDIA's driver, in kernel-open/nvidia/nv-pci.c
    Message(
        "addresses",
        DRIVER,
        r"PCI I/O region assigned to your NVIDIA device is invalid",
        "a firmware or a virtual machine that gives the GPU no room for its memory",
        "turn on Above 4G Decoding in the firmware, or give the virtual machine a larger window for PCI; else put "
        "pci=realloc on the kernel's command line",
    ),
    # NVIDIA's driver, in kernel-open/nvidia/nv.c
    Message(
        "held",
        DRIVER,
        r"NVIDIA probe routine was not called",
        "GPUs that another driver of the kernel holds, such as nouveau or vfio-pci",
        "see with `lspci -k -d 10de:` which one; keep it from them in /etc/modprobe.d, and restart the host",
    ),
    # NVIDIA's driver (Xid 13, 31, 32, 43, 45, 68, 69, 137; nverror.h)
    Message(
        "gpu_program",
        KERNEL,
        r"Xid \(PCI\S+\): (?:13|31|32|43|45|68|69|137)\b",
        "a program that made a mistake on the GPU",
        "read the engine's log of that time; set vllm_version to another one",
        is_hint=True,
    ),
    # Linux, in mm/oom_kill.c; systemd; the system's own words (ENOMEM)
    Message(
        "memory",
        KERNEL,
        r"Out of memory: Kill|[Oo]ut of memory: Killed|oom-kill|invoked oom-killer|killed by the OOM killer|"
        r"\[Errno 12\]|DefaultCPUAllocator: can't allocate|std::bad_alloc|(?i:: cannot allocate memory)|"
        r"failed \(12: Cannot allocate|\bENOMEM\b|"
        r"oom_reaper: reaped",
        "a host whose memory was full",
        "see with `dmesg` what used it; stop what else runs there, or give the host more memory",
    ),
    # numpy, in numpy/_core/src/common/npy_cpu_features.c; sharp, in lib/sharp.js; glibc, in sysdeps/x86; dify#30348
    Message(
        "processor",
        KERNEL,
        r"NumPy was built with baseline optimizations|Prebuilt binaries for \S+ require v2 microarchitecture|"
        r"CPU does not support x86-64-v\d",
        "a processor without the instructions of x86-64-v2 and later ones, or a virtual machine to which it shows none",
        "give the virtual machine the processor of its host (in Proxmox `cpu: host`), or take another host",
    ),
    # Linux, in block/blk-core.c and fs/ext4
    Message(
        "disk_fault",
        KERNEL,
        r"I/O error, dev |Buffer I/O error|EXT4-fs error|Remounting filesystem read-only|XFS \S+: .*(?:shutdown|"
        r"Shutting down)|"
        r"critical medium error|"
        r"(?i:\[Errno 5\] input/output error|: input/output error)|"
        r"Structure needs cleaning",
        "a disk that does not keep what is written",
        "look at it (`smartctl -a`), replace it, and run playbooks/restore.yml with the last backup where data was "
        "lost",
    ),
    # the system's own words (ESTALE, ENOTCONN of FUSE, EHOSTDOWN); Linux, in net/sunrpc
    Message(
        "network_disk",
        KERNEL,
        r"\[Errno 1(?:07|12|16)\] (?:Transport|Host|Stale)|[Ss]tale (?:NFS )?file handle|ESTALE|"
        r"nfs: server \S+ not responding|: transport endpoint is not connected",
        "a file system of the network whose server does not answer, or has its files anew",
        "see with `findmnt` which one, and look at that server; unmount and mount it again, then restart the service",
    ),
    # S3's own code, by whose clients
    Message(
        "clock",
        KERNEL,
        r"RequestTimeTooSkewed|difference between the request time and the (?:current|server)",
        "a clock that differs by minutes from that of the store which is asked",
        "compare `timedatectl` on both hosts, and let them follow a time server",
    ),
    # the system's own words (EROFS)
    Message(
        "read_only",
        KERNEL,
        r"\[Errno 30\]|EROFS|: [Rr]ead-only file system",
        "a file system that may only be read: after a fault of its disk, or a folder that its unit may not write",
        "look at `dmesg` and `findmnt`; else run site.yml, and take folders of your own out of environment and args",
        is_hint=True,
    ),
    # Linux, in net/netfilter/nf_conntrack_core.c
    Message(
        "conntrack",
        KERNEL,
        r"nf_conntrack: table full",
        "more connections than the kernel keeps in mind",
        "see with `ss --summary` who holds them; raise net.netfilter.nf_conntrack_max with `sysctl`",
    ),
    # the system's own words (EMFILE)
    Message(
        "open_files",
        KERNEL,
        r"\[Errno 24\]|EMFILE|out of file descriptors",
        "more open files than the unit or container may have",
        "see with `ls /proc/PID/fd` what they are; raise LimitNOFILE of its unit, or nofile of its container",
    ),
    # the system's own words (EAGAIN); open-webui#2488
    Message(
        "tasks",
        KERNEL,
        r"can't start new thread|\[Errno 11\] Resource temporarily|pthread_create failed",
        "more threads than the unit, container or user may have",
        "raise TasksMax of its unit, or what its container allows; of `Operation not permitted`, upgrade Docker, whose "
        "filter of system calls is older than the image",
        is_hint=True,
    ),
    # restic, in internal/restic/lock.go; restic#4323
    Message(
        "locked",
        RESTIC,
        r"repository is already locked|unable to create lock in backend",
        "a backup that another one, or one that was broken off, has locked",
        "see that no restic runs, then run `restic unlock` with the unit's environment, and playbooks/backup.yml",
    ),
    # restic, in internal/repository/key.go
    Message(
        "password",
        RESTIC,
        r"wrong password or no key found",
        "a repository of backups that was made with another password",
        "bring back backup_password of .gpuchat/secrets.yml as it was, or set backup_target to a new place",
    ),
    # restic, in cmd/restic/global.go
    Message(
        "no_repository",
        RESTIC,
        r"repository does not exist|Is there a repository at the following location|"
        r"unable to open config file: .*(?:[Nn]o such file|does not exist|not found|404)",
        "a place for backups without a repository: it is not mounted, or was moved",
        "mount or bring back what backup_target names; where it is new, run site.yml with --tags backup",
    ),
    # restic, in internal/backend; OpenSSH
    Message(
        "refused",
        RESTIC,
        r"Access Key Id you provided|SignatureDoesNotMatch|Access Denied|403 Forbidden|401 Unauthorized|"
        r"subprocess ssh: (?:.*Permission denied|Host key verification failed)",
        "a place for backups that does not let this host in",
        "correct backup_secret_environment (keys of an s3: target), or root's ssh key and known_hosts of an sftp: "
        "target",
    ),
    # the system's own words (EACCES), by way of restic's internal/backend/local and sftp
    Message(
        "folder",
        RESTIC,
        r"SSH_FX_PERMISSION_DENIED|(?:Save|Load|Stat|List|Remove|mkdirAll)\(.*permission denied",
        "a place for backups in which this host may not write",
        "give the folder that backup_target names to the account that writes there; on a file system of the network "
        "see that root is not made somebody else (root_squash)",
    ),
    # restic, in internal/backend/rclone; rclone; Go, in os/exec
    Message(
        "rclone",
        RESTIC,
        r"error talking HTTP to rclone|error starting rclone|"
        r"rclone: .*(?:Failed to create file system|didn't find section)",
        "a backup_target of rclone's that root's rclone does not know, or no rclone",
        "install rclone, and make that remote with `rclone config` as root; else correct backup_target",
    ),
    # restic, in internal/restic/config.go
    Message(
        "version",
        RESTIC,
        r"unsupported repository version",
        "a repository of backups that a newer restic has written",
        "install a newer restic on this host, or set backup_target to a new place",
    ),
    # Go, crypto/x509
    Message(
        "certificate",
        RESTIC,
        r"x509: |tls: failed to verify certificate",
        "a place for backups whose certificate does not hold: its authority, its date or its name",
        "let this host trust its authority (gpuchat_ca_files), compare the clock (`timedatectl`), and call it in "
        "backup_target by the name that its certificate has",
    ),
    # Go, net/http
    Message(
        "plain",
        RESTIC,
        r"server gave HTTP response to HTTPS client",
        "a place for backups that speaks plain HTTP",
        "write http:// before its name in backup_target, if that network is yours, or give it a certificate",
    ),
    # Go, net and net/http; OpenSSH
    Message(
        "silent",
        RESTIC,
        r"dial tcp|i/o timeout|no such host|net/http: (?!HTTP)|(?:Get|Head|Put|Post|Delete) \S*https?://\S+: (?:EOF|"
        r"unexpected EOF|context deadline|read tcp|remote error)|unexpected HTTP response \(5|50[0234] [A-Z]|"
        r"subprocess ssh: .*(?:refused|timed out|No route|resolve hostname|exit status 255)|"
        r"unable to start the sftp session",
        "a place for backups that does not answer",
        "start it, or correct backup_target; look at the way there",
    ),
    # restic, in internal/repository; restic#2014
    Message(
        "damaged",
        RESTIC,
        r"repository contains errors|ciphertext verification failed|invalid data returned|hash mismatch|"
        r"pack \S+ contains",
        "a repository of backups that is damaged",
        "run `restic check --read-data` and `restic repair` as its handbook says, or set backup_target to a new "
        "place; look at that disk",
    ),
    # restic, in internal/global/global.go, earlier in cmd/restic/global.go
    Message(
        "unset",
        RESTIC,
        r"Please specify repository location|empty password is not (?:allowed|a password)",
        "a backup without its place or password",
        "run site.yml with --tags backup, which writes both",
    ),
    # pg_dump
    Message(
        "dump",
        RESTIC,
        r"pg_dump: error: (?:aborting because of server version mismatch|connection to server)",
        "a database that cannot be written out: it is down, or newer than pg_dump",
        "see `journalctl -u gpuchat-postgresql`; run site.yml with --tags postgresql,backup",
    ),
    # boulder, in va/http.go and va/va.go, as certbot shows it
    Message(
        "way",
        ACME,
        r"Timeout during connect|Fetching \S+: (?:Connection|Timeout|Error getting|Redirect)|"
        r"Invalid response from http",
        "a directory of certificates that does not reach this host by its name, or reaches another",
        "let edge_http_port through routers and firewalls to this host, and have the names point to it alone; where "
        "that cannot be, set edge_acme_challenge to dns",
    ),
    # boulder, in bdns
    Message(
        "name",
        ACME,
        r"DNS problem: |[Nn]o valid (?:A|AAAA|IP)|No TXT record found|Incorrect TXT record",
        "a name that a directory of certificates does not find in the DNS as it should be",
        "correct the records of gpuchat_domain and edge_extra_names; of edge_acme_challenge: dns, see that "
        "edge_acme_dns_hook ends when its record can be read",
    ),
    # boulder, in ratelimits; RFC 8555
    Message(
        "limit",
        ACME,
        r"error:rateLimited|too many (?:certificates|failed|new|currently)|[Rr]ate limit",
        "a directory of certificates that was asked too often",
        "wait as long as it says; try with edge_acme_directory of its staging meanwhile",
    ),
    # boulder, in va/caa.go
    Message(
        "caa",
        ACME,
        r"CAA record for \S+ prevents|error:caa\b",
        "a domain whose CAA record lets other directories alone certify it",
        "add the directory's name to that record, or set edge_acme_directory to one that it names",
    ),
    # RFC 8555; certbot
    Message(
        "account",
        ACME,
        r"error:(?:externalAccountRequired|accountDoesNotExist|userActionRequired|unauthorized)(?!.*Invalid response)|"
        r"external account binding",
        "a directory of certificates that does not know this account, or wants one of its owner's",
        "set edge_acme_eab_kid and edge_acme_eab_hmac_key as the directory's owner gave them, then run site.yml with "
        "--tags edge",
    ),
    # certbot, in certbot/compat/misc.py
    Message(
        "hook",
        ACME,
        r"(?:auth|cleanup|deploy)-hook\b.*(?:reported error code|ran with error)",
        "a program for the DNS, or what brings the certificate to nginx, that fails",
        "run it by hand as the line shows it; correct edge_acme_dns_hook",
    ),
    # urllib3, by way of certbot's requests
    Message(
        "silent",
        ACME,
        r"Max retries exceeded|ConnectionPool\(host=|Read timed out|Requesting \S+: ",
        "a directory of certificates that this host does not reach",
        "look at the way there, and at gpuchat_proxy; correct edge_acme_directory and edge_acme_authority_file",
        is_hint=True,
    ),
)

COMMON = (DOCKER, PODMAN, SYSTEMD, KERNEL)
"""Whose messages may stand in any log: a disk is full, a container or a unit does not start, a GPU is gone."""

OWN = {
    parts.EDGE: (NGINX,),
    parts.DOOR: (NGINX,),
    "docker": (DOCKER,),
    parts.POSTGRESQL: (POSTGRESQL,),
    parts.LOBEHUB: (LOBEHUB, CHAT, POSTGRESQL),
    parts.OPEN_WEBUI: (OPEN_WEBUI, CHAT, POSTGRESQL),
    "gpuchat-backup": (RESTIC,),
    parts.ACME: (ACME,),
    DRIVER: (DRIVER,),
}

GOING_ON = (parts.EDGE, parts.DOOR, parts.POSTGRESQL, "docker")
"""Which go on after most of what they complain of, so that the last one is of the present; others say first why."""

STARTING = (DOCKER, PODMAN)
"""Who starts a container: where its log ends in their words, it did not come to any of its own."""

AT_THE_END = 3

EXCEPTION = re.compile(r"\b[\w.]*(?:Error|Exception)\b: +\S|\bValue error, ")
"""The last line of a traceback, which says more than that something ended."""


def recognise(service: str, lines: Sequence[str]) -> Recognised | None:
    """Return what a log says of why its service is not well: of its last start, or of the one before.

    A message that says no more than that something ended counts where no other does, and that systemd gave up where no
    start says anything.
    """
    known = of(service)
    read = [_Read(line, _in(line, known)) for line in map(uncoloured, lines) if line.strip()]
    if service != "docker":
        refused = [one for one in read[-AT_THE_END:] if one.message and one.message.of in STARTING]
        last = refused[-1].message if refused else None
        if last and not last.is_consequence:
            return refused[-1].told
    starts = _attempts(read)
    for units_too in (False, True):
        for start in reversed(starts):
            found = [one for one in start if one.message and (units_too or not _is_of_unit(one.message))]
            if found:
                best = min(one.message.place for one in found if one.message)
                some = [one for one in found if one.message and one.message.place == best]
                return _shown(some[-1 if service in GOING_ON else 0], start)
    return None


def _shown(one: _Read, start: Sequence[_Read]) -> Recognised | None:
    """Return what a line says, shown by the first exception of its start where the line itself only refers to it."""
    if not one.message or not one.message.refers:
        return one.told
    root = next((other.line for other in start if not other.message and EXCEPTION.search(other.line)), one.line)
    return Recognised(one.message, root.strip()[:LONGEST])


@dataclass(frozen=True)
class _Read:
    line: str
    message: Message | None

    @property
    def told(self) -> Recognised | None:
        return Recognised(self.message, self.line.strip()[:LONGEST]) if self.message else None


def _is_of_unit(message: Message) -> bool:
    """Whether it is systemd's word of a unit that ended, which stands below what its program said."""
    return message.of == SYSTEMD and message.place > 0


def of(service: str) -> tuple[str, ...]:
    """Return whose messages may stand in the log of a service, its own before those of others."""
    own = (VLLM,) if service.startswith(ENGINES) else OWN.get(service, ())
    return tuple(dict.fromkeys((*own, *COMMON)))


def uncoloured(line: str) -> str:
    """Return a line without what colours it on a terminal."""
    return COLOURS.sub("", line).replace("\r", "")


def in_line(line: str) -> Iterable[Message]:
    """Return all messages that a line holds; one that its program calls mild can hold no more than a warning."""
    is_mild = bool(MILD.search(line))
    return (one for one in MESSAGES if not (is_mild and one.severity != WARNING) and re.search(one.pattern, line))


def _in(line: str, known: Sequence[str]) -> Message | None:
    """Return the message of a line that says most, that of the service's own program before those of others."""
    found = [one for one in in_line(line) if one.of in known]
    return min(found, key=lambda one: (one.place, known.index(one.of)), default=None)


def _attempts(lines: Iterable[_Read]) -> list[list[_Read]]:
    """Return a log in parts, each of which begins where its program started."""
    parts: list[list[_Read]] = [[]]
    for one in lines:
        if parts[-1] and BEGINNINGS.search(one.line):
            parts.append([])
        parts[-1].append(one)
    return parts


def last_words(lines: Sequence[str]) -> str:
    """Return the line that tells most where no message is known: the last that speaks of an error, or the last."""
    said = [line.strip() for line in map(uncoloured, lines) if line.strip()]
    errors = [line for line in said if TELLING.search(line)]
    return ([*said[-1:], *errors[-1:]] or [""])[-1][:LONGEST]
