# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How LobeChat 1 learns which models there are and what they can do.

LobeChat 1 takes its first settings from a constant in its own script, whatever the server's environment says, so a new
browser is led once through LobeChat's own link for shared settings (``/?settings=...``). LobeChat copies the neutral
colour of the settings into a cookie as soon as it holds them: an unknown colour has no effect on the page, so it is the
mark by which the edge knows that a browser has these very settings.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..inventory.served import CHAT, Served

AGENTS = ("agentMeta", "generationTopic", "historyCompress", "queryRewrite", "thread", "topic", "translation")
OTHER_PROVIDERS = ("openai", "ollama", "comfyui", "fal")
PROVIDER = "vllm"
COLOURS = ("mauve", "olive", "sage", "sand", "slate")
"""LobeChat's own neutral colours: a person has chosen one, so the browser is known."""

PROVIDERS_OPEN = ("/webapi/chat/vllm", "/webapi/models/vllm")
PROCEDURES_OPEN = ("config.getGlobalConfig", "market.getPluginList")
"""What the page asks of LobeChat's own server (the market's address is one that refuses). The rest of it sends requests
wherever a client wants, keeps files, or belongs to a login that the stack does not use, and its access code does not
guard all of that."""

CLOSED = ("api", "oidc", "trpc", "webapi")
"""First words of LobeChat's server paths, in any letter case."""

ASSETS = "_next/static/"
"""All that is open below ``_next``: its image service asks the server's own paths in the client's name."""

CLOSED_EXAMPLES = (
    "webapi/plugin/gateway",
    "_next/image?url=%2Ftrpc%2Ftools%2Fmcp.listTools&w=64&q=75",
    "_next/data/x/chat.json",
    "webapi/proxy",
    "webapi/chat/openai",
    "webapi/models/ollama/pull",
    "webapi/trace",
    "webapi/tts/edge",
    "trpc/tools/mcp.listTools",
    "trpc/lambda/market.getMcpList",
    "trpc/lambda/config.getGlobalConfig%2csession.getSessions",
    "trpc/edge/config.getGlobalConfig",
    "api/auth/session",
    "oidc/token",
    "WebAPI/proxy",
    "%77ebapi/proxy",
    "chat/..%2fwebapi/proxy",
)
"""For the verification to ask for."""

COOKIES = ("LOBE_LOCALE", "LOBE_THEME_APPEARANCE", "LOBE_THEME_NEUTRAL_COLOR", "LOBE_THEME_PRIMARY_COLOR")
"""What LobeChat's server reads of a browser's cookies."""

LONGEST_LINK = 500
"""Characters behind the question mark that are kept of a link while a new browser gets its settings."""

TRIES = 8
"""Times that a browser is led to the settings before it is served without them."""


@dataclass(frozen=True)
class Wiring:
    """What the edge does with a browser that does not know the model yet.

    Attributes:
        mark: value of the cookie of a browser that holds these settings.
        settings: LobeChat's settings as JSON.
    """

    mark: str
    settings: str
    colours: tuple[str, ...] = COLOURS
    tries: int = TRIES

    def as_dict(self) -> dict[str, object]:
        told = {"mark": self.mark, "settings": self.settings, "colours": list(self.colours), "tries": self.tries}
        told.update(cookies=list(COOKIES), longest_link=LONGEST_LINK)
        return {**told, "open": open_pattern(), "closed": closed_pattern(), "closed_examples": list(CLOSED_EXAMPLES)}


def open_pattern() -> str:
    """Return the regular expression of the server's open paths; the page may ask several procedures in one request."""
    procedure = "|".join(map(re.escape, PROCEDURES_OPEN))
    return f"^({'|'.join(PROVIDERS_OPEN)}|/trpc/lambda/({procedure})(,({procedure}))*)$"


def closed_pattern() -> str:
    """Return the regular expression of the server's closed paths, in lower case, once the open ones are taken out."""
    return f"^/+({'|'.join(CLOSED)}|_next/+(?!{ASSETS.partition('/')[2]}))"


def wire(served: Sequence[Served]) -> Wiring:
    """Return the settings for the models that are served, the first of which people meet, and their mark."""
    chats = [one for one in served if one.task == CHAT]
    # 1 and 0, not true and false: LobeChat does not keep what equals its own defaults.
    providers: dict[str, object] = {name: {"enabled": 0} for name in OTHER_PROVIDERS}
    providers[PROVIDER] = {
        "enabled": 1,
        "enabledModels": [one.name for one in chats],
        "customModelCards": [_card(one) for one in chats],
    }
    settings: dict[str, object] = {"languageModel": providers}
    if chats:
        model = {"model": chats[0].name, "provider": PROVIDER}
        settings.update(defaultAgent={"config": model}, systemAgent=dict.fromkeys(AGENTS, model))
    mark = "gpuchat-" + hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
    return Wiring(mark, json.dumps({**settings, "general": {"neutralColor": mark}}))


def _card(served: Served) -> dict[str, object]:
    card: dict[str, object] = {"id": served.name, "displayName": served.name}
    if served.tool_calls:
        card["functionCall"] = True
    if served.context:
        card["contextWindowTokens"] = served.context
    return card
