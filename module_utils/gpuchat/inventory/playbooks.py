# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of playbooks, in the form of a role's argument specification; names begin as their playbooks' do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .types import show

OR = " or "
"""Between the names of variables of which a playbook needs one."""

CONFIRM, DOMAIN = "restore_confirm", "gpuchat_domain"
EXAMPLES = {
    "account_email": "ada@example.com",
    "history_email": "ann@example.com",
    "history_file": "LobeChat-config.json",
}

OPTIONS: Mapping[str, Mapping[str, object]] = {
    "account_administrator": {
        "type": "bool",
        "default": False,
        "description": "Whether the new person administers the interface.",
    },
    "account_email": {"type": "str", "description": "The address with which the new person signs in."},
    "account_name": {"type": "str", "description": "What the interface calls the new person."},
    "doctor_fail": {
        "type": "str",
        "choices": ["never", "fault", "warning"],
        "default": "fault",
        "description": "From which finding on the playbook ends as a failure.",
    },
    "history_email": {"type": "str", "description": "The address of the person whose history is imported."},
    "history_file": {"type": "path", "description": "A file of the control node, as LobeChat 1 exports it."},
    "keys_client": {"type": "str", "description": "The program for which files with its key are written."},
    "load_answer_tokens": {"type": "int", "default": 128, "description": "Tokens of each answer."},
    "load_model": {"type": "str", "description": "The model that is asked; the first that chats where it is not set."},
    "load_prompt_tokens": {"type": "int", "default": 256, "description": "Tokens of each question."},
    "load_seconds": {"type": "int", "description": "How long it asks, in seconds."},
    "load_shared_prefix": {
        "type": "bool",
        "default": False,
        "description": "Whether all questions begin alike, as those of one system prompt do.",
    },
    "load_trace": {"type": "path", "description": "A file with the requests of a day to ask in place of made ones."},
    "load_users": {"type": "int", "default": 4, "description": "How many ask at once."},
    "plan_fail": {
        "type": "str",
        "choices": ["never", "refused", "unfit"],
        "default": "refused",
        "description": "Which verdict ends as a failure.",
    },
    "plan_folder": {"type": "path", "description": "Where the plan's page and table are written."},
    "plan_gpus": {
        "type": "list",
        "elements": "dict",
        "description": "GPUs to plan for in place of those of the host; C(site.yml) plans for them too.",
    },
    "remove_confirm": {"type": "str", "description": "C(yes), without which nothing is removed."},
    "remove_data": {"type": "bool", "default": False, "description": "Whether people's data goes too."},
    "remove_host": {"type": "str", "description": "The one host that leaves the stack."},
    "remove_packages": {
        "type": "bool",
        "default": True,
        "description": "Whether packages go that the stack installed and nothing else needs.",
    },
    "restore_confirm": {"type": "str", "description": "The stack's domain, without which nothing is restored."},
    "restore_snapshot": {"type": "str", "default": "latest", "description": "Which backup is restored."},
    "restore_stack_folder": {
        "type": "path",
        "description": "Where the control node's own folder is restored to, and nothing else is.",
    },
    "upgrade_drain_seconds": {
        "type": "int",
        "default": 120,
        "description": "How long answers under way may take, in seconds, before an engine is started anew.",
    },
    "upgrade_silence_seconds": {
        "type": "int",
        "default": 3600,
        "description": "How long alerts of what an upgrade brings are silent at most, in seconds on each host.",
    },
}

PLAYBOOKS = {"history": "import_history"}
"""Playbooks that are not named as their variables begin."""


def playbook_of(variable: str) -> str:
    """Return the name of the playbook that reads a variable."""
    prefix = variable.partition("_")[0]
    return PLAYBOOKS.get(prefix, prefix)


def faults(needed: Sequence[str], variables: Mapping[str, object]) -> Iterator[str]:
    """Say what a playbook is not given without which it has nothing to do, before any host is asked.

    Args:
        needed: names of variables, or several with ``or`` between them, of which one will do.
        variables: as the playbook has them.
    """
    for words in needed:
        names = words.split(OR)
        if not any(variables.get(name) not in (None, "") for name in names):
            name, *others = names
            what = str(OPTIONS[name]["description"]).rstrip(".")
            example = EXAMPLES.get(name) or variables.get(DOMAIN) or "VALUE"
            yield (
                f"{name} is not set; wanted {what[0].lower()}{what[1:]}; set it, as by -e {name}={example}"
                f"{''.join(f', or set {other}' for other in others)}"
            )
    confirmed, domain = variables.get(CONFIRM), variables.get(DOMAIN)
    if any(CONFIRM in words.split(OR) for words in needed) and confirmed and domain and confirmed != domain:
        yield (
            f"{CONFIRM} is {show(confirmed)}; wanted the stack's domain, {domain}, for a backup takes the place of "
            f"what people have said since; set {CONFIRM} to that"
        )
