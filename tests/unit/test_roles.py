# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role's specification says, its defaults and its tasks do."""

from __future__ import annotations

import functools
import pathlib
import re
import urllib.parse

import jinja2
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import neighbours
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.preflight import (
    ALL_PARTS,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.secrets import (
    GIVEN_BY,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


@functools.cache
def read(*parts):
    path = ROOT.joinpath("roles", *parts)
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}


def options_of(role):
    return next(iter(read(role, "meta", "argument_specs.yml")["argument_specs"].values()))["options"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_a_specification(role):
    main = next(iter(read(role, "meta", "argument_specs.yml")["argument_specs"].values()))
    assert main["short_description"]
    assert all(option.get("description") for option in main["options"].values())


def test_the_parts_that_a_preflight_knows_are_the_roles():
    parts = sorted(set(ROLES) - {"stack"})
    assert sorted(ALL_PARTS) == parts
    assert read("stack", "vars", "main.yml")["_gpuchat_parts"] == parts


@pytest.mark.parametrize("role", ROLES)
def test_the_specification_and_the_defaults_name_the_same_variables(role):
    optional = {name for name, option in options_of(role).items() if not option.get("required")}
    assert set(read(role, "defaults", "main.yml")) == optional


@pytest.mark.parametrize("role", ROLES)
def test_the_specification_and_the_defaults_agree_in_each_value(role):
    specified = {name: option["default"] for name, option in options_of(role).items() if "default" in option}
    assert read(role, "defaults", "main.yml") == specified


@pytest.mark.parametrize("role", ROLES)
def test_a_required_variable_has_no_default(role):
    assert [name for name, option in options_of(role).items() if option.get("required") and "default" in option] == []


KINDS = {"str": str, "path": str, "int": int, "bool": bool, "list": list, "dict": dict, "float": (int, float)}


@pytest.mark.parametrize("role", ROLES)
def test_each_default_is_of_its_type_and_among_its_choices(role):
    for name, option in options_of(role).items():
        if "default" not in option:
            continue
        assert isinstance(option["default"], KINDS.get(option["type"], object)), name
        assert option["default"] in option.get("choices", [option["default"]]), name
        assert option["type"] != "list" or "elements" in option, name


@pytest.mark.parametrize("role", ROLES)
def test_ansible_accepts_the_defaults_under_the_specification(role):
    optional = {name: option for name, option in options_of(role).items() if not option.get("required")}
    assert ArgumentSpecValidator(optional).validate(read(role, "defaults", "main.yml")).error_messages == []


@pytest.mark.parametrize("role", ROLES)
def test_a_roles_variables_have_its_own_prefix(role):
    prefix = "gpuchat_" if role == "stack" else f"{role}_"
    assert [name for name in options_of(role) if not name.startswith(prefix)] == []
    internal = read(role, "vars", "main.yml")
    assert [name for name in internal if not name.startswith(f"_{prefix}")] == []


SECRET = ("key", "password", "token", "code")


@pytest.mark.parametrize("role", ROLES)
def test_a_variable_that_holds_a_secret_is_kept_out_of_logs(role):
    """A default that comes from the file of secrets, or a name that ends like one, is a secret."""
    for name, option in options_of(role).items():
        if "_gpuchat_secrets" in str(option.get("default", "")) or name.endswith(tuple(f"_{word}" for word in SECRET)):
            assert option.get("no_log") is True, name


@pytest.mark.parametrize("role", ROLES)
def test_a_secret_that_a_variable_may_give_is_never_taken_past_the_variable(role):
    files = [path for path in (ROOT / "roles" / role).rglob("*") if path.suffix in (".yml", ".j2")]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    for variable, secret in GIVEN_BY.items():
        taken = [line for line in lines if re.search(rf"_gpuchat_secrets\.{secret}\b", line)]
        defaults = read(role, "defaults", "main.yml")
        assert [line for line in taken if variable not in line and variable not in defaults] == []


@pytest.mark.parametrize("role", ROLES)
def test_a_specification_and_defaults_need_no_facts(role):
    text = str(options_of(role)) + str(read(role, "defaults", "main.yml"))
    assert "ansible_facts" not in text
    assert "ansible_distribution" not in text


@pytest.mark.parametrize("role", ROLES)
def test_each_task_has_a_tag_of_its_role_and_phase(role):
    phases = {f"{role}_{phase}" for phase in ("preflight", "install", "configure", "run")}
    tasks = ROOT / "roles" / role / "tasks" / "main.yml"
    for task in yaml.safe_load(tasks.read_text(encoding="utf-8")) if tasks.exists() else []:
        assert task["name"]
        tags = set(task.get("tags", [])) - {"always"}
        assert tags, task["name"]
        assert tags <= phases, task["name"]


@pytest.mark.parametrize("playbook", ["site.yml", "hosts.yml"])
def test_the_stacks_plays_leave_out_the_check_that_a_role_makes_alone(playbook):
    """But for the first play, which makes it for all of them."""
    plays = [play for play in yaml.safe_load((ROOT / playbook).read_text(encoding="utf-8")) if "hosts" in play]
    rest = [play for play in plays if play.get("tags") != "always"]
    assert rest
    assert [play["name"] for play in rest if play.get("vars", {}).get("__gpuchat_whole") is not True] == []


def test_a_release_that_does_not_serve_the_chat_is_told_before_its_hosts_get_anything():
    plays = yaml.safe_load((ROOT / "hosts.yml").read_text(encoding="utf-8"))
    roles = [task["ansible.builtin.import_role"] for play in plays if play["hosts"] != "gpu" for task in play["tasks"]]
    steps = [(role["name"], role.get("tasks_from", "main")) for role in roles]
    assert steps.index(("postgresql", "release")) < steps.index(("docker", "main"))
    (task,) = read("postgresql", "tasks", "release.yml")
    (real,) = [one for one in read("postgresql", "tasks", "packages.yml") if "gpuchat_packages" in one]
    assert (task["check_mode"], task["changed_when"], task["gpuchat_packages"]) == (
        True,
        False,
        real["gpuchat_packages"],
    )


@pytest.mark.parametrize("is_own", [True, False], ids=["the stack's own", "elsewhere"])
@pytest.mark.parametrize("role", ["lobehub", "open_webui"])
def test_a_password_of_the_database_stands_in_its_address_whatever_it_is_made_of(role, is_own):
    def rendered(name, **given):
        return jinja2.Environment(autoescape=False).from_string(told[name]).render(given)

    told, password = read(role, "vars", "main.yml"), "a/b+c=d@e:f?g#h%i{{j}}"
    secrets = {"_gpuchat_secrets": {f"postgresql_{role}_password": password}, "gpuchat_database_password": "other"}
    secrets |= {} if is_own else {"_gpuchat_secrets": {}, "gpuchat_database_password": password}
    chosen = rendered(f"_{role}_password", **{f"_{role}_database": {"is_own": is_own}}, **secrets)
    quoted = rendered(f"_{role}_password_in_url", **{f"_{role}_password": chosen})
    template = told[f"_{role}_secret_environment"]["DATABASE_URL"]
    neighbours_of_role = {"database_url": f"postgres://me:{neighbours.PASSWORD}@db.example.com:5432/chat"}
    given = {f"_{role}_neighbours": neighbours_of_role, f"_{role}_password_in_url": quoted}
    address = urllib.parse.urlsplit(jinja2.Environment(autoescape=False).from_string(template).render(given))
    assert (address.hostname, urllib.parse.unquote(address.password)) == ("db.example.com", password)


@pytest.mark.parametrize("role", ["lobehub", "open_webui"])
def test_an_interface_finds_its_rooms_certificate_where_it_is_told_that_it_is(role):
    volumes = read(role, "vars", "main.yml")[f"_{role}_volumes"]
    assert any(one.endswith(f"/room.crt:{neighbours.CERTIFICATE}:ro") for one in volumes)
