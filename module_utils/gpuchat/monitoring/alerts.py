# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerts, each with what to do, for the parts that a stack has; as plain data for Prometheus, and as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .stack import OWN_JOBS, Stack, duration

WARNING, CRITICAL = "warning", "critical"

SAME = ("alertname", "host", "model", "gpu", "mountpoint", "file", "unit")
"""Labels by which a warning is of the same as a critical alert."""

OF_WORK = (
    *("HostDown", "ExporterDown", "UnitDown", "EngineDown", "EngineHung", "GpuLost"),
    *("StateStale", "StateMissing"),
)
"""What is not told of a host that is out of rotation, for work on it brings that with it."""

OF_FEWER = ("QueueGrowing", "FirstTokenSlow", "KvCacheFull")
"""What other hosts may see while they answer for one that is worked on."""

OF_OUTAGE = ("EdgeErrors", "NginxDown", "PostgresqlDown")
"""What people see while nobody answers them."""

HOURS, DAYS = 3600, 86_400
MINUTES = 60

QUEUE = 5
KV_FULL = 0.95
DISK_LOW, DISK_FULL, INODES_LOW = 0.10, 0.03, 0.05
MEMORY_LOW = 0.05
GPU_HOT = 90
SKEW_SECONDS = 2
CERTIFICATE_DAYS, CERTIFICATE_LAST_DAYS, AUTHORITY_DAYS = 14, 3, 60
NO_SHORT_LIFE = 5
"""In the last fifth of its life, where that is shorter than these days, a certificate is soon at its end."""
EDGE_ERRORS, EDGE_DOWN = 0.05, 0.5
EDGE_TRAFFIC = 0.02
"""Requests a second below which a share says nothing."""
STATE_SECONDS = 300
CONNECTIONS_FULL = 0.8

ALL_OF_HOST = 'up{job!~"' + "|".join(OWN_JOBS) + '"}'
DISKS = 'fstype!~"tmpfs|ramfs|squashfs|iso9660|nsfs|efivarfs|fuse.*"'
AUTHORITIES = 'file=~".*(ca|hosts|people|authority)[.](crt|pem)"'
BRAKES = 'reason=~".*(thermal|slowdown|brake).*"'
"""Power that is capped at full load is not trouble; heat and failing power are."""

DOCTOR = "ansible-playbook playbooks/doctor.yml -i INVENTORY"
SITE = "ansible-playbook site.yml -i INVENTORY"
SURVEY = "python deploys/survey.py --inventory INVENTORY"
LOGS = "python deploys/collect_logs.py --inventory INVENTORY"


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        seconds: for how long it must be so.
        description: what is seen, with Prometheus' templates.
        runbook: what to do.
    """

    group: str
    name: str
    query: str
    seconds: float
    severity: str
    summary: str
    description: str
    runbook: str

    def as_rule(self, stack: Stack) -> dict[str, object]:
        rule: dict[str, object] = {"alert": self.name, "expr": self.query}
        if self.seconds * stack.patience >= 1:
            rule["for"] = stack.pause(self.seconds)
        rule["labels"] = {"severity": self.severity}
        rule["annotations"] = {"summary": self.summary, "description": self.description, "runbook": self.runbook}
        return rule


def alerts(stack: Stack) -> tuple[Alert, ...]:
    """Return the alerts of the parts that there are."""
    found = [*_hosts(stack), *_stack()]
    if stack.has_engines:
        found += [*_engines(stack), *_gpus(stack)]
    if stack.has_edge or stack.has_nginx:
        found += _edge(stack)
    if stack.has_postgresql:
        found += _postgresql()
    if stack.has_backup:
        found += _backup(stack)
    # Without its metric a version of vLLM cannot be asked.
    return (*(alert for alert in found if alert.query), *_own(stack))


def rules(stack: Stack) -> dict[str, object]:
    """Return the file of rules; JSON is YAML."""
    groups: dict[str, list[dict[str, object]]] = {}
    for alert in alerts(stack):
        groups.setdefault(alert.group, []).append(alert.as_rule(stack))
    return {"groups": [{"name": f"gpuchat-{name}", "rules": rules} for name, rules in groups.items()]}


def table(stack: Stack) -> list[str]:
    """Return the lines of a table in Markdown: alert, severity, after how long, what it means, what to do."""
    lines = ["| Alert | Severity | After | Means | Do |", "| --- | --- | --- | --- | --- |"]
    for alert in alerts(stack):
        cells = (alert.name, alert.severity, duration(alert.seconds), alert.summary, alert.runbook)
        lines.append(f"| {' | '.join(_plain(cell) for cell in cells)} |")
    return lines


def _plain(text: str) -> str:
    named = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: str(found[1]).upper(), text)
    return named.replace("|", "\\|")


def _hosts(stack: Stack) -> Iterator[Alert]:
    everything_down = f"max by (host) ({ALL_OF_HOST}) == 0"
    yield Alert(
        "hosts",
        "HostDown",
        everything_down,
        2 * MINUTES,
        CRITICAL,
        "{{ $labels.host }} does not answer",
        "Nothing answers at its metrics door: the host, its network or gpuchat-door.service is down.",
        f"Reach it by ssh; then {DOCTOR} says the first cause.",
    )
    yield Alert(
        "hosts",
        "ExporterDown",
        f'up{{job!~"engine|{"|".join(OWN_JOBS)}"}} == 0 unless on (host) ({everything_down})',
        5 * MINUTES,
        WARNING,
        "The {{ $labels.job }} metrics of {{ $labels.host }} are missing",
        "The host answers, and its {{ $labels.job }} exporter does not: what it watches goes unseen.",
        f"On the host: journalctl -u 'gpuchat-*' and systemctl --failed; {SITE} --tags exporters puts it back.",
    )
    yield Alert(
        "hosts",
        "HostDrained",
        # While it is down for the work, it says nothing.
        f"last_over_time(gpuchat_host_drained[{stack.window(6 * HOURS)}]) == 1",
        0,
        WARNING,
        "{{ $labels.host }} is out of rotation",
        "Somebody has taken it out for work on it; until it is back, what stands still there is not told.",
        "When the work is done: python deploys/drain.py --inventory INVENTORY {{ $labels.host }} --back.",
    )
    state = Alert(
        "hosts",
        "StateStale",
        f"time() - gpuchat_state_timestamp_seconds > {STATE_SECONDS}",
        2 * MINUTES,
        WARNING,
        "gpuchat-state on {{ $labels.host }} does not end",
        "It ended last {{ $value | humanizeDuration }} ago: GPUs, certificates, backups and units there go unseen.",
        "On the host: journalctl -u gpuchat-state.service -n 50; then systemctl start gpuchat-state.service.",
    )
    yield state
    yield replace(
        state,
        name="StateMissing",
        query='(up{job="node"} == 1) unless on (host) gpuchat_state_timestamp_seconds',
        seconds=5 * MINUTES,
        summary="gpuchat-state on {{ $labels.host }} has never ended",
        description="The host answers without a figure of gpuchat-state: GPUs, certificates and backups go unseen.",
    )
    yield Alert(
        "hosts",
        "ClockOff",
        f"abs(node_time_seconds - timestamp(node_time_seconds)) > {SKEW_SECONDS}",
        5 * MINUTES,
        WARNING,
        "The clock of {{ $labels.host }} is off",
        "It differs by {{ $value | humanizeDuration }} from the monitoring host's: certificates and sessions fail.",
        "On the host: timedatectl; set up its time service (systemd-timesyncd or chrony), which gpuchat leaves to you.",
    )
    yield Alert(
        "hosts",
        "ClockUnsynchronised",
        f"max_over_time(node_timex_sync_status[{stack.window(5 * MINUTES)}]) == 0"
        " and node_timex_maxerror_seconds >= 16",
        30 * MINUTES,
        WARNING,
        "No time service keeps the clock of {{ $labels.host }}",
        "The kernel calls its clock unsynchronised, and its error may have grown beyond 16 s.",
        "On the host: timedatectl; set up its time service (systemd-timesyncd or chrony), which gpuchat leaves to you.",
    )
    yield from _disks(stack)
    yield Alert(
        "hosts",
        "MemoryLow",
        f"node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < {MEMORY_LOW}",
        10 * MINUTES,
        WARNING,
        "{{ $labels.host }} is short of memory",
        "{{ $value | humanizePercentage }} of its memory can be had.",
        f"{LOGS} --limit HOST shows what takes it; fewer conversations (gpuchat_users) or a smaller context take less.",
    )
    yield Alert(
        "hosts",
        "OutOfMemory",
        f"increase(node_vmstat_oom_kill[{stack.window(10 * MINUTES)}]) > 0",
        0,
        WARNING,
        "{{ $labels.host }} ran out of memory, and its kernel ended a process",
        "{{ $value | humanize }} processes were ended for want of memory.",
        "On the host: journalctl -k -g oom names them; give it memory, or take from it what else runs there.",
    )


def _disks(stack: Stack) -> Iterator[Alert]:
    ratio = f"node_filesystem_avail_bytes{{{DISKS}}} / node_filesystem_size_bytes{{{DISKS}}}"
    writable = f"node_filesystem_readonly{{{DISKS}}} == 0"
    full = Alert(
        "hosts",
        "DiskFull",
        f"{ratio} < {DISK_FULL} and {writable}",
        2 * MINUTES,
        CRITICAL,
        "{{ $labels.mountpoint }} on {{ $labels.host }} is full",
        "{{ $value | humanizePercentage }} of {{ $labels.mountpoint }} is free.",
        "On the host: du -xh --max-depth=2 {{ $labels.mountpoint }} | sort -h | tail; docker image prune (Podman: "
        "podman image prune) takes images that nothing uses; models that the inventory no longer names lie "
        "under /srv/models.",
    )
    yield full
    yield replace(full, query=f"{ratio} < {DISK_LOW} and {writable}", seconds=15 * MINUTES, severity=WARNING)
    yield replace(
        full,
        name="DiskFilling",
        query=(
            f"predict_linear(node_filesystem_avail_bytes{{{DISKS}}}[{stack.window(6 * HOURS)}], {DAYS}) < 0"
            f" and {ratio} < 0.4 and {writable}"
        ),
        seconds=HOURS,
        severity=WARNING,
        summary="{{ $labels.mountpoint }} on {{ $labels.host }} will be full within a day",
        description="At the pace of the last six hours nothing is left of {{ $labels.mountpoint }} in 24 hours.",
    )
    yield replace(
        full,
        name="InodesLow",
        query=(
            f"node_filesystem_files_free{{{DISKS}}} / node_filesystem_files{{{DISKS}}} < {INODES_LOW} and {writable}"
        ),
        seconds=15 * MINUTES,
        severity=WARNING,
        summary="{{ $labels.mountpoint }} on {{ $labels.host }} can hold hardly any further file",
        description="{{ $value | humanizePercentage }} of the inodes of {{ $labels.mountpoint }} are free.",
    )


def _stack() -> Iterator[Alert]:
    yield Alert(
        "stack",
        "UnitDown",
        "gpuchat_unit_active == 0",
        2 * MINUTES,
        CRITICAL,
        "{{ $labels.unit }} on {{ $labels.host }} does not run",
        "A part of the stack that the last run left running does not run.",
        f"On the host: journalctl -u {{{{ $labels.unit }}}} -n 50; {DOCTOR} knows its messages; {SITE} starts it.",
    )
    yield Alert(
        "stack",
        "SurveyFinding",
        'gpuchat_survey_findings{severity="fault"} > 0',
        15 * MINUTES,
        WARNING,
        "{{ $labels.host }} is not as the last run left it",
        "The survey finds {{ $value }} faults there: files, images, models, units or the packet filter were changed.",
        f"{SURVEY} names each with what to do.",
    )
    left = "(gpuchat_certificate_expires_timestamp_seconds - time())"
    days = f"{left} / 86400"
    # One of a few days, or hours, is renewed late, as its directory wants it.
    young = f"{left} >= gpuchat_certificate_lifetime_seconds / {NO_SHORT_LIFE}"
    ending = Alert(
        "stack",
        "CertificateEnding",
        f"{days} < {CERTIFICATE_LAST_DAYS} unless {young}",
        10 * MINUTES,
        CRITICAL,
        "{{ $labels.file }} on {{ $labels.host }} is about to end",
        "It ends in {{ $value | humanize }} days; whoever asks by it is refused from then on.",
        f"{SITE} renews the stack's own from 60 days before their end; one of yours: set edge_certificate_file to the "
        "new one and run it; ACME: ansible-playbook playbooks/renew.yml -i INVENTORY says why it was not renewed.",
    )
    yield ending
    yield replace(ending, query=f"{days} < {CERTIFICATE_DAYS} unless {young}", seconds=HOURS, severity=WARNING)
    yield replace(
        ending,
        name="AuthorityEnding",
        query=f"(gpuchat_certificate_expires_timestamp_seconds{{{AUTHORITIES}}} - time()) / 86400 < {AUTHORITY_DAYS}",
        seconds=HOURS,
        severity=WARNING,
        summary="The certificate authority {{ $labels.file }} on {{ $labels.host }} is about to end",
        description="It ends in {{ $value | humanize }} days, and with it every certificate that it signed.",
        runbook="ansible-playbook playbooks/rotate.yml -i INVENTORY -e rotate=hosts_authority for hosts.crt; for "
        "ca.crt rotate=authority, and people import the new one; people.crt is yours.",
    )


def _engines(stack: Stack) -> Iterator[Alert]:
    window = stack.window(5 * MINUTES)
    yield Alert(
        "engines",
        "EngineDown",
        'up{job="engine"} == 0',
        2 * MINUTES,
        CRITICAL,
        "{{ $labels.model }} on {{ $labels.host }} does not answer",
        "The engine does not say its metrics: it is stopped, starting, or hangs.",
        f"{DOCTOR} names the cause; {LOGS} --limit {{{{ $labels.host }}}} collects its log.",
    )
    running = stack.vllm("num_requests_running", f"min_over_time({{}}[{window}])")
    steps = stack.vllm("iteration_tokens_total", f"increase({{}}[{window}])", "_count")
    yield Alert(
        "engines",
        "EngineHung",
        f"{running} > 0 and {steps} == 0" if running and steps else "",
        MINUTES,
        CRITICAL,
        "{{ $labels.model }} on {{ $labels.host }} hangs",
        "It holds requests, and has made no step for minutes.",
        f"{LOGS} --limit {{{{ $labels.host }}}} first; then python deploys/restart.py --inventory INVENTORY --limit "
        "{{ $labels.host }} SERVICE, whose name the survey shows. The watchdog does so by itself unless it is off.",
    )
    waiting = stack.vllm("num_requests_waiting", f"min_over_time({{}}[{window}])")
    yield Alert(
        "engines",
        "QueueGrowing",
        f"sum by (host, model) ({waiting}) > {QUEUE}" if waiting else "",
        5 * MINUTES,
        WARNING,
        "Requests queue up at {{ $labels.model }} on {{ $labels.host }}",
        "For minutes there were never fewer than {{ $value }} that waited.",
        "ansible-playbook playbooks/load.yml -i INVENTORY says what it can do; add a host to the group gpu, or limit "
        "programs by rate and streams in gpuchat_api_keys.",
    )
    used = stack.vllm("kv_cache_usage_perc", f"avg_over_time({{}}[{window}])")
    preempted = stack.vllm("num_preemptions", f"rate({{}}[{window}])")
    yield Alert(
        "engines",
        "KvCacheFull",
        f"{used} > {KV_FULL} and {preempted} > 0" if used and preempted else "",
        5 * MINUTES,
        WARNING,
        "The KV cache of {{ $labels.model }} on {{ $labels.host }} is full",
        "{{ $value | humanizePercentage }} is in use, and requests are put back that had begun.",
        "ansible-playbook playbooks/plan.yml -i INVENTORY shows what fits; fewer gpuchat_users, a smaller "
        "gpuchat_context, or a further GPU.",
    )
    target = f"{stack.ttft_target_seconds:g}"
    first = stack.vllm("time_to_first_token_seconds", f"rate({{}}[{window}])", "_bucket")
    yield Alert(
        "engines",
        "FirstTokenSlow",
        f"histogram_quantile(0.95, sum by (host, model, le) ({first})) > {target}" if first else "",
        10 * MINUTES,
        WARNING,
        "{{ $labels.model }} on {{ $labels.host }} takes long until it begins to answer",
        f"One answer in twenty begins after {{{{ $value | humanize }}}} s; wanted {target} s "
        "(monitoring_ttft_target_seconds).",
        "The dashboard gpuchat-engine shows whether requests wait (too many) or prompts are long; "
        "ansible-playbook playbooks/load.yml -i INVENTORY compares with the plan's estimate.",
    )


def _gpus(stack: Stack) -> Iterator[Alert]:
    yield Alert(
        "gpus",
        "GpuLost",
        "gpuchat_gpus_seen < gpuchat_gpus_wanted or (gpuchat_gpus_wanted > 0 unless gpuchat_gpus_seen)",
        2 * MINUTES,
        CRITICAL,
        "A GPU of {{ $labels.host }} is gone",
        "Fewer are seen than the plan uses, or the driver does not answer at all.",
        "On the host: nvidia-smi and journalctl -k -g NVRM; XID 79 (fallen off the bus) needs a restart of the host, "
        f"and often comes of power or a riser; then {DOCTOR}.",
    )
    yield Alert(
        "gpus",
        "GpuXid",
        f"increase(gpuchat_gpu_xid_total[{stack.window(15 * MINUTES)}]) > 0",
        0,
        WARNING,
        "The driver of {{ $labels.host }} reports an error of a GPU (XID)",
        "The kernel's log has new lines with NVRM: Xid.",
        f"On the host: journalctl -k -g Xid; then {DOCTOR}. 13, 31 and 43 come of programs, 48, 63, 64, 74, 79, 94 and "
        "95 of the card.",
    )
    yield Alert(
        "gpus",
        "GpuMemoryErrors",
        f"increase(gpuchat_gpu_ecc_uncorrected_total[{stack.window(HOURS)}]) > 0",
        0,
        CRITICAL,
        "GPU {{ $labels.gpu }} of {{ $labels.host }} has memory errors that ECC could not correct",
        "Answers may be wrong, and engines end.",
        "On the host: nvidia-smi -q -d ECC,ROW_REMAPPER; restart the host; replace a card that has them again.",
    )
    yield Alert(
        "gpus",
        "GpuThrottled",
        f"max by (host, gpu, reason) (gpuchat_gpu_throttled{{{BRAKES}}}) == 1",
        10 * MINUTES,
        WARNING,
        "GPU {{ $labels.gpu }} of {{ $labels.host }} is slowed down",
        "Its driver says {{ $labels.reason }}: it is too hot, or its power fails.",
        "Look at fans, air and power cables; nvidia-smi -q -d TEMPERATURE,PERFORMANCE says more.",
    )
    yield Alert(
        "gpus",
        "GpuHot",
        f"gpuchat_gpu_temperature_celsius > {GPU_HOT}",
        5 * MINUTES,
        WARNING,
        "GPU {{ $labels.gpu }} of {{ $labels.host }} is hot",
        "It has {{ $value }} degrees.",
        "Look at fans and air; nvidia-smi -pl WATTS lowers what it may take.",
    )


def _edge(stack: Stack) -> Iterator[Alert]:
    if stack.has_nginx:
        yield Alert(
            "edge",
            "NginxDown",
            "nginx_up == 0",
            MINUTES,
            CRITICAL,
            "nginx on {{ $labels.host }} does not answer",
            "People reach nothing by this edge.",
            f"On the host: journalctl -u gpuchat-edge -n 50; then {SITE} --tags edge.",
        )
    if not stack.has_edge:
        return
    window = stack.window(5 * MINUTES)
    every = f"sum by (host) (rate(gpuchat_edge_requests_total[{window}]))"
    share = f'sum by (host) (rate(gpuchat_edge_requests_total{{code=~"5.."}}[{window}])) / {every}'
    down = Alert(
        "edge",
        "EdgeErrors",
        f"{share} > {EDGE_DOWN} and {every} > {EDGE_TRAFFIC}",
        MINUTES,
        CRITICAL,
        "People get errors at the edge {{ $labels.host }}",
        "{{ $value | humanizePercentage }} of all requests end with a status of 500 or above.",
        f"{DOCTOR} asks every part behind the edge, and names the first that does not answer.",
    )
    yield down
    yield replace(
        down, query=f"{share} > {EDGE_ERRORS} and {every} > {EDGE_TRAFFIC}", seconds=5 * MINUTES, severity=WARNING
    )


def _postgresql() -> Iterator[Alert]:
    yield Alert(
        "chat",
        "PostgresqlDown",
        "pg_up == 0",
        MINUTES,
        CRITICAL,
        "PostgreSQL on {{ $labels.host }} does not answer",
        "Nobody can sign in, and no conversation is kept.",
        f"On the host: journalctl -u gpuchat-postgresql -n 50; then {DOCTOR}.",
    )
    yield Alert(
        "chat",
        "PostgresqlConnections",
        f"sum by (host) (pg_stat_activity_count) / max by (host) (pg_settings_max_connections) > {CONNECTIONS_FULL}",
        5 * MINUTES,
        WARNING,
        "PostgreSQL on {{ $labels.host }} is short of connections",
        "{{ $value | humanizePercentage }} of max_connections are in use.",
        "On the host: SELECT state, count(*) FROM pg_stat_activity GROUP BY 1; a restart of the chat frees the rest.",
    )


def _backup(stack: Stack) -> Iterator[Alert]:
    run = "ansible-playbook playbooks/backup.yml -i INVENTORY makes one now; on the host: journalctl -u gpuchat-backup."
    yield Alert(
        "backup",
        "BackupOld",
        f"time() - (gpuchat_backup_last_success_timestamp_seconds > 0) > {stack.backup_max_age_hours * HOURS}",
        10 * MINUTES,
        CRITICAL,
        "The newest backup of {{ $labels.host }} is too old",
        f"It was made {{{{ $value | humanizeDuration }}}} ago; wanted at most {stack.backup_max_age_hours} hours "
        "(backup_max_age_hours).",
        run,
    )
    yield Alert(
        "backup",
        "BackupMissing",
        "gpuchat_backup_last_success_timestamp_seconds == 0 or absent(gpuchat_backup_last_success_timestamp_seconds)",
        stack.backup_max_age_hours * HOURS,
        CRITICAL,
        "There is no backup",
        "Backups are asked for, and none was ever made, or gpuchat-state does not see it.",
        run,
    )
    yield Alert(
        "backup",
        "BackupDrillFailed",
        "gpuchat_backup_drill_ok == 0",
        0,
        CRITICAL,
        "The backup of {{ $labels.host }} could not be brought back in its drill",
        "What would be restored from the newest backup is not whole.",
        "ansible-playbook playbooks/restore_drill.yml -i INVENTORY says what differs; make a new backup by "
        "playbooks/backup.yml and try again.",
    )


def _own(stack: Stack) -> Iterator[Alert]:
    """Return the alerts about the monitoring itself; those about Alertmanager are seen in Prometheus alone."""
    window = stack.window(5 * MINUTES)
    journal = "On the monitoring host: journalctl -u gpuchat-prometheus -u gpuchat-alertmanager -n 50"
    base = Alert("monitoring", "", "", 5 * MINUTES, WARNING, "", "", f"{journal}; then {SITE} --tags monitoring.")
    yield replace(
        base,
        name="AlertmanagerDown",
        query='up{job="alertmanager"} == 0',
        severity=CRITICAL,
        summary="Alertmanager does not answer: nobody is told of alerts",
        description="Prometheus goes on, and shows alerts under /alerts.",
    )
    yield replace(
        base,
        name="NotificationsFailing",
        query=f"rate(alertmanager_notifications_failed_total[{window}]) > 0",
        summary="Alerts do not reach their receivers by {{ $labels.integration }}",
        description="Alertmanager tries again and fails.",
        runbook=f"{journal}; look at monitoring_receivers and their secrets, at names and proxies.",
    )
    yield replace(
        base,
        name="ConfigurationRefused",
        query=("prometheus_config_last_reload_successful == 0 or alertmanager_config_last_reload_successful == 0"),
        summary="The {{ $labels.job }} on {{ $labels.host }} goes on with its former configuration",
        description="It has refused what the last run wrote, or what somebody changed since.",
    )
    yield replace(
        base,
        name="RulesFailing",
        query=f"sum by (host) (increase(prometheus_rule_evaluation_failures_total[{window}])) > 0",
        summary="Prometheus cannot evaluate rules: alerts may not come",
        description="{{ $value | humanize }} evaluations failed.",
    )
    yield replace(
        base,
        name="AlertsDropped",
        query=f"rate(prometheus_notifications_dropped_total[{window}]) > 0",
        summary="Prometheus cannot hand alerts to Alertmanager",
        description="Alerts were dropped on the way.",
    )
    yield replace(
        base,
        name="StorageFailing",
        query=(
            f"increase(prometheus_tsdb_compactions_failed_total[{stack.window(3 * HOURS)}]) > 0"
            f" or increase(prometheus_tsdb_wal_corruptions_total[{stack.window(3 * HOURS)}]) > 0"
        ),
        seconds=0,
        summary="Prometheus cannot keep its figures",
        description="Its database on the monitoring host fails to be written.",
        runbook=f"{journal}; look at the disk under /var/lib/gpuchat/prometheus.",
    )
    if stack.remotes:
        yield replace(
            base,
            name="RemoteWriteFailing",
            query=f"rate(prometheus_remote_storage_samples_failed_total[{window}]) > 0"
            f" or rate(prometheus_remote_storage_samples_dropped_total[{window}]) > 0",
            summary="Figures do not reach {{ $labels.remote_name }}",
            description="{{ $value | humanize }} a second are refused or dropped.",
            runbook=f"{journal}; look at monitoring_remote_write and its secrets.",
        )
