# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of Prometheus, as plain data, and its arguments."""

from __future__ import annotations

from ..inventory.metrics import ENGINE_JOB, Target
from ..inventory.receivers import Remote
from ..inventory.topology import LOOPBACK
from .stack import Stack, duration

CONFIGURATION, RULES = "prometheus.yml", "rules.yml"
STORAGE = "/var/lib/gpuchat/prometheus"
LONGEST_SCRAPE = 10
"""Seconds; an engine that takes longer is in trouble."""
LIMITS: dict[str, object] = {
    "body_size_limit": "32MB",
    "sample_limit": 20_000,
    "label_limit": 100,
    "label_name_length_limit": 200,
    "label_value_length_limit": 2000,
    "honor_timestamps": False,
}
"""What a host may say at once: one in other hands is not to fill the memory of the one that asks, or date figures."""


def configuration(stack: Stack) -> dict[str, object]:
    """Return the configuration; JSON is YAML."""
    settings: dict[str, object] = {
        "scrape_interval": duration(stack.scrape_seconds),
        "scrape_timeout": duration(min(LONGEST_SCRAPE, stack.scrape_seconds)),
        "evaluation_interval": duration(stack.scrape_seconds),
    }
    if stack.name:
        settings["external_labels"] = {"stack": stack.name}
    found: dict[str, object] = {
        "global": settings,
        "rule_files": [RULES],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [f"{LOOPBACK}:{stack.alertmanager_port}"]}]}],
        },
        "scrape_configs": [
            _own(stack, "prometheus", stack.prometheus_port),
            _own(stack, "alertmanager", stack.alertmanager_port),
            *_jobs(stack),
        ],
    }
    if stack.remotes:
        found["remote_write"] = [_remote(stack, one) for one in stack.remotes]
    return found


def _own(stack: Stack, job: str, port: int) -> dict[str, object]:
    labels = {"host": stack.host, "instance": stack.host}
    return {"job_name": job, "static_configs": [{"targets": [f"{LOOPBACK}:{port}"], "labels": labels}]}


def _jobs(stack: Stack) -> list[dict[str, object]]:
    """Return one job for each path, whose targets bear the same job's name."""
    paths: dict[tuple[str, str], list[Target]] = {}
    for target in stack.targets:
        paths.setdefault((target.job, target.path), []).append(target)
    tls = {
        "ca_file": f"{stack.prometheus_credentials}/hosts.crt",
        "cert_file": f"{stack.prometheus_credentials}/host.crt",
        "key_file": f"{stack.prometheus_credentials}/host.key",
        "server_name": stack.server_name,
        "min_version": "TLS12",
    }
    return [
        {
            "job_name": job if job != ENGINE_JOB else f"{job}-{path.rpartition('/')[2]}",
            "scheme": "https",
            "metrics_path": path,
            "tls_config": tls,
            "follow_redirects": False,
            **LIMITS,
            "static_configs": [{"targets": [one.place], "labels": _labels(one)} for one in targets],
        }
        for (job, path), targets in paths.items()
    ]


def _labels(target: Target) -> dict[str, str]:
    # A target's own labels go before those that Prometheus would give it by the job's name and the target's address.
    labels = {"job": target.job, "host": target.host, "instance": target.host}
    return {**labels, "model": target.model} if target.model else labels


def _remote(stack: Stack, remote: Remote) -> dict[str, object]:
    found: dict[str, object] = {"name": remote.name, "url": remote.url}
    file = f"{stack.prometheus_credentials}/remote-{remote.name}"
    if remote.username:
        found["basic_auth"] = {"username": remote.username, "password_file": file}
    elif remote.name in stack.remote_secrets:
        found["authorization"] = {"type": "Bearer", "credentials_file": file}
    return found


def arguments(stack: Stack) -> list[str]:
    """Return the program's arguments."""
    return [
        f"--config.file={stack.folder}/{CONFIGURATION}",
        f"--storage.tsdb.path={STORAGE}",
        f"--storage.tsdb.retention.time={stack.retention_time}",
        f"--storage.tsdb.retention.size={stack.retention_size}",
        f"--web.listen-address={LOOPBACK}:{stack.prometheus_port}",
        f"--web.external-url=http://{LOOPBACK}:{stack.prometheus_port}/",
        # A pattern, by default of all: of sites whose pages may read it in a browser.
        "--web.cors.origin=none",
        "--log.level=warn",
    ]
