# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host should be, by the inventory's variables and the roles' defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..docker.images import in_version
from .types import LOBEHUB, OBJECT_STORE, OPEN_WEBUI, Expected

VARIABLES = (
    *("gpuchat_accelerator", "gpuchat_supervisor", "firewall_state", "vllm_version", "vllm_image", "vllm_cpu_image"),
    *("gpuchat_interface", "lobehub_version", "lobehub_image", "open_webui_version", "open_webui_image"),
    *("object_store_version", "object_store_image", "watchdog_enabled", "docker_version", "docker_source"),
    *("nvidia_container_toolkit_version", "nvidia_driver_install", "nvidia_driver_branch", "backup_max_age_hours"),
    *("gpuchat_database", "gpuchat_object_store", "gpuchat_sso"),
)
ENGINE_IMAGES = ("vllm_image", "vllm_cpu_image")
IMAGES = {LOBEHUB: ("lobehub_image",), OPEN_WEBUI: ("open_webui_image",), OBJECT_STORE: ("object_store_image",)}
TRUE = ("true", "yes", "on", "1")
MODEL = ("name", "repo", "revision", "path")


def expect(
    name: str, groups: Sequence[str], given: Mapping[str, object], engines: Sequence[Mapping[str, object]]
) -> Expected:
    """Return what a host should be.

    Args:
        groups: of the inventory, in which the host is.
        given: the host's variables of the names above, with the roles' defaults for those that it does not set.
        engines: as the inventory's models have them.
    """
    versions = {
        "nvidia-container-toolkit": filled("nvidia_container_toolkit_version", given),
        "docker.io": filled("docker_version", given),
        "docker-ce": filled("docker_version", given),
        "NVIDIA's driver": f"{filled('nvidia_driver_branch', given)}." if given.get("nvidia_driver_install") else "",
    }
    return Expected(
        name=name,
        groups=tuple(one for one in groups if one not in ("all", "ungrouped")),
        images={
            **{str(one["container"]): _images(one, given) for one in engines},
            **{service: tuple(filled(one, given) for one in names) for service, names in IMAGES.items()},
        },
        engines={str(one["container"]): {key: str(one[key]) for key in MODEL if one.get(key)} for one in engines},
        versions={package: version for package, version in versions.items() if version},
        interface=str(given.get("gpuchat_interface") or ""),
        own_database=not given.get("gpuchat_database"),
        own_store=not given.get("gpuchat_object_store"),
        own_sign_in=not given.get("gpuchat_sso"),
        backup_hours=_number(given.get("backup_max_age_hours"), Expected.backup_hours),
        accelerator=str(given.get("gpuchat_accelerator") or "auto"),
        firewall=given.get("firewall_state") != "absent",
        supervisor=str(given.get("gpuchat_supervisor") or "compose"),
        watchdog=str(given.get("watchdog_enabled", True)).lower() in TRUE
        and any(one.get("serves", True) for one in engines),
    )


def _images(engine: Mapping[str, object], given: Mapping[str, object]) -> tuple[str, ...]:
    """Return the images of which an engine has one: its own, or the role's in its version."""
    if engine.get("image"):
        return (str(engine["image"]),)
    common, own = str(given.get("vllm_version") or ""), str(engine.get("version") or "")
    usual = [filled(one, given) for one in ENGINE_IMAGES]
    return tuple(in_version(one, common, own) or one for one in usual)


def _number(value: object, otherwise: float) -> float:
    """Return a number that an inventory has; one that is none is for the preflight to tell."""
    try:
        return float(str(value))
    except ValueError:
        return otherwise


def filled(name: str, given: Mapping[str, object]) -> str:
    """Return a variable with others in their places, as the roles' defaults name them: ``image:{{ version }}``."""
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: str(given.get(match[1], "")), str(given.get(name) or ""))
