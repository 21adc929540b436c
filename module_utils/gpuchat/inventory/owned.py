# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of engines that a role sets by a variable of its own, or does not let be set."""

from __future__ import annotations

from collections.abc import Mapping

from .given import Findings

OWNED: Mapping[str, Mapping[str, str]] = {
    "vllm_args": {
        "port": "gpuchat_vllm_port",
        "model": "gpuchat_models.path",
        "served-model-name": "gpuchat_models.name",
        "api-key": "gpuchat_vllm_engine_key",
    },
    "vllm_environment": {
        "VLLM_API_KEY": "gpuchat_vllm_engine_key",
        "CUDA_VISIBLE_DEVICES": "gpuchat_models.gpus",
        "NVIDIA_VISIBLE_DEVICES": "gpuchat_models.gpus",
    },
    "backup_environment": {
        "RESTIC_REPOSITORY": "backup_target",
        **dict.fromkeys(
            (f"RESTIC_PASSWORD{one}" for one in ("", "_COMMAND", "_FILE")),
            "backup_password",
        ),
    },
}
"""What a role sets by a variable of its own."""

CLOSED: Mapping[str, Mapping[str, str]] = {
    "vllm_args": {
        "uds": "the engine's door asks it at a socket of the role's",
        "host": "it listens on a socket, and its door where the inventory says",
        "grpc": "that listens beside the door, without a key",
        "grpc-port": "that listens beside the door, without a key",
        "headless": "it would answer nobody",
        "nnodes": "an engine stands on several hosts where its model in gpuchat_models has span: true",
        "node-rank": "the role counts the hosts of a model with span: true",
        "master-addr": "the first host of a model with span: true leads the others",
        "master-port": "gpuchat_span_port is that port",
        "data-parallel-multi-port-external-lb": "that listens beside the door, without a key",
        **dict.fromkeys(
            (f"data-parallel-{name}" for name in ("rank", "start-rank", "address", "external-lb", "hybrid-lb")),
            "the engine would wait for others, which no role starts",
        ),
        "config": "the role writes that file from vllm_args",
        "ssl-keyfile": "the edge speaks TLS",
        "ssl-certfile": "the edge speaks TLS",
        "root-path": "the edge and the chat reach the engine at its root",
        "allow-credentials": "the edge alone answers browsers",
        "allowed-origins": "the edge alone answers browsers",
    },
    "vllm_environment": {
        "VLLM_HOST_IP": "the engine's processes talk there without asking who is there, and the role says where",
    },
}
"""What a role does not let be set, and why."""


def check(variables: Mapping[str, object], findings: Findings, host: str) -> None:
    """Find options of all engines of a host that are not the user's to set."""
    for name in OWNED:
        check_in(name, name, variables.get(name), findings, host)


def check_in(name: str, kind: str, value: object, findings: Findings, host: str) -> None:
    """Find the same in one mapping.

    Args:
        name: what messages call it.
        kind: ``vllm_args`` or ``vllm_environment``.
    """
    for key in value if isinstance(value, Mapping) else ():
        plain = str(key).lstrip("-").replace("_", "-").lower() if kind == "vllm_args" else str(key)
        variable, why = OWNED[kind].get(plain), CLOSED.get(kind, {}).get(plain)
        if variable:
            findings.fault(
                f"{name} holds {key}, which the role sets; wanted it in its own variable; set {variable}", host
            )
        elif why:
            findings.fault(f"{name} holds {key}; wanted it not to be set, for {why}; take it out of {name}", host)
