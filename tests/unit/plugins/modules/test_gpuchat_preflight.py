# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.preflight import (
    Findings,
    Inventory,
    Specification,
    describe,
    find_faults,
)
from ansible_collections.gpuchat.stack.plugins.modules import gpuchat_preflight

ROOT = pathlib.Path(__file__).resolve().parents[4]
ROLES = {
    path.parents[1].name: next(iter(yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values()))[
        "options"
    ]
    for path in ROOT.glob("roles/*/meta/argument_specs.yml")
}
GOOD = {
    "gpuchat_domain": "chat.example.com",
    "gpuchat_allowed_networks": ["10.0.0.0/24"],
    "gpuchat_model": {"name": "qwen", "path": "/srv/models/qwen"},
}
GROUPS = {"all": ["one"], "gpu": ["one"], "chat": ["one"], "edge": ["one"]}


def faults(**variables):
    given = {name: value for name, value in {**GOOD, **variables}.items() if value is not None}
    inventory, specification, findings = Inventory(GROUPS, {"one": given}), Specification(ROLES), Findings()
    gpuchat_preflight.check_types(inventory, specification, findings)
    return describe(findings.faults, ["one"])


def test_the_smallest_inventory_passes_the_roles_own_specifications():
    inventory = Inventory(GROUPS, {"one": GOOD})
    assert (faults(), find_faults(inventory, Specification(ROLES)).faults) == ((), {})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        pytest.param(
            {"gpuchat_domain": None}, "missing required arguments: gpuchat_domain", id="a required one is missing"
        ),
        pytest.param(
            {"gpuchat_model": {"path": "/x"}},
            "missing required arguments: name found in gpuchat_model",
            id="a part is missing",
        ),
        pytest.param(
            {"gpuchat_supervisor": "docker"},
            "value of gpuchat_supervisor must be one of: compose, systemd, got: docker",
            id="no choice",
        ),
        pytest.param({"edge_http_port": "http"}, "argument 'edge_http_port' is of type", id="no number"),
        pytest.param(
            {"gpuchat_model": {"name": "x", "path": "/x", "pth": 1}},
            "gpuchat_model.pth. Supported parameters",
            id="an unknown part",
        ),
    ],
)
def test_a_wrong_type_is_reported_before_any_role_runs(variables, message):
    (found,) = faults(**variables)
    assert message in found


def test_a_secrets_value_is_not_reported():
    assert not [
        text for text in faults(vllm_api_key={"hunter2": "hunter2"}, edge_api_key=["hunter2"]) if "hunter2" in text
    ]


def test_each_example_inventory_uses_known_variables_alone():
    known = Specification(ROLES)
    for path in sorted(ROOT.glob("inventories/*/*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        names = content.get("all", {}).get("vars", {})
        ours = {name for name in names if name.startswith((*known.prefixes, "gpuchat_"))}
        assert sorted(ours - known.known) == [], path
