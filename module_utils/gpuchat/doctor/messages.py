# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What known messages in the logs mean, and what to do about them.

Each row's source stands above it: a file of vLLM 0.33 (vllm), of Docker's moby, of NVIDIA's toolkit, of LobeHub 2.1.26,
of Open WebUI 0.12.4; the strings of Debian's nginx 1.26.3 and PostgreSQL 17; a thread of an issue tracker; or what
people are known to meet.
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

BEGINNINGS = ("vLLM API server version", "start worker process", "start worker processes")
"""Lines with which a program says that it starts anew, by a part of them."""

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
    """

    name: str
    of: str
    pattern: str
    cause: str
    fix: str
    severity: str = FAULT
    is_consequence: bool = False

    @property
    def kind(self) -> str:
        return f"log.{self.of}.{self.name}"


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
        r"To serve at least one request with the models?('s)? max seq len",
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
        r"Engine core initialization failed|EngineCore encountered an (?:issue|error)",
        "an engine whose core ended; the first traceback above this line says why",
        "read the log from its first traceback on",
        is_consequence=True,
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
    ),
    # vllm/v1/executor/multiproc_executor.py
    Message(
        "worker_died",
        VLLM,
        r"Worker proc \S+ died unexpectedly",
        "a worker that the system ended: the host's memory was full, or a GPU failed",
        "look for `Out of memory` and `Xid` with `dmesg`; give the host more memory, or look at the GPU",
    ),
    # vllm/platforms/cuda.py
    Message(
        "no_bfloat16",
        VLLM,
        r"Bfloat16 is only supported",
        "a GPU older than compute capability 8.0, which has no bfloat16",
        "put dtype: half into args of the model in gpuchat_models",
    ),
    # vllm/config/vllm.py
    Message(
        "quantization",
        VLLM,
        r"not supported for the current GPU\. Minimum",
        "weights in a precision that this GPU cannot compute with",
        "take the model in another quantization; playbooks/plan.yml says which ones fit",
    ),
    # vllm/model_executor/models/registry.py
    Message(
        "architecture",
        VLLM,
        r"are not supported for now",
        "a model that this version of vLLM does not know",
        "set vllm_version, or the model's version in gpuchat_models, to a newer one",
    ),
    # vllm/config/model.py
    Message(
        "heads",
        VLLM,
        r"Total number of attention heads",
        "a number of GPUs that does not divide the model's attention heads",
        "give the model 1, 2, 4 or 8 GPUs (gpus in gpuchat_models), or leave it to auto",
    ),
    # vllm/model_executor/model_loader/default_loader.py
    Message(
        "no_weights",
        VLLM,
        r"Cannot find any model weights",
        "a model's folder without weights, or with weights of another format",
        "run site.yml with --tags model; look whether include and exclude of the model leave its weights out",
    ),
    # vllm/config/device.py
    Message(
        "no_device",
        VLLM,
        r"Failed to infer device type",
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
        r"default chat template is no longer",
        "a model without a chat template",
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
        r"Permission denied: '/\.(?:triton|cache|config)",
        "caches for which the engine's user has no home",
        "run site.yml with --tags vllm; leave HOME out of environment of the model",
    ),
    # CUDA's error 803 and its words of missing kernels; vllm#33447, gpustack#4678
    Message(
        "driver",
        VLLM,
        r"Error 803|system has unsupported display driver|no kernel image is available",
        "a driver, or a GPU, that is too old for the image's CUDA",
        "install a newer driver, or set vllm_version to one whose CUDA it serves; playbooks/plan.yml says which",
    ),
    # vllm/entrypoints/launcher.py
    Message(
        "socket_taken",
        VLLM,
        r"(?:\[Errno 98\]|error while attempting to bind).*[Aa]ddress already in use",
        "an engine's socket that another process, or one before it, still holds",
        "restart the engine (deploys/restart.py); if that does not help, remove its vllm.sock while it is stopped",
    ),
    # Gloo and NCCL, by way of torch.distributed
    Message(
        "interfaces",
        VLLM,
        r"no socket interface found|connectFullMesh failed",
        "no network interface by which the parts of one engine find each other",
        "name it by NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME in environment of the model in gpuchat_models",
    ),
    # torch, in c10/cuda/CUDACachingAllocator.cpp
    Message(
        "out_of_memory",
        VLLM,
        r"CUDA out of memory|torch\.(?:cuda\.)?OutOfMemoryError",
        "a GPU whose memory is full",
        "see with `nvidia-smi` who holds it; lower context or users of the model, or give it more GPUs",
    ),
    # moby, in daemon/errors.go
    Message(
        "no_gpu_driver",
        DOCKER,
        r"could not select device driver",
        "a Docker that knows no GPUs: the container toolkit was not there when it started",
        "run site.yml with --tags nvidia_container_toolkit, then `systemctl restart docker`",
    ),
    # moby, in daemon/runtime_unix.go
    Message(
        "runtime",
        DOCKER,
        r"unknown or invalid runtime name",
        "a runtime that /etc/docker/daemon.json does not name",
        "run site.yml with --tags docker,nvidia_container_toolkit",
    ),
    # container-device-interface, in pkg/cdi/cache.go
    Message(
        "cdi",
        DOCKER,
        r"unresolvable CDI devices",
        "GPUs by names that the host's CDI files do not have, as after a change of driver or cards",
        "run `nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml`, then start the container again",
    ),
    # libnvidia-container; vllm#5635, vllm#4940
    Message(
        "cuda_condition",
        DOCKER,
        r"unsatisfied condition: cuda",
        "a driver that is older than the image's CUDA",
        "install a newer driver (nvidia_driver_branch), or set vllm_version to one whose CUDA it serves",
    ),
    # libnvidia-container, and nvidia-smi itself
    Message(
        "library_mismatch",
        DOCKER,
        r"(?i)driver/library version mismatch",
        "a driver that was upgraded while the former one is loaded",
        "restart the host",
    ),
    # nvidia-container-toolkit#48, #1227
    Message(
        "lost_gpus",
        DOCKER,
        r"Failed to initialize NVML: Unknown Error",
        "a container that lost its GPUs, as after `systemctl daemon-reload`",
        "restart the container (deploys/restart.py); avoid `systemctl daemon-reload` while engines run",
    ),
    # moby, in libnetwork/portallocator
    Message(
        "port_allocated",
        DOCKER,
        r"port is already allocated",
        "a port that another container has published",
        "see with `docker ps` which one, and stop it or give it another port",
    ),
    # moby, in libnetwork/endpoint.go
    Message(
        "chains",
        DOCKER,
        r"failed programming external connectivity(?!.*port is already allocated)",
        "chains of Docker's in the packet filter that somebody flushed",
        "run `systemctl restart docker`; let whatever reloads the packet filter leave other tables alone",
    ),
    # moby, in libnetwork/ipamapi
    Message(
        "networks",
        DOCKER,
        r"address pools have been fully subnetted|Pool overlaps with other one",
        "no range of addresses left for a container network, or one that is in use",
        "set gpuchat_room_network to eight addresses that nobody uses, or default-address-pools in docker_settings",
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
        r"(?i)^(?!.*could not (?:extend|write to) file).*no space left on device",
        "a full file system",
        "remove what is not needed, also below /var/lib/containerd (`docker image prune`), or mount a larger one",
    ),
    # Docker Hub's registry
    Message(
        "too_many_pulls",
        DOCKER,
        r"toomanyrequests|You have reached your (?:unauthenticated )?pull rate limit",
        "a registry that has answered too often",
        "set gpuchat_registry_logins, or a mirror by gpuchat_registry_map",
    ),
    # Go, crypto/x509
    Message(
        "registry_authority",
        DOCKER,
        r"x509: certificate signed by unknown authority",
        "a registry whose certificate this host does not trust",
        "put its authority under /etc/docker/certs.d/ in a folder named after the registry",
    ),
    # moby, in daemon/start.go, as dockerd ends
    Message(
        "daemon_settings",
        DOCKER,
        r"unable to configure the Docker daemon with file",
        "a daemon.json that dockerd cannot read",
        "correct /etc/docker/daemon.json by what the line says, or run site.yml with --tags docker",
    ),
    # nginx, in src/event/ngx_event_connect.c, with errno 111
    Message(
        "upstream_refuses",
        NGINX,
        r"connect\(\) failed \(111",
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
        r"connect\(\) to unix:\S+ failed \(13:",
        "an engine's socket that nginx may not use: its group, or SELinux",
        "run site.yml with --tags vllm,door; under SELinux look at `ausearch -m avc -ts recent`",
    ),
    # nginx, in src/http/ngx_http_upstream.c
    Message(
        "upstream_slow",
        NGINX,
        r"upstream timed out \(110",
        "an engine or interface that does not answer in time: it hangs, or answers begin later than allowed",
        "look at what is behind; where it is only slow, raise door_stream_timeout and edge_stream_timeout",
    ),
    # nginx, in src/http/ngx_http_upstream.c
    Message(
        "upstream_ended",
        NGINX,
        r"prematurely closed connection",
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
        r"worker_connections are not enough|accept4?\(\) failed \(24:",
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
        r"upstream SSL certificate verify error",
        "a server behind nginx with a certificate that does not hold: its date, authority or name",
        "compare the hosts' clocks, then run playbooks/renew.yml",
    ),
    # nginx, in src/event/ngx_event_openssl.c
    Message(
        "certificate",
        NGINX,
        r"cannot load certificate|SSL_CTX_use_PrivateKey",
        "a certificate or key that is missing, damaged, or not of one pair",
        "run playbooks/renew.yml; of a certificate of yours, set edge_certificate_file and edge_certificate_key_file",
    ),
    # nginx, in src/core/ngx_connection.c, with errno 98
    Message(
        "port_taken",
        NGINX,
        r"bind\(\) to \S+ failed \(98:",
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
        r"host not found in upstream|could not be resolved \(",
        "the name of a server behind nginx that does not resolve",
        "correct url in gpuchat_endpoints, or this host's resolver (/etc/resolv.conf)",
    ),
    # nginx, in src/core/ngx_conf_file.c
    Message(
        "directive",
        NGINX,
        r"unknown directive|invalid number of arguments in|directive is not allowed here",
        "a configuration that nginx does not understand, as after a change by hand",
        "run site.yml with --tags door,edge, which writes it anew",
    ),
    # postgres, in src/backend/libpq/auth.c
    Message(
        "password",
        POSTGRESQL,
        r"password authentication failed",
        "a password that the database does not know: the secrets of both sides differ",
        "run site.yml, which gives both the same; bring back .gpuchat/secrets.yml if it was lost",
    ),
    # postgres, in src/backend/libpq/auth.c
    Message(
        "not_let_in",
        POSTGRESQL,
        r"no pg_hba\.conf entry",
        "a database that lets nobody in from that address, or not without TLS",
        "run site.yml, which writes pg_hba.conf; compare gpuchat_private_address with the address in the line",
    ),
    # postgres, in src/backend/utils/init/postinit.c
    Message(
        "clients",
        POSTGRESQL,
        r"too many clients|connection slots are reserved|too many connections for (?:role|database)",
        "more connections than the database allows",
        "restart what leaves its connections open, or raise max_connections",
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
        r"unrecognized configuration parameter|configuration file \S+ contains errors|syntax error in file",
        "a setting that PostgreSQL does not know, as after a change by hand",
        "run site.yml with --tags postgresql, which writes its settings anew; compare postgresql_settings",
    ),
    # postgres, in src/backend/utils/init/miscinit.c
    Message(
        "database_gone",
        POSTGRESQL,
        r"is not a valid data directory|could not access directory|data directory \S+ does not exist",
        "a PostgreSQL without its data: the folder was moved or removed, or its file system is not mounted",
        "mount or move it back; only where it is lost, run site.yml, then playbooks/restore.yml with the last backup",
    ),
    # postgres, in src/backend/storage/smgr/md.c
    Message(
        "database_disk",
        POSTGRESQL,
        r"could not (?:extend|write to) file",
        "a database whose disk is full",
        "free space on the file system of /var/lib/gpuchat/postgresql, or mount a larger one",
    ),
    # postgres, in src/backend/commands/extension.c
    Message(
        "extension",
        POSTGRESQL,
        r"extension \S+ is not available|could not open extension control file",
        "a database without an extension that the interface needs",
        "run site.yml with --tags postgresql, which installs pgvector; pg_search needs a repository of its own",
    ),
    # postgres, in src/backend/utils/init/miscinit.c
    Message(
        "database_version",
        POSTGRESQL,
        r"database files are incompatible with server",
        "a database that another major version wrote",
        "run playbooks/upgrade_postgresql.yml, which brings the data to the new version and keeps the former one",
    ),
    # postgres, in src/backend/utils/init/miscinit.c
    Message(
        "database_folder",
        POSTGRESQL,
        r"data directory \S+ has (?:invalid permissions|wrong ownership)",
        "a database's folder whose owner or mode was changed",
        "run site.yml with --tags postgresql, which gives them back",
    ),
    # postgres, in src/backend/utils/init/miscinit.c
    Message(
        "database_runs",
        POSTGRESQL,
        r"Is another (?:postmaster|postgres) .*(?:already running|running in data directory)|"
        r"lock file \S+ already exists",
        "a second PostgreSQL on the same data, or what one that was killed has left",
        "see with `pgrep --list-full postgres` who runs it, and stop what is not gpuchat-postgresql",
    ),
    # postgres, in src/backend/access/transam/xlogrecovery.c
    Message(
        "checkpoint",
        POSTGRESQL,
        r"could not locate (?:a valid|required) checkpoint record",
        "a database whose log of changes is damaged or was brought back in part",
        "run playbooks/restore.yml with the last backup; keep the damaged folder until that has worked",
    ),
    # postgres, in src/backend/tcop/backend_startup.c
    Message(
        "database_starts",
        POSTGRESQL,
        r"the database system is (?:starting up|shutting down|in recovery mode)",
        "a database that is just starting or stopping",
        "wait a minute; where it stays so, see `journalctl -u gpuchat-postgresql`",
        WARNING,
        is_consequence=True,
    ),
    # postgres, in src/backend/utils/init/postinit.c
    Message(
        "collation",
        POSTGRESQL,
        r"collation version mismatch",
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
        r"invalid page in block|page verification failed",
        "a damaged database: the disk lost what was written",
        "look at the disk (`smartctl -a`), and run playbooks/restore.yml with the last backup",
    ),
    # LobeHub, in packages/database/src/core/web-server.ts, src/server/modules/KeyVaultsEncrypt, scripts/migrateServerDB
    Message(
        "environment",
        LOBEHUB,
        r"KEY_VAULTS_SECRET. is not set|DATABASE_URL. is not set|(?:KEY_VAULTS_SECRET|DATABASE_URL) is not set",
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
    ),
    # LobeHub, in packages/types/src/agentRuntime.ts
    Message(
        "unknown_name",
        LOBEHUB,
        r"\bModelNotFound\b",
        "a chat interface that asks for a model by a name that nobody serves",
        "run site.yml, which tells it the names of gpuchat_models",
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
    # open_webui, in env.py
    Message(
        "secret_key",
        OPEN_WEBUI,
        r"WEBUI_SECRET_KEY is not set",
        "an Open WebUI without its secret key",
        "run site.yml with --tags open_webui, which gives it the one of the secrets",
    ),
    # open_webui, in config.py
    Message(
        "migration",
        OPEN_WEBUI,
        r"Error running migrations:",
        "an Open WebUI whose database could not be brought to its version",
        "read on in its log; set open_webui_version back to the former one meanwhile",
        is_consequence=True,
    ),
    # SQLite, in src/main.c (sqlite3ErrStr)
    Message(
        "locked",
        OPEN_WEBUI,
        r"sqlite3\.OperationalError\S* database is locked",
        "an Open WebUI that keeps its data in SQLite, which two programs write at once",
        "take DATABASE_URL out of open_webui_environment, so that it uses the stack's PostgreSQL",
    ),
    # Node, in lib/net.js; libpq, in src/interfaces/libpq/fe-connect.c
    Message(
        "no_database",
        CHAT,
        r"connect (?:ENOENT|ECONNREFUSED|EACCES) \S*\.s\.PGSQL|connection to server on socket \S+ failed: (?!FATAL)",
        "an interface that does not reach its database",
        "see `journalctl -u gpuchat-postgresql`, then run site.yml with --tags postgresql",
        is_consequence=True,
    ),
    # Node, in lib/net.js
    Message(
        "address",
        CHAT,
        r"EADDRINUSE",
        "an interface whose port is taken within its container",
        "restart its container; two programs in it want the same port",
    ),
)

COMMON = (DOCKER,)
"""Whose messages may stand in any log: a disk is full, or a container does not start."""

OWN = {
    parts.EDGE: (NGINX,),
    parts.DOOR: (NGINX,),
    "docker": (DOCKER,),
    parts.POSTGRESQL: (POSTGRESQL,),
    parts.LOBEHUB: (LOBEHUB, CHAT, POSTGRESQL),
    parts.OPEN_WEBUI: (OPEN_WEBUI, CHAT, POSTGRESQL),
}


def recognise(service: str, lines: Sequence[str]) -> Recognised | None:
    """Return what a log says of why its service is not well: of its last start, or of the one before.

    A message that says no more than that something ended counts where no other does.
    """
    known = of(service)
    for attempt in reversed(_attempts(lines)):
        found = [one for line in attempt for one in [_in(line, known)] if one]
        telling = [one for one in found if not one.message.is_consequence]
        # nginx goes on after each, so the last one is of the present; a program that ended says first why.
        for some in (telling, found):
            if some:
                return some[-1 if some[0].message.of == NGINX else 0]
    return None


def of(service: str) -> tuple[str, ...]:
    """Return whose messages may stand in the log of a service."""
    own = (VLLM,) if service.startswith(ENGINES) else OWN.get(service, ())
    return tuple(dict.fromkeys((*own, *COMMON)))


def in_line(line: str) -> Iterable[Message]:
    """Return all messages that a line holds."""
    return (one for one in MESSAGES if re.search(one.pattern, line))


def _in(line: str, known: Sequence[str]) -> Recognised | None:
    found = next((one for one in in_line(line) if one.of in known), None)
    return Recognised(found, line.strip()[:LONGEST]) if found else None


def _attempts(lines: Iterable[str]) -> list[list[str]]:
    """Return a log in parts, each of which begins where its program started."""
    parts: list[list[str]] = [[]]
    for line in lines:
        if parts[-1] and any(beginning in line for beginning in BEGINNINGS):
            parts.append([])
        parts[-1].append(line)
    return parts


def last_words(lines: Sequence[str]) -> str:
    """Return the line that tells most where no message is known: the last that speaks of an error, or the last."""
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if TELLING.search(line)]
    return ([*said[-1:], *errors[-1:]] or [""])[-1][:LONGEST]
