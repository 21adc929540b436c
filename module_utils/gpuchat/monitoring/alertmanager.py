# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of Alertmanager, as plain data, its arguments, and what the relay to robots is told."""

from __future__ import annotations

from ..inventory.receivers import MAIL, SLACK, Receiver
from ..inventory.topology import LOOPBACK
from .alerts import OF_WORK, SAME
from .stack import Stack, duration

CONFIGURATION, RELAY = "alertmanager.yml", "relay.json"
STORAGE = "/var/lib/gpuchat/alertmanager"
TLS_PORT = 465
"""At which Alertmanager speaks TLS from the first byte on (notify/email/email.go)."""

NOBODY = "nobody"
"""Where alerts go that no receiver wants; Alertmanager's API shows them all the same."""

GROUP_WAIT, GROUP_INTERVAL = 30, 300
REPEAT = {"critical": "4h", "warning": "24h"}
TITLE = "{{ .Status | toUpper }}: {{ .CommonLabels.alertname }}{{ with .CommonLabels.host }} on {{ . }}{{ end }}"
LINE = '| reReplaceAll "[<>[:cntrl:][:space:]]+" " " }}'
TEXT = (
    f"{{{{ range .Alerts }}}}[{{{{ .Labels.severity }}}}, {{{{ .Status }}}}] {{{{ .Annotations.summary {LINE}\n"
    f"{{{{ .Annotations.description {LINE}\nTo do: {{{{ .Annotations.runbook {LINE}\n\n{{{{ end }}}}"
)
"""What a host says of itself stands in it, and is to be no line of ours, nor a mark by which Slack calls people."""


def configuration(stack: Stack) -> dict[str, object]:
    """Return the configuration; JSON is YAML.

    A critical alert takes the place of the warning of the same; whatever else is wrong with a host that is down, or
    with an engine, is not told beside it, nor what work on a host that is out of rotation brings with it.
    """
    return {
        "route": {
            "receiver": NOBODY,
            "group_by": ["alertname", "host"],
            "group_wait": duration(max(1, GROUP_WAIT * stack.patience)),
            "group_interval": duration(max(5, GROUP_INTERVAL * stack.patience)),
            "repeat_interval": REPEAT["warning"],
            "routes": [route for one in stack.receivers for route in _routes(one)],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['severity="critical"'],
                "target_matchers": ['severity="warning"'],
                "equal": list(SAME),
            },
            {
                "source_matchers": ['alertname="HostDown"'],
                "target_matchers": ['alertname!~"HostDown|HostDrained"'],
                "equal": ["host"],
            },
            {
                "source_matchers": ['alertname=~"EngineDown|EngineHung"'],
                "target_matchers": ['alertname=~"QueueGrowing|KvCacheFull|FirstTokenSlow"'],
                "equal": ["host", "model"],
            },
            {
                "source_matchers": ['alertname="HostDrained"'],
                "target_matchers": [f'alertname=~"{"|".join(OF_WORK)}"'],
                "equal": ["host"],
            },
        ],
        "receivers": [{"name": NOBODY}, *(_receiver(stack, one) for one in stack.receivers)],
    }


def _routes(receiver: Receiver) -> list[dict[str, object]]:
    """Return one route for each severity that it is told of: what is critical is repeated sooner."""
    wanted = ("critical",) if receiver.severity == "critical" else ("critical", "warning")
    return [
        {
            "receiver": receiver.name,
            "matchers": [f'severity="{severity}"'],
            "repeat_interval": REPEAT[severity],
            "continue": True,
        }
        for severity in wanted
    ]


def _receiver(stack: Stack, receiver: Receiver) -> dict[str, object]:
    file = f"{stack.alertmanager_credentials}/receiver-{receiver.name}"
    if receiver.kind == MAIL:
        return {"name": receiver.name, "email_configs": [_mail(stack, receiver, to, file) for to in receiver.to]}
    if receiver.kind == SLACK:
        slack = {"send_resolved": True, "api_url_file": file, "title": TITLE, "text": TEXT}
        return {"name": receiver.name, "slack_configs": [slack]}
    webhook: dict[str, object] = {"send_resolved": True}
    if receiver.is_robot:
        webhook["url"] = f"http://{LOOPBACK}:{stack.relay_port}/{receiver.name}"
        # The relay is on this host; a proxy of the environment is not meant for it.
        webhook["http_config"] = {"follow_redirects": False}
    else:
        webhook["url_file"] = file
    return {"name": receiver.name, "webhook_configs": [webhook]}


def _mail(stack: Stack, receiver: Receiver, to: str, file: str) -> dict[str, object]:
    found: dict[str, object] = {
        "send_resolved": True,
        "to": to,
        "from": receiver.sender,
        "smarthost": receiver.server,
        "headers": {"Subject": TITLE},
        "html": "",
        "text": TEXT,
    }
    # At that port TLS comes first, and releases before 0.29 that are to insist on STARTTLS look for it within.
    if not receiver.tls or receiver.server.endswith(f":{TLS_PORT}"):
        found["require_tls"] = False
    if receiver.authority:
        found["tls_config"] = {"ca_file": f"{stack.folder}/{authority_file(receiver)}"}
    if receiver.username:
        found.update(auth_username=receiver.username, auth_password_file=file)
    return found


def authority_file(receiver: Receiver) -> str:
    """Return the name of the file with the certificate of who certified a receiver's server."""
    return f"authority-{receiver.name}.crt"


def authorities(stack: Stack) -> dict[str, str]:
    """Return the text of each such file by its name."""
    return {authority_file(one): f"{one.authority}\n" for one in stack.receivers if one.authority}


def relay(stack: Stack) -> dict[str, object]:
    """Return what the relay is told; empty where no robot is named."""
    robots = [{"path": f"/{one.name}", "name": one.name, "kind": one.kind} for one in stack.receivers if one.is_robot]
    return {"port": stack.relay_port, "robots": robots} if robots else {}


def arguments(stack: Stack) -> list[str]:
    """Return the program's arguments; it looks for no others of its kind, so it has no further port."""
    return [
        f"--config.file={stack.folder}/{CONFIGURATION}",
        f"--storage.path={STORAGE}",
        f"--web.listen-address={LOOPBACK}:{stack.alertmanager_port}",
        f"--web.external-url=http://{LOOPBACK}:{stack.alertmanager_port}/",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
