# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option and variable that a message names exists."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins import module_utils, modules
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import playbooks
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.preflight import FORMER
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret.plan import SIGNING_KEY, TOKENS
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.wishes import READERS

ROOT = pathlib.Path(__file__).resolve().parents[2]
UTILS = pathlib.Path(module_utils.__path__[0])
LIBRARY = pathlib.Path(modules.__path__[0])
SPECIFICATIONS = sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))
ROLES = [path.parents[1].name for path in SPECIFICATIONS]
SECRETS = {*TOKENS, SIGNING_KEY}
CONFIG_JSON = {"model_max_length", "model_type", "model_index.json"}  # keys of a model's config.json, and files
OPENAIS_OWN = {"model_not_found", "model_ids"}  # the second is Open WebUI's
ANSIBLES_OWN = {"ansible_host", "ansible_python_interpreter"}
MODEL_KEYS = {"args", "context", "gpus", "path", "repo", "task", "users", "version"}  # of gpuchat_models
NO_NAMES = {"a", "an", "another", "by", "it", "its", "one", "the", "them", "in", "must", "no", "up", "what"}


def options_in(options):
    """Return the dotted names of options, suboptions among them."""
    found = {}
    for name, option in (options or {}).items():
        found[name] = name
        inner = option.get("options") or option.get("suboptions")
        found.update({f"{name}.{below}": below for below in options_in(inner)})
    return found


def literals(path):
    """Return each literal text of a file, docstrings and module documentation apart, f-strings as their fixed parts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").isupper() and path.parent == LIBRARY)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            docs.update(map(id, node.values))
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def module_options():
    names = set()
    for path in LIBRARY.glob("gpuchat_*.py"):
        documentation = re.search(
            r'^DOCUMENTATION = r"""(.*?)"""', path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
        found = options_in(yaml.safe_load(documentation.group(1))["options"])
        names |= {*found, *found.values()}
    return names


VARIABLES = set()
for specification in SPECIFICATIONS:
    VARIABLES |= set(
        options_in(
            next(iter(yaml.safe_load(specification.read_text(encoding="utf-8"))["argument_specs"].values()))["options"]
        )
    )
VARIABLES |= set(playbooks.OPTIONS)
WISHES = {
    *READERS,
    *MODEL_KEYS,
    "model_config",
    "weights_bytes",
}  # of one model's plan, which names the model before them
MODULES = {path.stem for path in LIBRARY.glob("gpuchat_*.py")}
OPTIONS = module_options() | WISHES
TOLD = [UTILS / "gpuchat" / "monitoring" / name for name in ("state.py", "edge_metrics.py")]
"""Files in which the metrics of our own programs have their names."""

METRICS = {text for path in TOLD for text in literals(path) if re.fullmatch("gpuchat_[a-z_]+", text)}
METRICS |= {f"{name}_{part}" for name in METRICS if name.endswith("_seconds") for part in ("bucket", "sum", "count")}
METRICS |= {"nginx_up", "nginx_connections_active"}  # of nginx-prometheus-exporter
PREFIXED = re.compile(rf"(?<![\w{{./-])(?:gpuchat|{'|'.join(ROLES)})_[a-z0-9_]+(?:\.[a-z_]+)?(?![\w-])")
SET = re.compile(r"\bset ([a-z][a-z0-9_]*(?:\.[a-z_]+)*)")
FILES = sorted([*UTILS.glob("gpuchat/**/*.py"), *LIBRARY.glob("gpuchat_*.py"), *ROOT.glob("action_plugins/*.py")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_variable_that_a_message_names_exists(path):
    named = {name for text in literals(path) for name in PREFIXED.findall(text)} - set(FORMER)
    assert sorted(named - VARIABLES - MODULES - SECRETS - OPTIONS - CONFIG_JSON - OPENAIS_OWN - METRICS) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_option_that_a_message_tells_to_set_exists(path):
    named = {name for text in literals(path) for name in SET.findall(text)}
    assert sorted(named - VARIABLES - OPTIONS - NO_NAMES - ANSIBLES_OWN) == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("roles/*/vars/main.yml")), ids=lambda path: path.parents[1].name)
def test_an_option_that_a_roles_own_message_tells_to_set_exists(path):
    named = set(SET.findall(path.read_text(encoding="utf-8")))
    assert sorted(named - VARIABLES - OPTIONS - NO_NAMES - ANSIBLES_OWN) == []


def test_the_search_for_names_finds_some():
    named = {
        name for path in FILES for text in literals(path) for name in [*PREFIXED.findall(text), *SET.findall(text)]
    }
    assert {"gpuchat_domain", "gpuchat_models", "edge_http_port", "dest", "key_url"} <= named
