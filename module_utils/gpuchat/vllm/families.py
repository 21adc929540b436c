# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's family wants of vLLM: parsers for tool calls and reasoning, a template, arguments, a version."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..checkpoint.task import other_than_chat
from ..core.errors import Refusal
from . import flags, releases, tasks
from .facts import architectures, versions
from .facts.families import FAMILIES, Row

EXAMPLES = "/vllm-workspace/examples"
"""Where the image keeps vLLM's examples (``COPY examples examples`` in its Dockerfile's WORKDIR)."""

REASONING_ALONE_SINCE = (0, 9, 0)
"""From here on --reasoning-parser turns reasoning on by itself; before it takes --enable-reasoning too."""

MISTRAL_FILES = re.compile(r"params\.json|tekken\.json|consolidated.*\.safetensors")


@dataclass(frozen=True)
class Family:
    """What a model wants of ``vllm serve``.

    Attributes:
        name: the family; empty for one that the table does not have.
        tool_call_parser, reasoning_parser: empty where there is none.
        chat_template: path within vLLM's image; empty where the model's own template serves.
        args: further arguments, by name without dashes.
        notes: for the person who reads the plan.
        is_known: whether the table has the family.
    """

    name: str = ""
    tool_call_parser: str = ""
    reasoning_parser: str = ""
    chat_template: str = ""
    args: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    is_known: bool = True

    def serve_args(self) -> dict[str, object]:
        """Return all of it as arguments of ``vllm serve``."""
        found: dict[str, object] = dict(self.args)
        if self.tool_call_parser:
            found["enable-auto-tool-choice"] = True
            found["tool-call-parser"] = self.tool_call_parser
        if self.reasoning_parser:
            found["reasoning-parser"] = self.reasoning_parser
        if self.chat_template:
            found["chat-template"] = self.chat_template
        return found


def kinds_of(config: Mapping[str, object]) -> tuple[str, ...]:
    """Return the architectures and the model type that a config.json names."""
    listed = config.get("architectures")
    names = [str(name) for name in listed] if isinstance(listed, (list, tuple)) else []
    kind = config.get("model_type")
    return (*names, str(kind)) if kind else tuple(names)


def row_for(kinds: Sequence[str], repo: str, template: str = "") -> Row | None:
    """Return the first row of the table that fits, or None."""
    name = repo.lower().replace("_", "-")
    for row in FAMILIES:
        fits = not row.kind or any(re.fullmatch(row.kind, kind) for kind in kinds)
        told = re.search(row.own, template) if template else not row.is_told_by_template
        if fits and told and (not row.repo or re.search(row.repo, name)):
            return row
    return None


def chat_template(tokenizer: object, data: object = None, files: Sequence[str] = ()) -> str | None:
    """Return a model's own chat template, all of them where there are several.

    Transformers 4.52 and newer write it into a file of its own, which counts before the one in tokenizer_config.json.

    Args:
        tokenizer: its tokenizer_config.json.
        data: what its small files say, by name.
        files: names of its files, where known.

    Returns:
        An empty text where nobody has read it, None where the model has none.
    """
    said = data if isinstance(data, Mapping) else {}
    alone = [value for name, value in sorted(said.items()) if name.endswith(".jinja") and isinstance(value, str)]
    found = "\n".join(alone) or _template_in(said.get("chat_template.json")) or _template_in(tokenizer)
    if found or not (files and tokenizer):
        return found
    is_elsewhere = any(name == "chat_template.json" or name.endswith(".jinja") for name in files)
    return "" if is_elsewhere else None


def _template_in(said: object) -> str:
    found = said.get("chat_template") if isinstance(said, Mapping) else None
    if isinstance(found, (list, tuple)):
        return "\n".join(str(one.get("template")) for one in found if isinstance(one, Mapping))
    return found if isinstance(found, str) else ""


OWN_WRITERS = re.compile(r"(KimiK3|DeepseekV32|DeepseekV4|DeepseekV41|Inkling)For.*|MoonshotKimiaForCausalLM")
"""Architectures whose conversations vLLM writes by code of its own (``ModelConfig`` in vllm/config/model.py)."""

TEMPLATES_OF_VLLM = frozenset(
    "blip-2 deepseek_ocr deepseek_ocr2 unlimited-ocr unlimited_ocr deepseek_vl_v2 minicpm_ocr minicpmv minicpmv4_6 "
    "minicpmv4_7 paligemma".split()
)
"""Model types that vLLM has a chat template for where the model brings none
(vllm/transformers_utils/chat_templates/registry.py)."""


def is_mute(config: Mapping[str, object], template: str | None, args: Mapping[str, object]) -> bool:
    """Tell whether vLLM refuses to chat with a model, as nothing makes a text of a conversation.

    Args:
        config: its config.json.
        template: its own, as ``chat_template`` returns it.
        args: of ``vllm serve``.
    """
    if template is not None or "chat-template" in args:
        return False
    return speaks_jinja(config, args) and not TEMPLATES_OF_VLLM.intersection(kinds_of(config))


def speaks_jinja(config: Mapping[str, object], args: Mapping[str, object]) -> bool:
    """Tell whether a chat template makes a text of a conversation, and no code of vLLM's."""
    return "tokenizer-mode" not in args and not any(map(OWN_WRITERS.fullmatch, kinds_of(config)))


TOOLS_IN_TEMPLATE = re.compile(r"\btool|\bfunction", re.IGNORECASE)
THOUGHTS_IN_TEMPLATE = re.compile(r"think|thought|reason|analysis", re.IGNORECASE)


def family_for(
    config: Mapping[str, object], repo: str, version: str, files: Sequence[str] = (), template: str | None = ""
) -> Family:
    """Return what a model wants of a version of vLLM.

    Args:
        config: the model's config.json; a multimodal one's outer level counts.
        repo: the model's name on its hub, or the name of its folder.
        version: of vLLM.
        files: names of the repository's files, where known: they distinguish Mistral's own format from Transformers'.
        template: the model's own chat template; empty where nobody has read it, None where it has none.

    Raises:
        Refusal: the architecture came with a later version of vLLM.
    """
    kinds = kinds_of(config)
    notes = _support(config, version)
    does = other_than_chat(config, files, repo)
    if does:
        return Family(notes=(*notes, f"the model {does}; no tool or reasoning parser is set"))
    row = row_for(kinds, repo, template or "")
    if row is None:
        return Family(notes=notes, is_known=False)
    tools, missing = _first_known(row.tools, releases.tool_parsers(version), versions.TOOL_PARSERS)
    notes += (f"vLLM {version} has no tool parser for {row.name}; {missing}",) if missing else ()
    reasoning, missing = _first_known(row.reasoning, releases.reasoning_parsers(version), versions.REASONING_PARSERS)
    notes += (f"vLLM {version} has no reasoning parser for {row.name}; {missing}",) if missing else ()
    args = {key: value for key, value in (row.args or {}).items() if _taken(key, value, version)}
    own_template, template = template, row.template if tools else ""
    if row.tools == ("mistral",) or "mistral" in row.reasoning:
        own = _mistral_args(files, version)
        args.update(own)
        template = "" if own or not files else template
    if template and template not in releases.at(versions.TEMPLATES, version):
        notes += (f"vLLM {version} has no {template}; the model's own template is used",)
        template = ""
    if is_mute(config, own_template, args):  # a base model, whose answers hold neither calls nor thoughts
        tools = reasoning = template = ""
    is_read = own_template if speaks_jinja(config, args) else ""
    if is_read and tools and not template and not TOOLS_IN_TEMPLATE.search(is_read):
        notes += (f"the model's own chat template has no tools; {row.name}'s tool parser is left out",)
        tools = ""
    if is_read and reasoning and not THOUGHTS_IN_TEMPLATE.search(is_read):
        notes += (f"the model's own chat template has no thoughts; {row.name}'s reasoning parser is left out",)
        reasoning = ""
    if reasoning and releases.parse_version(version) < REASONING_ALONE_SINCE:
        args["enable-reasoning"] = True
    return Family(
        name=row.name,
        tool_call_parser=tools,
        reasoning_parser=reasoning,
        chat_template=f"{EXAMPLES}/{template}" if template else "",
        args=args,
        notes=(*notes, row.note) if row.note else notes,
    )


def support_of(config: Mapping[str, object], version: str) -> Family:
    """Return what a version says of a model that is not served to chat: whether it has code for it.

    Raises:
        Refusal: the architecture came with a later version of vLLM.
    """
    notes = _support(config, version)
    return Family(notes=() if tasks.has_own_code(config, version) else notes)


def _first_known(wanted: Sequence[str], known: Sequence[str], table: releases.Table) -> tuple[str, str]:
    """Return the first parser that is known, or which version brings one."""
    for name in wanted:
        if name in known:
            return name, ""
    if not wanted:
        return "", ""
    first, last = releases.span(table, wanted[0])
    return "", f"{wanted[0]} came with {first}" + (f" and left after {last}" if last else "")


def _taken(key: str, value: object, version: str) -> bool:
    """Tell whether a version knows an argument and this value of it."""
    flag = flags.known_flags(version).get(key)
    return flag is not None and (not flag.choices or value in flag.choices)


def _mistral_args(files: Sequence[str], version: str) -> dict[str, object]:
    """Return the three modes for a repository in Mistral's own format; none where its files are not known."""
    names = {name.rpartition("/")[2] for name in files}
    if not {"params.json"} & names or not any(MISTRAL_FILES.fullmatch(name) for name in names - {"params.json"}):
        return {}
    consolidated = any(name.startswith("consolidated") for name in names)
    modes = {"tokenizer-mode": "mistral", "config-format": "mistral"}
    if consolidated:
        modes["load-format"] = "mistral"
    return {key: value for key, value in modes.items() if _taken(key, value, version)}


def _support(config: Mapping[str, object], version: str) -> tuple[str, ...]:
    """Return what to say of a version's support for a model's architecture.

    Raises:
        Refusal: every architecture that config.json names came later.
    """
    listed = config.get("architectures")
    names = [str(name) for name in listed] if isinstance(listed, (list, tuple)) else []
    table = architectures.ARCHITECTURES
    held = [name for name in names if name in table]
    if not held:
        if not names:
            return ("config.json names no architecture; whether vLLM knows the model is not predicted",)
        return (f"vLLM has no code of its own for {names[0]}; it runs only where Transformers' own can be served",)
    known = [name for name in held if name in releases.architectures(version)]
    if known:
        kind = releases.architectures(version)[known[0]]
        pooling = f"{known[0]} makes embeddings or scores; it cannot chat"
        return (pooling,) if kind == "pooling" else ()
    history = releases.known_since(table, held[0], releases.release(version).version)
    if "came with" in history:
        minimum = min((releases.span(table, name)[0] for name in held), key=releases.parse_version)
        raise Refusal(
            f"found the architecture {held[0]} in config.json; vLLM {version} does not know it ({history}); "
            f"set vllm_version to {minimum} or newer, or choose another model"
        )
    gone = f"vLLM {version} has no code of its own for {held[0]} any more ({history})"
    last = releases.span(table, held[0])[1]
    return (f"{gone}; it runs only where Transformers' own can be served; vLLM {last} serves it for sure",)
