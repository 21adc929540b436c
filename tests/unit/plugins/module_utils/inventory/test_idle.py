# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set and not read, by the roles' own specifications."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import idle, preflight
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.given import (
    Inventory,
    Secret,
    Specification,
    describe,
)

ROOT = pathlib.Path(__file__).resolve().parents[5]
ROLES = [ROOT / "roles" / part / "meta" / "argument_specs.yml" for part in ("stack", *preflight.ALL_PARTS)]
SPECIFICATION = Specification(
    {
        path.parts[-3]: next(iter(yaml.safe_load(path.read_text())["argument_specs"].values())).get("options", {})
        for path in ROLES
        if path.exists()
    }
)
GOOD = {
    "gpuchat_domain": "chat.example.com",
    "gpuchat_allowed_networks": ["10.0.0.0/24"],
    "gpuchat_models": [{"name": "qwen", "path": "/srv/models/qwen"}],
}


def warnings(g, c):
    """Return what is told of two hosts, one with GPUs and one with the rest, each with variables of its own."""
    groups = {"all": ["g", "c"], "gpu": ["g"], "chat": ["c"], "edge": ["c"]}
    variables = {
        "g": {**GOOD, "gpuchat_private_address": "10.9.0.1", **g},
        "c": {**GOOD, "gpuchat_private_address": "10.9.0.2", **c},
    }
    found = preflight.find_faults(Inventory(groups, variables), SPECIFICATION)
    assert describe(found.faults, ("g", "c")) == ()
    return describe(found.warnings, ("g", "c"))


@pytest.mark.parametrize("need", idle.NEEDS, ids=lambda need: f"{need.by} for {need.beginnings[0]}")
def test_each_need_speaks_of_variables_and_values_that_there_are(need):
    assert need.by in SPECIFICATION.known
    choices = SPECIFICATION.options[need.by].get("choices") or [True, False]
    assert set(need.values) <= set(choices)
    for name in (*need.but, *need.beginnings):
        assert any(known.startswith(name) for known in SPECIFICATION.known), name


VENV = {"gpuchat_supervisor": "venv"}


@pytest.mark.parametrize(
    ("g", "c", "word"),
    [
        (VENV, {}, ""),
        ({**VENV, "vllm_packages": ["vllm==0.31.0"], "docker_version": "29.1.3"}, {"docker_version": "29.1.3"}, ""),
        (
            {**VENV, "docker_version": "29.1.3", "docker_data_root": "/data/docker"},
            {},
            (
                "gpuchat_supervisor is venv, so docker_data_root, docker_version have no effect; set "
                "gpuchat_supervisor to compose or systemd, or take them away"
            ),
        ),
        (
            {"uv_python": "/usr/bin/python3.12"},
            {},
            (
                "gpuchat_supervisor is compose, so uv_python has no effect; set gpuchat_supervisor to venv, or take it "
                "away"
            ),
        ),
        (
            {"docker_source": "present", "docker_version": "29.1.3"},
            {},
            (
                "docker_source is present, so docker_version has no effect; set docker_source to distribution or "
                "docker, or take it away"
            ),
        ),
        ({"nvidia_driver_reboot": True}, {}, ""),
        (
            {"nvidia_driver_branch": "570", "nvidia_driver_repository_url": "https://mirror.example.com/cuda"},
            {},
            (
                "nvidia_driver_install is false, so nvidia_driver_branch, nvidia_driver_repository_url have no effect; "
                "set nvidia_driver_install to true, or take them away"
            ),
        ),
        (
            {"nvidia_driver_install": True, "nvidia_driver_repository_url": "https://mirror.example.com/cuda"},
            {},
            (
                "nvidia_driver_source is distribution, so nvidia_driver_repository_url has no effect; set "
                "nvidia_driver_source to nvidia, or take it away"
            ),
        ),
        (
            {},
            {"backup_keep": {"daily": 3}},
            "backup_target is not set, so backup_keep has no effect; set backup_target, or take it away",
        ),
        ({}, {"backup_keep": {"daily": 3}, "backup_target": "/srv/backup"}, ""),
        (
            {},
            {"edge_acme_email": "me@example.com", "edge_acme_challenge": "dns"},
            (
                "edge_tls is auto, so edge_acme_challenge, edge_acme_email have no effect; set edge_tls to acme, or "
                "take them away"
            ),
        ),
        ({}, {"edge_https_port": 8443}, ""),
        (
            {},
            {"open_webui_admin": "x"},
            "open_webui_admin is no variable of a gpuchat role; did you mean open_webui_uid? (on c)",
        ),
    ],
)
def test_what_another_variable_leaves_aside_is_told_once_with_both_cures(g, c, word):
    assert warnings(g, c) == ((word,) if word else ())


@pytest.mark.parametrize("kind", ["email", "teams"])
def test_secrets_of_receivers_that_are_wrong_themselves_are_not_told_beside_them(kind):
    groups = {"all": ["g"], "gpu": ["g"], "chat": ["g"], "edge": ["g"], "monitoring": ["g"]}
    variables = {"g": {**GOOD, "monitoring_receivers": [{"name": "ops", "kind": kind}]}}
    secrets = {"g": {"monitoring_receiver_secrets": Secret("dict", names=["ops"])}}
    found = preflight.find_faults(Inventory(groups, variables, (), secrets), SPECIFICATION)
    (word,) = describe(found.faults, ("g",))
    assert word.startswith(f"monitoring_receivers[0].kind is '{kind}'; wanted one of mail, webhook")


def test_a_database_without_a_host_is_told_once():
    groups = {"all": ["g"], "gpu": ["g"], "chat": ["g"], "edge": ["g"]}
    database = {"host": "", "name": "chat", "user": "chat", "authority_file": "/ca.pem"}
    secrets = {"g": {"gpuchat_database_password": Secret("str")}}
    variables = {"g": {**GOOD, "gpuchat_database": database}}
    found = preflight.find_faults(Inventory(groups, variables, (), secrets), SPECIFICATION)
    assert describe(found.faults, ("g",)) == ("gpuchat_database has no host; wanted it; set gpuchat_database.host",)
