# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each alert does, in the form that ``promtool test rules rule_tests.yml`` runs: figures in, alerts out."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.metrics import Target
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.receivers import Remote
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import alerts
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring.stack import Stack

WHOLE = Stack(
    host="front",
    name="chat.example.com",
    targets=(
        Target("node", "front", "127.0.0.1:9400", "/metrics/node"),
        Target("postgresql", "front", "127.0.0.1:9400", "/metrics/postgresql"),
        Target("nginx", "front", "127.0.0.1:9400", "/metrics/nginx"),
        Target("edge", "front", "127.0.0.1:9400", "/metrics/edge"),
        Target("node", "gpu1", "10.0.0.2:9400", "/metrics/node"),
        Target("engine", "gpu1", "10.0.0.2:9400", "/metrics/engine/qwen3-8b", "qwen3-8b"),
        Target("engine", "gpu1", "10.0.0.2:9400", "/metrics/engine/old", "old"),
    ),
    versions={"qwen3-8b": "0.32.0", "old": "0.9.1"},
    clients=("kim",),
    has_backup=True,
    remotes=(Remote("central", "https://metrics.example.com/api/v1/write"),),
)
"""A stack that has every part, and an engine whose metrics bear their former names."""

NODE = 'host="gpu1",instance="gpu1",job="node"'
ENGINE = 'host="gpu1",instance="gpu1",job="engine",model="qwen3-8b"'
VLLM = f'{ENGINE},engine="0",model_name="qwen3-8b"'
OLD = 'host="gpu1",instance="gpu1",job="engine",model="old",engine="0",model_name="old"'
EDGE = 'host="front",instance="front",job="edge"'
ITSELF = 'host="front",instance="front",job="prometheus"'
TELLER = 'host="front",instance="front",job="alertmanager"'
ENDS = f'gpuchat_certificate_expires_timestamp_seconds{{{{{NODE},file="/etc/gpuchat/{{}}"}}}}'
LASTS = f'gpuchat_certificate_lifetime_seconds{{{{{NODE},file="/etc/gpuchat/{{}}"}}}}'
DISK = f'{NODE},mountpoint="/srv",device="/dev/sda1",fstype="ext4"'


@dataclass(frozen=True)
class Case:
    """One course of events.

    Attributes:
        name: says what is tested.
        alert: the alert that it is about.
        severity: of those that may be told, the one that is looked for.
        series: each series with its figures, a minute apart, as promtool takes them (``0+1x5``, ``_`` for none).
        fires: the minute at which it is told.
        quiet: minutes at which it is not.
    """

    name: str
    alert: str
    severity: str
    series: dict[str, str]
    fires: int | None
    quiet: tuple[int, ...] = ()


def both(labels: str, first: str, second: str) -> dict[str, str]:
    """Return what a filesystem says of its room, and that it can be written to."""
    return {
        f"node_filesystem_avail_bytes{{{labels}}}": first,
        f"node_filesystem_size_bytes{{{labels}}}": second,
        f"node_filesystem_readonly{{{labels}}}": "0x3000",
    }


CASES = (
    Case(
        "a host of which nothing answers is down, and well again when one part answers",
        "HostDown",
        "critical",
        {f"up{{{NODE}}}": "1 1 0x5 1x20", f"up{{{ENGINE}}}": "1 1 0x5 1x20"},
        5,
        (1, 3, 9),
    ),
    Case(
        "a host whose engine alone is gone is not down",
        "HostDown",
        "critical",
        {f"up{{{NODE}}}": "1x20", f"up{{{ENGINE}}}": "0x20"},
        None,
        (10,),
    ),
    Case(
        "an exporter that does not answer on a host that does is missing",
        "ExporterDown",
        "warning",
        {f"up{{{NODE}}}": "1 0x9 1x20", f"up{{{ENGINE}}}": "1x40"},
        8,
        (2, 12),
    ),
    Case(
        "an exporter of a host that is down is not told beside it",
        "ExporterDown",
        "warning",
        {f"up{{{NODE}}}": "0x20", f"up{{{ENGINE}}}": "0x20"},
        None,
        (10, 19),
    ),
    Case(
        "a host that somebody has taken out of rotation is told until it is back, also while it is away",
        "HostDrained",
        "warning",
        {f"gpuchat_host_drained{{{NODE}}}": "0x3 1x9 stale _x60 0x9"},
        40,
        (1, 80),
    ),
    Case(
        "figures of gpuchat-state that stand still are stale",
        "StateStale",
        "warning",
        {f"gpuchat_state_timestamp_seconds{{{NODE}}}": "0x20 1260+60x10"},
        10,
        (4, 25),
    ),
    Case(
        "a host that has never said its state lacks it",
        "StateMissing",
        "warning",
        {f"up{{{NODE}}}": "1x20", f"gpuchat_state_timestamp_seconds{{{NODE}}}": "_x9 540+60x10"},
        8,
        (3, 12),
    ),
    Case(
        "a clock that differs from the monitoring host's is off",
        "ClockOff",
        "warning",
        {f"node_time_seconds{{{NODE}}}": "10+60x10 660+60x10"},
        8,
        (2, 15),
    ),
    Case(
        "a clock that nothing keeps is told after half an hour",
        "ClockUnsynchronised",
        "warning",
        {f"node_timex_sync_status{{{NODE}}}": "0x50 1x20", f"node_timex_maxerror_seconds{{{NODE}}}": "16x70"},
        40,
        (20, 55),
    ),
    Case(
        "a disk with two of a hundred bytes left is full",
        "DiskFull",
        "critical",
        both(DISK, "50 2x8 50x10", "100x30"),
        5,
        (1, 12),
    ),
    Case(
        "a disk with eight of a hundred bytes left is nearly full",
        "DiskFull",
        "warning",
        both(DISK, "8x30 50x10", "100x50"),
        20,
        (5, 35),
    ),
    Case(
        "a disk that is read only is not called full",
        "DiskFull",
        "critical",
        {**both(DISK, "0x30", "100x30"), f"node_filesystem_readonly{{{DISK}}}": "1x30"},
        None,
        (10, 20),
    ),
    Case(
        "a disk that loses a thousandth of its room each minute will be full within a day",
        "DiskFilling",
        "warning",
        both(DISK, "390-1x150 239x500", "1000x700"),
        120,
        (30, 640),
    ),
    Case(
        "a disk without inodes",
        "InodesLow",
        "warning",
        {
            f"node_filesystem_files_free{{{DISK}}}": "1x30 90x10",
            f"node_filesystem_files{{{DISK}}}": "100x50",
            f"node_filesystem_readonly{{{DISK}}}": "0x50",
        },
        20,
        (5, 35),
    ),
    Case(
        "a host without memory",
        "MemoryLow",
        "warning",
        {f"node_memory_MemAvailable_bytes{{{NODE}}}": "1x20 50x9", f"node_memory_MemTotal_bytes{{{NODE}}}": "100x40"},
        15,
        (5, 25),
    ),
    Case(
        "a process that the kernel ended for want of memory is told for ten minutes",
        "OutOfMemory",
        "warning",
        {f"node_vmstat_oom_kill{{{NODE}}}": "3x5 4x30"},
        8,
        (4, 20),
    ),
    Case(
        "a unit of the stack that does not run",
        "UnitDown",
        "critical",
        {f'gpuchat_unit_active{{{NODE},unit="gpuchat-vllm-qwen3-8b.service"}}': "1 0x5 1x9"},
        4,
        (1, 9),
    ),
    Case(
        "what the survey finds to be wrong is told after a quarter of an hour",
        "SurveyFinding",
        "warning",
        {f'gpuchat_survey_findings{{{NODE},severity="fault"}}': "2x20 0x9"},
        17,
        (10, 25),
    ),
    Case(
        "what the survey only warns of is not told",
        "SurveyFinding",
        "warning",
        {f'gpuchat_survey_findings{{{NODE},severity="warning"}}': "2x40"},
        None,
        (30,),
    ),
    Case(
        "a certificate with two days left",
        "CertificateEnding",
        "critical",
        {ENDS.format("edge/tls.crt"): "172800x20 9000000x9"},
        12,
        (5, 25),
    ),
    Case(
        "a certificate of a day that is renewed in time is told by no severity",
        "CertificateEnding",
        "critical",
        {ENDS.format("edge/acme.pem"): "86400x600", LASTS.format("edge/acme.pem"): "86400x600"},
        None,
        (20, 90, 500),
    ),
    Case(
        "a certificate of a day that nobody renews",
        "CertificateEnding",
        "critical",
        {ENDS.format("edge/acme.pem"): "86400x1500", LASTS.format("edge/acme.pem"): "86400x1500"},
        1400,
        (20, 600),
    ),
    Case(
        "a certificate with ten days left",
        "CertificateEnding",
        "warning",
        {ENDS.format("edge/tls.crt"): "864000x80 9000000x9"},
        70,
        (30, 85),
    ),
    Case(
        "an authority with fifty days left",
        "AuthorityEnding",
        "warning",
        {ENDS.format("door/hosts.crt"): "4320000x80"},
        70,
        (30,),
    ),
    Case(
        "a certificate with fifty days left is no authority",
        "AuthorityEnding",
        "warning",
        {ENDS.format("door/host.crt"): "4320000x80"},
        None,
        (70,),
    ),
    Case(
        "an engine that does not answer",
        "EngineDown",
        "critical",
        {f"up{{{ENGINE}}}": "1 0x5 1x9"},
        4,
        (1, 9),
    ),
    Case(
        "an engine that holds requests and makes no step hangs",
        "EngineHung",
        "critical",
        {
            f"vllm:num_requests_running{{{VLLM}}}": "3x30",
            f"vllm:iteration_tokens_total_count{{{VLLM}}}": "0+9x5 45x10 54+9x9",
        },
        13,
        (4, 20),
    ),
    Case(
        "an engine without requests does not hang",
        "EngineHung",
        "critical",
        {f"vllm:num_requests_running{{{VLLM}}}": "0x30", f"vllm:iteration_tokens_total_count{{{VLLM}}}": "9x30"},
        None,
        (20,),
    ),
    Case(
        "a queue that is never empty",
        "QueueGrowing",
        "warning",
        {f"vllm:num_requests_waiting{{{VLLM}}}": "0x3 9x15 0x9"},
        15,
        (5, 22),
    ),
    Case(
        "a full KV cache whose requests are put back",
        "KvCacheFull",
        "warning",
        {
            f"vllm:kv_cache_usage_perc{{{VLLM}}}": "0.99x20 0.2x9",
            f"vllm:num_preemptions_total{{{VLLM}}}": "0+5x20 100x9",
        },
        12,
        (3, 27),
    ),
    Case(
        "a full KV cache without preemptions is well used",
        "KvCacheFull",
        "warning",
        {f"vllm:kv_cache_usage_perc{{{VLLM}}}": "0.99x20", f"vllm:num_preemptions_total{{{VLLM}}}": "7x20"},
        None,
        (15,),
    ),
    Case(
        "a full KV cache of a version that calls it by its former name",
        "KvCacheFull",
        "warning",
        {
            f"vllm:gpu_cache_usage_perc{{{OLD}}}": "0.99x20 0.2x9",
            f"vllm:num_preemptions_total{{{OLD}}}": "0+5x20 100x9",
        },
        12,
        (3, 27),
    ),
    Case(
        "answers that begin after ten seconds",
        "FirstTokenSlow",
        "warning",
        {
            f'vllm:time_to_first_token_seconds_bucket{{{VLLM},le="5.0"}}': "0x40",
            f'vllm:time_to_first_token_seconds_bucket{{{VLLM},le="10.0"}}': "0+9x20 180x20",
            f'vllm:time_to_first_token_seconds_bucket{{{VLLM},le="+Inf"}}': "0+9x20 180x20",
        },
        18,
        (5, 30),
    ),
    Case(
        "a GPU that the plan uses and nobody sees",
        "GpuLost",
        "critical",
        {f"gpuchat_gpus_seen{{{NODE}}}": "8 7x5 8x9", f"gpuchat_gpus_wanted{{{NODE}}}": "8x20"},
        3,
        (0, 9),
    ),
    Case(
        "a driver that does not answer at all has lost its GPUs",
        "GpuLost",
        "critical",
        {f"gpuchat_gpus_seen{{{NODE}}}": "8 stale _x5 8x9", f"gpuchat_gpus_wanted{{{NODE}}}": "8x20"},
        4,
        (0, 9),
    ),
    Case(
        "a new XID is told for a quarter of an hour",
        "GpuXid",
        "warning",
        {f"gpuchat_gpu_xid_total{{{NODE}}}": "0x3 1x40"},
        5,
        (2, 25),
    ),
    Case(
        "memory errors that could not be corrected are told for an hour",
        "GpuMemoryErrors",
        "critical",
        {f'gpuchat_gpu_ecc_uncorrected_total{{{NODE},gpu="0"}}': "2x3 3x99"},
        5,
        (2, 80),
    ),
    Case(
        "a GPU that is slowed down by its heat",
        "GpuThrottled",
        "warning",
        {f'gpuchat_gpu_throttled{{{NODE},gpu="0",reason="hardware_thermal"}}': "1x15 0x9"},
        12,
        (5, 20),
    ),
    Case(
        "a GPU at its power cap works as it should",
        "GpuThrottled",
        "warning",
        {f'gpuchat_gpu_throttled{{{NODE},gpu="0",reason="power_cap"}}': "1x30"},
        None,
        (20,),
    ),
    Case(
        "a GPU of 95 degrees",
        "GpuHot",
        "warning",
        {f'gpuchat_gpu_temperature_celsius{{{NODE},gpu="0"}}': "95x8 60x9"},
        7,
        (2, 12),
    ),
    Case(
        "an nginx that does not answer its exporter",
        "NginxDown",
        "critical",
        {'nginx_up{host="front",instance="front",job="nginx"}': "1 0x5 1x9"},
        3,
        (0, 9),
    ),
    Case(
        "most requests end with an error",
        "EdgeErrors",
        "critical",
        {
            f'gpuchat_edge_requests_total{{{EDGE},kind="chat",code="502",client=""}}': "0+30x10 300x20",
            f'gpuchat_edge_requests_total{{{EDGE},kind="chat",code="200",client=""}}': "0+10x30",
        },
        5,
        (0, 20),
    ),
    Case(
        "one request in five ends with an error",
        "EdgeErrors",
        "warning",
        {
            f'gpuchat_edge_requests_total{{{EDGE},kind="api",code="500",client="kim"}}': "0+10x15 150x20",
            f'gpuchat_edge_requests_total{{{EDGE},kind="chat",code="200",client=""}}': "0+40x40",
        },
        10,
        (3, 25),
    ),
    Case(
        "what programs do wrong is no error of the edge",
        "EdgeErrors",
        "warning",
        {f'gpuchat_edge_requests_total{{{EDGE},kind="api",code="429",client="kim"}}': "0+40x30"},
        None,
        (20,),
    ),
    Case(
        "a PostgreSQL that does not answer its exporter",
        "PostgresqlDown",
        "critical",
        {'pg_up{host="front",instance="front",job="postgresql"}': "1 0x5 1x9"},
        3,
        (0, 9),
    ),
    Case(
        "nine of ten connections are in use",
        "PostgresqlConnections",
        "warning",
        {
            'pg_stat_activity_count{host="front",job="postgresql",datname="lobehub",state="idle"}': "90x9 10x9",
            'pg_settings_max_connections{host="front",job="postgresql",server="a"}': "100x30",
        },
        7,
        (2, 12),
    ),
    Case(
        "the newest backup is two days old",
        "BackupOld",
        "critical",
        {'gpuchat_backup_last_success_timestamp_seconds{host="front",job="node"}': "1x2200 132000x9"},
        2180,
        (2000, 2205),
    ),
    Case(
        "no backup was ever made",
        "BackupMissing",
        "critical",
        {'gpuchat_backup_last_success_timestamp_seconds{host="front",job="node"}': "_x2200 132000x30"},
        2170,
        (100, 2210),
    ),
    Case(
        "a backup that is still to be made for the first time is not too old",
        "BackupOld",
        "critical",
        {'gpuchat_backup_last_success_timestamp_seconds{host="front",job="node"}': "0x2200"},
        None,
        (2190,),
    ),
    Case(
        "the first backup was not made within the time in which each next one is wanted",
        "BackupMissing",
        "critical",
        {'gpuchat_backup_last_success_timestamp_seconds{host="front",job="node"}': "0x2200 132000x30"},
        2170,
        (100, 2210),
    ),
    Case(
        "a drill that failed is told at once",
        "BackupDrillFailed",
        "critical",
        {'gpuchat_backup_drill_ok{host="front",job="node"}': "1 0x3 1x9"},
        2,
        (0, 7),
    ),
    Case(
        "an Alertmanager that does not answer",
        "AlertmanagerDown",
        "critical",
        {f"up{{{TELLER}}}": "1 0x8 1x9"},
        7,
        (2, 12),
    ),
    Case(
        "alerts that do not reach their receivers",
        "NotificationsFailing",
        "warning",
        {f'alertmanager_notifications_failed_total{{{TELLER},integration="email"}}': "0+3x15 45x20"},
        10,
        (3, 25),
    ),
    Case(
        "an Alertmanager that refused its configuration",
        "ConfigurationRefused",
        "warning",
        {f"alertmanager_config_last_reload_successful{{{TELLER}}}": "0x8 1x9"},
        7,
        (2, 12),
    ),
    Case(
        "rules that cannot be evaluated",
        "RulesFailing",
        "warning",
        {f'prometheus_rule_evaluation_failures_total{{{ITSELF},rule_group="a"}}': "0+1x15 15x20"},
        10,
        (3, 25),
    ),
    Case(
        "alerts that were dropped on the way",
        "AlertsDropped",
        "warning",
        {f"prometheus_notifications_dropped_total{{{ITSELF}}}": "0+1x15 15x20"},
        10,
        (3, 25),
    ),
    Case(
        "a database that cannot be compacted",
        "StorageFailing",
        "warning",
        {f"prometheus_tsdb_compactions_failed_total{{{ITSELF}}}": "0x5 1x300"},
        8,
        (4, 250),
    ),
    Case(
        "figures that a remote refuses",
        "RemoteWriteFailing",
        "warning",
        {f'prometheus_remote_storage_samples_failed_total{{{ITSELF},remote_name="central"}}': "0+1x15 15x20"},
        10,
        (3, 25),
    ),
)


def files(stack: Stack = WHOLE) -> dict[str, str]:
    """Return rules.yml of a stack that has every part, and rule_tests.yml, which tests them."""
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [_test(case, stack) for case in CASES],
    }
    return {"rules.yml": json.dumps(alerts.rules(stack), indent=1), "rule_tests.yml": json.dumps(tests, indent=1)}


def _test(case: Case, stack: Stack) -> dict[str, object]:
    """Return a test in promtool's form, which counts the alerts of a name and a severity that fire."""
    assert any(alert.name == case.alert and alert.severity == case.severity for alert in alerts.alerts(stack))
    told = f'count(ALERTS{{alertname="{case.alert}",severity="{case.severity}",alertstate="firing"}})'
    fires = [] if case.fires is None else [_asked(told, case.fires, [{"labels": "{}", "value": 1}])]
    return {
        "name": f"{case.alert}: {case.name}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [*fires, *(_asked(told, minute, []) for minute in case.quiet)],
    }


def _asked(query: str, minute: int, found: list[dict[str, object]]) -> dict[str, object]:
    return {"expr": query, "eval_time": f"{minute}m", "exp_samples": found}
