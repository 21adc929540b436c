# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack as its monitoring sees it: what there is to be asked, and how its owner wants to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..core.errors import Refusal
from ..inventory import receivers
from ..inventory.metrics import EDGE_JOB, ENGINE_JOB, NGINX, POSTGRESQL, Target
from ..inventory.receivers import Receiver, Remote
from ..vllm import releases
from ..vllm.facts import versions as vllm_versions

OWN_JOBS = ("prometheus", "alertmanager")
"""What the monitoring host asks of itself, beside the targets."""

WINDOW_SCRAPES = 4
"""A rate needs two figures; so many fit into the shortest window, for one may be lost."""


@dataclass(frozen=True)
class Stack:
    """What is monitored, and by what.

    Attributes:
        host: the monitoring host, as the inventory calls it.
        targets: what Prometheus asks, itself and Alertmanager aside.
        versions: of vLLM, by the model's name; the newest that is known where a model is missing.
        clients: names of the programs that have a key of their own.
        name: of the stack, which alerts and figures bear when they leave the host.
        backup_max_age_hours: from which age on the newest backup is too old.
        remote_secrets: the names of those remotes that a secret belongs to.
        patience: what the time an alert waits for is multiplied by.
    """

    host: str = "localhost"
    targets: tuple[Target, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    clients: tuple[str, ...] = ()
    name: str = ""
    has_backup: bool = False
    backup_max_age_hours: int = 36
    receivers: tuple[Receiver, ...] = ()
    remotes: tuple[Remote, ...] = ()
    remote_secrets: tuple[str, ...] = ()
    prometheus_port: int = 9090
    alertmanager_port: int = 9093
    relay_port: int = 9095
    scrape_seconds: int = 15
    ttft_target_seconds: float = 5.0
    patience: float = 1.0
    retention_time: str = "30d"
    retention_size: str = "10GB"
    folder: str = "/etc/gpuchat/monitoring"
    prometheus_credentials: str = "/run/gpuchat-prometheus"
    alertmanager_credentials: str = "/run/gpuchat-alertmanager"
    server_name: str = "metrics.gpuchat.internal"

    def has(self, job: str) -> bool:
        """Whether a job has a target."""
        return any(target.job == job for target in self.targets)

    @property
    def has_engines(self) -> bool:
        return self.has(ENGINE_JOB)

    @property
    def has_edge(self) -> bool:
        return self.has(EDGE_JOB)

    @property
    def has_postgresql(self) -> bool:
        return self.has(POSTGRESQL)

    @property
    def has_nginx(self) -> bool:
        return self.has(NGINX)

    @property
    def engine_versions(self) -> tuple[str, ...]:
        """The versions of vLLM that there are, each once."""
        models = dict.fromkeys(target.model for target in self.targets if target.job == ENGINE_JOB)
        return tuple(dict.fromkeys(self.versions.get(model) or newest_version() for model in models))

    def window(self, seconds: float) -> str:
        """Return a time over which a rate is taken, as PromQL has it."""
        return duration(max(seconds * self.patience, WINDOW_SCRAPES * self.scrape_seconds))

    def pause(self, seconds: float) -> str:
        """Return a time that an alert waits for, as Prometheus has it."""
        return duration(seconds * self.patience)

    def vllm(self, name: str, around: str = "{}", suffix: str = "", selector: str = "") -> str:
        """Return a query of one of vLLM's metrics that holds for every version that there is.

        Args:
            name: as the newest version calls it, without ``vllm:`` and without the ``_total`` of counters.
            around: what is asked of it, such as ``rate({}[5m])``.
            suffix: of a histogram's series: ``_bucket``, ``_sum``, ``_count``.
            selector: labels, with their braces.

        Returns:
            The query; empty where no version has such a metric.
        """
        found: dict[str, None] = {}
        for version in self.engine_versions:
            try:
                found[releases.metric(name, version)] = None
            except Refusal:
                continue
        asked = [around.format(f"{one}{suffix}{selector}") for one in found]
        return asked[0] if len(asked) == 1 else f"({' or '.join(asked)})" if asked else ""


def newest_version() -> str:
    """Return the newest version of vLLM that the tables know."""
    return max(vllm_versions.RELEASES, key=releases.parse_version)


def duration(seconds: float) -> str:
    """Return a time as Prometheus has it, in its largest whole unit; what is shorter than a second is none."""
    whole = int(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def read(given: Mapping[str, object]) -> Stack:
    """Read plain data, which has the names of the attributes; what is missing keeps its default.

    ``targets``, ``receivers`` and ``remotes`` are lists of mappings, as the topology and the inventory have them.

    Raises:
        Refusal: a name that is unknown.
    """
    known = Stack.__dataclass_fields__
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise Refusal(f"found {unknown[0]} among what is known of a monitored stack; wanted {', '.join(sorted(known))}")
    values: dict[str, object] = dict(given)
    values["targets"] = tuple(
        Target(*(str(one.get(part) or "") for part in ("job", "host", "place", "path", "model")))
        for one in _mappings(given.get("targets"))
    )
    values["receivers"] = receivers.read(given.get("receivers") or ())
    values["remotes"] = receivers.read_remotes(given.get("remotes") or ())
    values["versions"] = {str(name): str(version) for name, version in _pairs(given.get("versions"))}
    for name in ("clients", "remote_secrets"):
        values[name] = tuple(map(str, given.get(name) or ()))  # type: ignore[call-overload]
    for name in ("backup_max_age_hours", "prometheus_port", "alertmanager_port", "relay_port", "scrape_seconds"):
        if name in given:
            values[name] = int(str(given[name]))
    for name in ("ttft_target_seconds", "patience"):
        if name in given:
            values[name] = float(str(given[name]))
    return Stack(**values)  # type: ignore[arg-type]


def _mappings(given: object) -> list[Mapping[str, object]]:
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, (list, tuple)) else []


def _pairs(given: object) -> list[tuple[object, object]]:
    return list(given.items()) if isinstance(given, Mapping) else []
