# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana's dashboards, as plain data made from the metrics that the stack's versions of vLLM have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .alerts import CRITICAL, DISKS, WARNING
from .stack import Stack

SCHEMA = 39
"""Of Grafana 11; newer ones bring it up to theirs as they load it."""

COLUMNS, HEIGHT, STAT_HEIGHT = 24, 8, 4
RATE = "$__rate_interval"
DATASOURCE: Mapping[str, str] = {"type": "prometheus", "uid": "${datasource}"}
ENGINE = '{host=~"$host",model=~"$model"}'
HOST = '{host=~"$host"}'

GPU, ENGINES, EDGE, CLIENTS, CHAT = "gpu", "engines", "edge", "clients", "chat"
"""What must be there for a query to have data."""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        unit: as Grafana calls it (``s``, ``reqps``, ``percentunit``, ``bytes``).
        queries: each with its legend.
        needs: what must be there for data, beside a host.
        is_stat: whether it shows the last figure alone, as big as it gets.
        maximum: of its axis, where it has one.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    needs: str = ""
    is_stat: bool = False
    maximum: float | None = None
    description: str = ""


@dataclass(frozen=True)
class Query:
    """What a panel asks, with Grafana's variables in their places."""

    dashboard: str
    panel: str
    query: str
    needs: str


@dataclass(frozen=True)
class Variable:
    """One of a dashboard's variables: the values of a label of a metric."""

    name: str
    metric: str
    title: str


@dataclass(frozen=True)
class Board:
    uid: str
    title: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()


def dashboards(stack: Stack) -> tuple[dict[str, object], ...]:
    """Return the dashboards of the parts that there are, in the form of Grafana's files."""
    return tuple(_as_file(board, stack) for board in _boards(stack))


def queries(stack: Stack, interval: str = "5m") -> tuple[Query, ...]:
    """Return every panel's query as a Prometheus takes it: each variable holds everything."""
    return tuple(
        Query(board.uid, panel.title, substituted(query, interval), panel.needs)
        for board in _boards(stack)
        for panel in board.panels
        for query, _legend in panel.queries
    )


def substituted(query: str, interval: str = "5m") -> str:
    """Return a query with what Grafana would put for its variables when everything is chosen."""
    query = query.replace("$__rate_interval", interval).replace("$__range", interval)
    return re.sub(r"\$(host|model|client)\b", ".*", query)


def _boards(stack: Stack) -> Iterator[Board]:
    hosts = Variable("host", "up", "Host")
    yield Board("gpuchat-well", "gpuchat: is it well", tuple(_well(stack)))
    if stack.has_engines:
        chosen = (Variable("host", 'up{job="engine"}', "Host"), Variable("model", 'up{job="engine"}', "Model"))
        yield Board("gpuchat-engine", "gpuchat: engine", tuple(_engine(stack)), chosen)
    yield Board("gpuchat-host", "gpuchat: host", tuple(_host(stack)), (hosts,))
    if stack.has_edge:
        client = Variable("client", 'gpuchat_edge_requests_total{client!=""}', "Program")
        yield Board("gpuchat-clients", "gpuchat: programs", tuple(_clients()), (client,))


def _present(panels: Iterable[Panel]) -> Iterator[Panel]:
    """Leave out what no version can be asked, and panels without a query."""
    for panel in panels:
        kept = tuple((query, legend) for query, legend in panel.queries if query)
        if kept:
            yield Panel(panel.title, panel.unit, kept, panel.needs, panel.is_stat, panel.maximum, panel.description)


def _well(stack: Stack) -> Iterator[Panel]:
    firing = tuple(
        (f'count(ALERTS{{alertstate="firing",severity="{severity}"}}) or vector(0)', severity)
        for severity in (CRITICAL, WARNING)
    )
    yield Panel("Alerts that fire", "short", firing, is_stat=True)
    yield Panel("Hosts that answer", "short", (('count(up{job="node"} == 1) or vector(0)', "hosts"),), is_stat=True)
    if stack.has_engines:
        answering = 'count(up{job="engine"} == 1) or vector(0)'
        yield Panel("Engines that answer", "short", ((answering, "engines"),), ENGINES, is_stat=True)
        yield from _present(_engine_panels(stack, ""))
        yield from _gpu_panels("")
    if stack.has_edge:
        yield from _edge_panels()


def _engine(stack: Stack) -> Iterator[Panel]:
    yield from _present(_engine_panels(stack, ENGINE))
    yield from _present(_engine_details(stack))


def _by(query: str, *further: str) -> str:
    return f"sum by ({', '.join(('host', 'model', *further))}) ({query})" if query else ""


def _quantile(stack: Stack, name: str, share: float, selector: str) -> str:
    buckets = _by(stack.vllm(name, f"rate({{}}[{RATE}])", "_bucket", selector), "le")
    return f"histogram_quantile({share}, {buckets})" if buckets else ""


def _times(stack: Stack, name: str, selector: str, legend: str) -> tuple[tuple[str, str], ...]:
    return tuple((_quantile(stack, name, share, selector), f"{legend}, p{share * 100:g}") for share in (0.5, 0.95))


def _engine_panels(stack: Stack, selector: str) -> Iterator[Panel]:
    legend = "{{model}} on {{host}}"

    def rate(name: str, *further: str) -> str:
        return _by(stack.vllm(name, f"rate({{}}[{RATE}])", "", selector), *further)

    def gauge(name: str) -> str:
        return _by(stack.vllm(name, "{}", "", selector))

    ends = rate("request_success", "finished_reason")
    yield Panel("Requests that ended", "reqps", ((ends, f"{legend}, {{{{finished_reason}}}}"),), ENGINES)
    held = (
        (gauge("num_requests_running"), f"{legend}, running"),
        (gauge("num_requests_waiting"), f"{legend}, waiting"),
    )
    yield Panel("Requests that are held", "short", held, ENGINES)
    yield Panel(
        "Time to first token",
        "s",
        _times(stack, "time_to_first_token_seconds", selector, legend),
        ENGINES,
        description=f"The target is {stack.ttft_target_seconds:g} s for 95 of 100 (monitoring_ttft_target_seconds).",
    )
    tokens = (
        (rate("prompt_tokens"), f"{legend}, prompts"),
        (rate("generation_tokens"), f"{legend}, answers"),
    )
    yield Panel("Tokens per second", "short", tokens, ENGINES)
    used = stack.vllm("kv_cache_usage_perc", "{}", "", selector)
    share = f"avg by (host, model) ({used})" if used else ""
    yield Panel("KV cache in use", "percentunit", ((share, legend),), ENGINES, maximum=1)
    yield Panel("Preemptions per second", "short", ((rate("num_preemptions"), legend),), ENGINES)
    hits, asked = rate("prefix_cache_hits"), rate("prefix_cache_queries")
    hit = f"{hits} / {asked}" if hits and asked else ""
    yield Panel("Prompts found in the prefix cache", "percentunit", ((hit, legend),), ENGINES, maximum=1)


def _engine_details(stack: Stack) -> Iterator[Panel]:
    legend = "{{model}} on {{host}}"
    for title, name in (
        ("Time between two tokens", "inter_token_latency_seconds"),
        ("Time of a whole request", "e2e_request_latency_seconds"),
        ("Time in the queue", "request_queue_time_seconds"),
        ("Time for the prompt", "request_prefill_time_seconds"),
        ("Time for the answer", "request_decode_time_seconds"),
    ):
        yield Panel(title, "s", _times(stack, name, ENGINE, legend), ENGINES)
    for title, name in (
        ("Length of prompts in tokens", "request_prompt_tokens"),
        ("Length of answers in tokens", "request_generation_tokens"),
    ):
        yield Panel(title, "short", _times(stack, name, ENGINE, legend), ENGINES)
    steps = _by(stack.vllm("iteration_tokens_total", f"rate({{}}[{RATE}])", "_count", ENGINE))
    yield Panel("Steps per second", "short", ((steps, legend),), ENGINES)
    yield Panel("Answers to Prometheus", "short", ((f'up{{job="engine",{ENGINE[1:]}', legend),), ENGINES, maximum=1)


def _gpu_panels(selector: str) -> Iterator[Panel]:
    legend = "{{host}}, GPU {{gpu}}"
    busy = f"gpuchat_gpu_utilization_ratio{selector}"
    yield Panel("GPUs: busy", "percentunit", ((busy, legend),), GPU, maximum=1)
    memory = f"gpuchat_gpu_memory_used_bytes{selector} / gpuchat_gpu_memory_total_bytes{selector}"
    yield Panel("GPUs: memory in use", "percentunit", ((memory, legend),), GPU, maximum=1)
    yield Panel("GPUs: temperature", "celsius", ((f"gpuchat_gpu_temperature_celsius{selector}", legend),), GPU)
    yield Panel("GPUs: power", "watt", ((f"gpuchat_gpu_power_watts{selector}", legend),), GPU)


def _edge_panels() -> Iterator[Panel]:
    requests = f"rate(gpuchat_edge_requests_total[{RATE}])"
    yield Panel("Edge: requests", "reqps", ((f"sum by (host, kind) ({requests})", "{{kind}} at {{host}}"),), EDGE)
    fault = f'sum by (host, code) (rate(gpuchat_edge_requests_total{{code=~"[45].."}}[{RATE}]))'
    yield Panel("Edge: errors", "reqps", ((fault, "{{code}} at {{host}}"),), EDGE)
    first = f"sum by (kind, le) (rate(gpuchat_edge_first_byte_seconds_bucket[{RATE}]))"
    whole = f"sum by (kind, le) (rate(gpuchat_edge_request_seconds_bucket[{RATE}]))"
    for title, buckets in (("Edge: time to the first byte", first), ("Edge: time of a whole request", whole)):
        yield Panel(title, "s", ((f"histogram_quantile(0.95, {buckets})", "{{kind}}, p95"),), EDGE)


def _host(stack: Stack) -> Iterator[Panel]:
    idle = f'avg by (host) (rate(node_cpu_seconds_total{{mode="idle",{HOST[1:]}[{RATE}]))'
    yield Panel("Processors: busy", "percentunit", ((f"1 - {idle}", "{{host}}"),), maximum=1)
    yield Panel("Load", "short", ((f"node_load1{HOST}", "{{host}}"),))
    memory = f"1 - node_memory_MemAvailable_bytes{HOST} / node_memory_MemTotal_bytes{HOST}"
    yield Panel("Memory in use", "percentunit", ((memory, "{{host}}"),), maximum=1)
    disks = f"{{{DISKS},{HOST[1:]}"
    full = f"1 - node_filesystem_avail_bytes{disks} / node_filesystem_size_bytes{disks}"
    yield Panel("Disks: in use", "percentunit", ((full, "{{host}} {{mountpoint}}"),), maximum=1)
    for title, way in (("Disks: read", "read"), ("Disks: written", "written")):
        query = f"sum by (host, device) (rate(node_disk_{way}_bytes_total{HOST}[{RATE}]))"
        yield Panel(title, "Bps", ((query, "{{host}} {{device}}"),))
    devices = f'{{device!~"lo|veth.*|br-.*",{HOST[1:]}'
    ways = tuple(
        (
            f"sum by (host, device) (rate(node_network_{way}_bytes_total{devices}[{RATE}]))",
            f"{{{{host}}}} {{{{device}}}} {way}",
        )
        for way in ("receive", "transmit")
    )
    yield Panel("Network", "Bps", ways)
    clock = f"node_time_seconds{HOST} - timestamp(node_time_seconds{HOST})"
    yield Panel("Clock against the monitoring host", "s", ((clock, "{{host}}"),))
    if stack.has_engines:
        yield from _gpu_panels(HOST)
    yield Panel("Units that run", "short", ((f"gpuchat_unit_active{HOST}", "{{host}} {{unit}}"),), maximum=1)
    days = f"(gpuchat_certificate_expires_timestamp_seconds{HOST} - time()) / 86400"
    yield Panel("Certificates: days left", "short", ((days, "{{host}} {{file}}"),))
    yield Panel("Findings of the survey", "short", ((f"gpuchat_survey_findings{HOST}", "{{host}} {{severity}}"),))
    if stack.has_postgresql:
        connections = f"sum by (host, state) (pg_stat_activity_count{HOST})"
        yield Panel("PostgreSQL: connections", "short", ((connections, "{{host}} {{state}}"),), CHAT)
        commits = f"sum by (host, datname) (rate(pg_stat_database_xact_commit{HOST}[{RATE}]))"
        yield Panel("PostgreSQL: transactions", "short", ((commits, "{{host}} {{datname}}"),), CHAT)
    if stack.has_nginx:
        query = f"sum by (host) (nginx_connections_active{HOST})"
        yield Panel("nginx: connections", "short", ((query, "{{host}}"),), EDGE)
    if stack.has_backup:
        age = f"time() - gpuchat_backup_last_success_timestamp_seconds{HOST}"
        yield Panel("Age of the newest backup", "s", ((age, "{{host}}"),), "backup")


def _clients() -> Iterator[Panel]:
    chosen = '{client!="",client=~"$client"'
    requests = f"sum by (client) (rate(gpuchat_edge_requests_total{chosen}}}[{RATE}]))"
    yield Panel("Requests", "reqps", ((requests, "{{client}}"),), CLIENTS)
    codes = f"sum by (client, code) (rate(gpuchat_edge_requests_total{chosen}}}[{RATE}]))"
    yield Panel("Requests by status", "reqps", ((codes, "{{client}}, {{code}}"),), CLIENTS)
    failed = f'sum by (client) (rate(gpuchat_edge_requests_total{chosen},code=~"[45].."}}[{RATE}]))'
    yield Panel(
        "Share of errors",
        "percentunit",
        ((f"{failed} / {requests} or 0 * {requests}", "{{client}}"),),
        CLIENTS,
        maximum=1,
    )
    limited = f'sum by (client) (rate(gpuchat_edge_requests_total{chosen},code="429"}}[{RATE}])) or 0 * {requests}'
    yield Panel(
        "Refused by their limits",
        "reqps",
        ((limited, "{{client}}"),),
        CLIENTS,
        description="Status 429: rate and streams in gpuchat_api_keys say how much a program may ask.",
    )


def _as_file(board: Board, stack: Stack) -> dict[str, object]:
    return {
        "uid": board.uid,
        "title": board.title,
        "tags": ["gpuchat"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), *(_variable(one) for one in board.variables)]},
        "annotations": {"list": []},
        "links": [
            {
                "title": "gpuchat",
                "type": "dashboards",
                "tags": ["gpuchat"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "panels": _placed(board.panels, stack),
    }


def _datasource() -> dict[str, object]:
    return {"name": "datasource", "label": "Source", "type": "datasource", "query": "prometheus", "hide": 0}


def _variable(one: Variable) -> dict[str, object]:
    query = f"label_values({one.metric}, {one.name})"
    return {
        "name": one.name,
        "label": one.title,
        "type": "query",
        "datasource": dict(DATASOURCE),
        "query": {"query": query, "refId": one.name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _placed(panels: Sequence[Panel], stack: Stack) -> list[dict[str, object]]:
    """Lay the panels out from left to right: figures first, a row of eight, then plots, two in a row."""
    found: list[dict[str, object]] = []
    x = y = 0
    height = STAT_HEIGHT
    for number, panel in enumerate(panels):
        width = COLUMNS // 4 if panel.is_stat else COLUMNS // 2
        wanted = STAT_HEIGHT if panel.is_stat else HEIGHT
        if x and (x + width > COLUMNS or wanted != height):
            x, y = 0, y + height
        height = wanted
        place = {"x": x, "y": y, "w": width, "h": height}
        found.append(_panel(number + 1, panel, place, stack))
        x += width
        if x >= COLUMNS:
            x, y = 0, y + height
    return found


def _panel(number: int, panel: Panel, place: Mapping[str, int], stack: Stack) -> dict[str, object]:
    defaults: dict[str, object] = {"unit": panel.unit, "min": 0}
    if panel.title.startswith("Clock"):
        del defaults["min"]
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    options: dict[str, object] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    if panel.is_stat:
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value"}
    found: dict[str, object] = {
        "id": number,
        "title": panel.title,
        "type": "stat" if panel.is_stat else "timeseries",
        "datasource": dict(DATASOURCE),
        "gridPos": dict(place),
        "interval": f"{stack.scrape_seconds}s",
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + place_in_list),
                "datasource": dict(DATASOURCE),
                "editorMode": "code",
                "expr": query,
                "legendFormat": legend,
                "range": True,
            }
            for place_in_list, (query, legend) in enumerate(panel.queries)
        ],
    }
    if panel.description:
        found["description"] = panel.description
    return found
