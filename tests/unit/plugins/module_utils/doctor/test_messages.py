# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each known message is recognised in a line as programs write it, and taken for no other."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor import messages
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor.messages import (
    LONGEST,
    MESSAGES,
    in_line,
    last_words,
    of,
    recognise,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu import health

CORE = "(EngineCore pid=71) ERROR 11-29 07:10:01 [core.py:843] "
NGINX = "2026/11/29 07:10:01 [error] 71#71: *9 "
UPSTREAM = ', client: 10.1.0.7, server: chat.example.com, request: "POST /v1/chat/completions HTTP/2.0", upstream: '
LINES = {
    "vllm.memory_taken": CORE
    + "ValueError: Free memory on device cuda:0 (38.2/79.1 GiB) on startup is less than desired "
    "GPU memory utilization (0.92, 72.8 GiB). Decrease GPU memory utilization or reduce GPU memory used by "
    "other processes.",
    "vllm.no_cache": CORE
    + "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` "
    "when initializing the engine.",
    "vllm.context_too_long": CORE + "ValueError: To serve at least one request with the models's max seq len (131072), "
    "(40.00 GiB KV cache is needed, which is larger than the available KV cache memory (12.10 GiB).",
    "vllm.neighbour": CORE
    + "AssertionError: Error in memory profiling. Initial free memory 70.1 GiB, current free memory "
    "74.9 GiB. This happens when other processes sharing the same container release GPU memory while vLLM is "
    "profiling.",
    "vllm.core_ended": "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
    "vllm.waiting": CORE + "No available shared memory broadcast block found in 60 second.",
    "vllm.hung_worker": CORE + "TimeoutError: RPC call to execute_model timed out.",
    "vllm.worker_died": CORE + "Worker proc VllmWorker-1 died unexpectedly, shutting down executor.",
    "vllm.no_bfloat16": "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least "
    "8.0. Your Tesla "
    "T4 GPU has compute capability 7.5.",
    "vllm.quantization": "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum "
    "capability: "
    "89. Current capability: 80.",
    "vllm.architecture": "ValueError: Model architectures ['Qwen9ForCausalLM'] are not supported for now. "
    "Supported ones:",
    "vllm.heads": "ValueError: Total number of attention heads (28) must be divisible by tensor parallel size (8).",
    "vllm.no_weights": CORE + "RuntimeError: Cannot find any model weights with `/model`",
    "vllm.no_device": "RuntimeError: Failed to infer device type, please set the environment variable "
    "VLLM_LOGGING_LEVEL",
    "vllm.sequences": "ValueError: max_num_seqs (256) exceeds available Mamba cache blocks (133).",
    "vllm.chat_template": "ValueError: As of transformers v4.44, default chat template is no longer allowed, so "
    "you must "
    "provide a chat template if the tokenizer does not define one.",
    "vllm.unknown_flag": "vllm serve: error: unrecognized arguments: --disable-log-requests",
    "vllm.caches": "PermissionError: [Errno 13] Permission denied: '/.triton'",
    "vllm.driver": "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported "
    "display "
    "driver / cuda driver combination",
    "vllm.socket_taken": "OSError: [Errno 98] Address already in use",
    "vllm.interfaces": "torch.distributed.DistBackendError: NCCL error: Bootstrap : no socket interface found",
    "vllm.out_of_memory": CORE + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
    "docker.no_gpu_driver": 'Error response from daemon: could not select device driver "nvidia" with '
    "capabilities: [[gpu]]",
    "docker.runtime": "Error response from daemon: unknown or invalid runtime name: nvidia",
    "docker.cdi": "could not inject CDI devices: unresolvable CDI devices nvidia.com/gpu=all: unknown",
    "docker.cuda_condition": "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, "
    "please update your "
    "driver to a newer version",
    "docker.library_mismatch": "nvidia-container-cli: initialization error: nvml error: driver/library version "
    "mismatch",
    "docker.lost_gpus": "Failed to initialize NVML: Unknown Error",
    "docker.port_allocated": "driver failed programming external connectivity on endpoint web: Bind for "
    "0.0.0.0:80 failed: "
    "port is already allocated",
    "docker.chains": "driver failed programming external connectivity on endpoint gpuchat-lobehub: Unable to enable "
    "DIRECT ACCESS FILTERING - DROP rule: iptables: No chain/target/match by that name",
    "docker.networks": "failed to create network: all predefined address pools have been fully subnetted",
    "docker.name_in_use": 'Conflict. The container name "/gpuchat-lobehub" is already in use by container "4f".',
    "docker.disk_full": "failed to register layer: write /usr/lib/libcuda.so: no space left on device",
    "docker.too_many_pulls": "toomanyrequests: You have reached your unauthenticated pull rate limit.",
    "docker.registry_authority": 'Get "https://hub.lan/v2/": tls: failed to verify: x509: certificate signed by '
    "unknown "
    "authority",
    "docker.daemon_settings": "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid "
    "character",
    "nginx.upstream_refuses": f"{NGINX}connect() failed (111: Connection refused) while connecting to "
    'upstream{UPSTREAM}"x"',
    "nginx.no_socket": NGINX
    + "connect() to unix:/var/lib/gpuchat/vllm/demo/vllm.sock failed (2: No such file or directory) "
    "while connecting to upstream",
    "nginx.socket_closed": NGINX
    + "connect() to unix:/var/lib/gpuchat/vllm/demo/vllm.sock failed (13: Permission denied) "
    "while connecting to upstream",
    "nginx.upstream_slow": NGINX + "upstream timed out (110: Connection timed out) while reading response header",
    "nginx.upstream_ended": NGINX + "upstream prematurely closed connection while reading upstream",
    "nginx.no_upstream": NGINX + "no live upstreams while connecting to upstream",
    "nginx.body": NGINX + "client intended to send too large body: 99999999 bytes",
    "nginx.rate": NGINX + 'limiting requests, excess: 40.9 by zone "chat"',
    "nginx.connections": "2026/11/29 07:10:01 [alert] 71#71: 16384 worker_connections are not enough",
    "nginx.header": NGINX + "upstream sent too big header while reading response header from upstream",
    "nginx.upstream_certificate": NGINX + "upstream SSL certificate verify error: (10:certificate has expired)",
    "nginx.certificate": 'nginx: [emerg] cannot load certificate "/etc/gpuchat/edge/tls.crt": BIO_new_file() failed',
    "nginx.port_taken": "nginx: [emerg] bind() to 0.0.0.0:443 failed (98: Address already in use)",
    "nginx.address_missing": "nginx: [emerg] bind() to 10.0.0.3:8000 failed (99: Cannot assign requested address)",
    "nginx.upstream_name": 'nginx: [emerg] host not found in upstream "studio.lan:1234" in '
    "/etc/gpuchat/edge/routes.conf:4",
    "nginx.directive": 'nginx: [emerg] unknown directive "proxi_pass" in /etc/gpuchat/edge/site.conf:12',
    "postgresql.password": 'FATAL:  password authentication failed for user "lobehub"',
    "postgresql.not_let_in": 'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "lobehub", no encryption',
    "postgresql.clients": "FATAL:  sorry, too many clients already",
    "postgresql.database_missing": 'FATAL:  database "lobehub" does not exist',
    "postgresql.settings": 'LOG:  unrecognized configuration parameter "shared_bufers" in file "/etc/x.conf" line 9',
    "postgresql.database_gone": 'FATAL:  "/var/lib/gpuchat/postgresql/17" is not a valid data directory',
    "postgresql.database_disk": 'ERROR:  could not extend file "base/16384/2619": No space left on device',
    "postgresql.extension": 'ERROR:  extension "vector" is not available',
    "postgresql.database_version": "FATAL:  database files are incompatible with server",
    "postgresql.database_folder": 'FATAL:  data directory "/var/lib/gpuchat/postgresql/17" has invalid permissions',
    "postgresql.database_runs": 'FATAL:  lock file "postmaster.pid" already exists',
    "postgresql.checkpoint": "PANIC:  could not locate a valid checkpoint record at 0/1528B60",
    "postgresql.database_starts": "FATAL:  the database system is starting up",
    "postgresql.collation": 'WARNING:  database "lobehub" has a collation version mismatch',
    "postgresql.shared_memory": 'ERROR:  could not resize shared memory segment "/PostgreSQL.1" to 8388608 '
    "bytes: No space",
    "postgresql.page": "ERROR:  invalid page in block 7 of relation base/16384/2619",
    "lobehub.environment": "Error: `KEY_VAULTS_SECRET` is not set, please set it in your environment variables.",
    "lobehub.pgvector": "Database migrate failed due to `pgvector` extension not found. Please install the extension",
    "lobehub.migration": "Database migrate failed. Please check your database is valid.",
    "lobehub.former_variables": "Detected deprecated environment variables:",
    "lobehub.object_store": "Error: S3 environment variables are not set completely, please check your env",
    "lobehub.sign_in": "Error: [Better-Auth] Unknown SSO provider: keycloack",
    "lobehub.engine_key": "Route: [vllm] InvalidProviderAPIKey: { error: { status: 401 } }",
    "lobehub.unknown_name": "Route: [vllm] ModelNotFound: { error: { status: 404 } }",
    "lobehub.context": "Route: [vllm] ExceededContextWindow: { error: { status: 400 } }",
    "open_webui.secret_key": "WEBUI_SECRET_KEY is not set. It is a hard requirement when authentication is enabled.",
    "open_webui.migration": "ERROR | open_webui.config:run_migrations:78 - Error running migrations: no revision",
    "open_webui.locked": "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked",
    "chat.no_database": "Error: connect ENOENT /run/postgresql/.s.PGSQL.5432",
    "chat.address": "Error: listen EADDRINUSE: address already in use 0.0.0.0:3210",
}
FURTHER = {
    "vllm.core_ended": "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack "
    "trace above",
    "vllm.kernels": "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    "vllm.interfaces": "RuntimeError: Gloo connectFullMesh failed with [gloo/transport/tcp/pair.cc]",
    "vllm.caches": "PermissionError: [Errno 13] Permission denied: '/.cache'",
    "vllm.processor": CORE + "Worker proc VllmWorker-0 died unexpectedly (exit code: -4), shutting down executor.",
    "docker.networks": "invalid pool request: Pool overlaps with other one on this address space",
    "docker.library_mismatch": "Failed to initialize NVML: Driver/library version mismatch",
    "docker.disk_full": "OSError: [Errno 28] No space left on device: '/root/.cache/vllm'",
    "nginx.certificate": 'SSL_CTX_use_PrivateKey("/etc/gpuchat/edge/tls.key") failed (SSL: error:05800074:x509 '
    "values mismatch)",
    "nginx.connections": "accept4() failed (24: Too many open files)",
    "nginx.upstream_name": NGINX + "studio.lan could not be resolved (3: Host not found)",
    "postgresql.clients": "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
    "postgresql.extension": "ERROR:  could not open extension control file "
    '"/usr/share/postgresql/17/extension/vector.control"',
    "postgresql.database_disk": 'PANIC:  could not write to file "pg_wal/xlogtemp.71": No space left on device',
    "postgresql.page": "WARNING:  page verification failed, calculated checksum 37 but expected 512",
    "postgresql.password": 'connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: FATAL:  password '
    'authentication failed for user "open_webui"',
    "lobehub.environment": "Error: DATABASE_URL is not set, please set it in your environment variables.",
    "lobehub.migration": "Error during DB migration:",
    "lobehub.object_store": "Error: S3 bucket is not set, please check your env",
    "lobehub.sign_in": "Error: [Better-Auth] logto OAuth enabled but missing credentials",
    "chat.no_database": 'connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: No such file',
}
WHERE = {
    "vllm": "gpuchat-vllm-demo",
    "docker": "docker",
    "nginx": "gpuchat-edge",
    "postgresql": "gpuchat-postgresql",
    "open_webui": "gpuchat-open-webui",
}


def names_in(line):
    return [one.kind.removeprefix("log.") for one in in_line(line)]


def test_every_message_has_a_name_of_its_own():
    kinds = [one.kind.removeprefix("log.") for one in MESSAGES]
    assert len(set(kinds)) == len(kinds)
    assert [kind for kind in kinds if kind in LINES] == list(LINES)


@pytest.mark.parametrize("name", LINES)
def test_a_message_is_recognised_in_its_line_and_no_other_of_its_log_is(name):
    kind = name.partition(".")[0]
    known = (kind, *of(WHERE.get(kind, "gpuchat-lobehub")))
    assert [one for one in names_in(LINES[name]) if one.partition(".")[0] in known] == [name]


@pytest.mark.parametrize("name", FURTHER)
def test_a_message_has_other_forms(name):
    assert names_in(FURTHER[name]) == [name]


@pytest.mark.parametrize("name", LINES)
def test_a_message_is_recognised_in_the_log_of_its_service(name):
    service = WHERE.get(name.partition(".")[0], "gpuchat-lobehub")
    found = recognise(service, ["INFO it begins", LINES[name], "INFO it ends"])
    assert found
    assert (found.message.kind, found.line) == (f"log.{name}", LINES[name][:LONGEST])


@pytest.mark.parametrize("one", MESSAGES, ids=lambda one: one.kind)
def test_a_message_says_cause_and_fix_in_words_of_the_survey(one):
    assert not one.cause.startswith("found ")
    assert not one.cause.endswith(".")
    assert not one.fix.endswith(".")
    assert one.fix[0].islower()


XIDS = {
    "gpu_lost": health.LEFT_THE_BUS,
    "gpu_ecc": health.OF_MEMORY,
    "gpu_link": health.OF_LINKS,
    "gpu_firmware": health.OF_ITS_PROCESSORS,
    "gpu_program": health.OF_PROGRAMS,
}


@pytest.mark.parametrize("name", XIDS)
def test_an_xid_is_of_the_kind_of_which_the_survey_has_it(name):
    said = {number: names_in(f"NVRM: Xid (PCI:0000:3b:00): {number}, pid=71") for number in range(1, 200)}
    assert {number for number, names in said.items() if names == [f"kernel.{name}"]} == XIDS[name]


HEALTHY = (
    "INFO 11-29 07:10:01 [api_server.py:1951] Started server process [1]",
    "INFO:     Application startup complete.",
    'INFO:     127.0.0.1:0 - "GET /health HTTP/1.1" 200 OK',
    "WARNING 11-29 07:10:01 [scheduler.py:120] max_num_batched_tokens is raised",
    "2026/11/29 07:10:01 [notice] 71#71: signal process started",
    "time=2026-11-29T07:10:01 level=info msg=API listen on /run/docker.sock",
    "  ▲ Next.js 15.3.5",
)


@pytest.mark.parametrize("line", HEALTHY)
def test_a_line_of_a_sound_log_holds_no_message(line):
    assert names_in(line) == []


def test_the_log_of_one_program_is_not_read_with_the_words_of_another():
    assert recognise("gpuchat-edge", [LINES["vllm.no_cache"]]) is None
    assert of("gpuchat-vllm") == ("vllm", "docker", "podman", "systemd", "kernel")
    assert of("gpuchat-watchdog") == ("docker", "podman", "systemd", "kernel")
    assert of("gpuchat-backup")[0] == "restic"


def test_what_says_only_that_something_ended_gives_way_to_what_says_why():
    lines = [LINES["vllm.no_cache"], LINES["vllm.core_ended"]]
    assert recognise("gpuchat-vllm-demo", lines).message.name == "no_cache"
    assert recognise("gpuchat-vllm-demo", lines[1:]).message.name == "core_ended"


def test_what_refers_to_an_exception_that_no_row_knows_is_shown_by_it():
    lines = [
        CORE + "EngineCore failed to start.",
        CORE + 'File "core.py", line 699, in run_engine_core',
        CORE + "TypeError: unsupported operand",
        LINES["vllm.core_ended"],
    ]
    found = recognise("gpuchat-vllm-demo", lines)
    assert (found.message.name, found.line) == ("core_ended", lines[2].strip())


def test_the_first_cause_of_a_program_that_ended_counts_and_the_last_one_of_nginx():
    assert recognise("gpuchat-vllm-demo", [LINES["vllm.heads"], LINES["vllm.no_cache"]]).message.name == "heads"
    assert recognise("gpuchat-edge", [LINES["nginx.body"], LINES["nginx.rate"]]).message.name == "rate"


def test_the_last_start_counts_before_the_one_that_went_before_it():
    starts = "INFO (APIServer pid=1) vLLM API server version 0.32.0"
    lines = [starts, LINES["vllm.heads"], starts, LINES["vllm.no_cache"]]
    assert recognise("gpuchat-vllm-demo", lines).message.name == "no_cache"
    assert recognise("gpuchat-vllm-demo", [*lines, starts, "INFO loading"]).message.name == "no_cache"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(["INFO a", "ValueError: odd", "INFO b"], "ValueError: odd", id="an error before the end"),
        pytest.param(["INFO a", "it stops here", " "], "it stops here", id="the last line otherwise"),
        pytest.param([], "", id="nothing of an empty log"),
    ],
)
def test_of_a_log_without_a_known_message_one_line_is_told(lines, said):
    assert last_words(lines) == said


def test_each_row_of_the_table_names_its_source():
    source = pathlib.Path(messages.__file__).read_text(encoding="utf-8")
    rows = re.findall(r"(.*)\n    Message\(\n", source)
    assert len(rows) == len(MESSAGES)
    assert all(row.startswith("    # ") for row in rows)
