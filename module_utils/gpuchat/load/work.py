# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load asks: which model, how much and when, with which words; and what a streamed answer says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import Refusal
from ..core.names import did_you_mean, plain

MOST_USERS, MOST_SECONDS, MOST_TOKENS = 500, 3600, 1_000_000
MOST_LINES = 100_000
"""Requests of a trace."""

USUAL_SECONDS = 30
CHAT = "chat"

WORDS = tuple(
    "able about above again air also always animal another answer any apple area arm around art ask away back bad "
    "ball bank base bear beat bed behind best better big bird black blue board boat body book both box boy bread "
    "bring brown build busy buy call camp car care carry case cat center certain change child city class clean "
    "clear close cloud coat cold color come common cook cool copy corn cost count country course cover cross "
    "crowd cut dance dark day deep desk dog door down draw dream dress drink drive dry early earth east easy eat "
    "edge egg end even evening ever eye face fact fall family far farm fast father field fine finger fire fish "
    "floor flower fly food foot forest form free fresh friend front fruit full game garden gate girl give glass "
    "gold good grass great green ground group grow half hand happy hard head hear heart heavy help high hill home "
    "horse hot hour house hundred idea island job join key kind king lake land large last late laugh lead leaf "
    "learn left letter life light line list listen little long low machine make man map mark market matter middle "
    "milk mind money month moon morning mountain move music name near new night north number ocean offer office "
    "old open order paper part party past path people piece place plain plant play point poor power press "
    "question quick rain reach read red rest rice rich ride right ring river road rock room round run salt same "
    "sand school sea season seat second seed shape ship shoe shop short show side sign silver simple sing sister "
    "size skin sky sleep slow small snow soft song sound south space spring square stand star start step stone "
    "stop store story street strong student sugar summer sun table tail tall teach test thank thing time tool top "
    "town tree true turn uncle village visit voice wait walk wall warm wash watch water weather week west wheel "
    "white wide wild wind window winter woman wonder wood word work world write year yellow young".split()
)
"""Plain words, most of which are one token for most models."""

TASK = "Tell a very long story with these words."
"""Stands at a prompt's end, so that no two prompts begin alike."""

SHARED_SHARE = 7 / 8
"""Share of a prompt's words that all prompts have in common, where that is wanted."""

PROBES = (16, 240)
"""Words of the two requests by which it is found out how many tokens a word is."""


@dataclass(frozen=True)
class Ask:
    """One request of a trace.

    Attributes:
        at: seconds after the load's start.
        prompt: its text; empty where ``prompt_tokens`` says how long one is to be made.
    """

    at: float
    answer_tokens: int
    prompt: str = ""
    prompt_tokens: int = 0


@dataclass(frozen=True)
class Wish:
    """A bounded load.

    Attributes:
        users: who ask at once, each again as soon as the answer is there; of a trace, how many it has at its busiest.
        seconds: after which nobody asks anew.
        shared_prefix: whether prompts begin alike, so that an engine's prefix cache answers for part of them.
        trace: what is asked when; nothing where ``users`` ask as fast as they are answered.
    """

    users: int
    seconds: int
    prompt_tokens: int
    answer_tokens: int
    shared_prefix: bool = False
    trace: tuple[Ask, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return what has to be the same for two runs to be compared."""
        if not self.trace:
            return {
                "users": self.users,
                "prompt_tokens": self.prompt_tokens,
                "answer_tokens": self.answer_tokens,
                "shared_prefix": self.shared_prefix,
            }
        asked = sum(one.answer_tokens for one in self.trace)
        prompts = sum(one.prompt_tokens or len(one.prompt) for one in self.trace)
        return {
            "trace_requests": len(self.trace),
            "trace_seconds": round(self.trace[-1].at, 3),
            "trace_prompts": prompts,
            "trace_answer_tokens": asked,
            "shared_prefix": self.shared_prefix,
        }


@dataclass(frozen=True)
class Target:
    """The model that is asked.

    Attributes:
        name: by which it is asked, its own or an alias.
        model: its own.
        hosts: whose engines serve it, each with a replica.
        endpoint: the name of somebody else's server that serves it; empty for engines of the stack.
        context: tokens that every engine of it holds; None where that is not known.
    """

    name: str
    model: str
    hosts: tuple[str, ...] = ()
    endpoint: str = ""
    context: int | None = None


def choose(
    models: Sequence[Mapping[str, object]],
    served: Sequence[Mapping[str, object]],
    wanted: str,
    names: Sequence[Sequence[object]] = (),
) -> Target:
    """Return the model that is asked: the one of a name or alias, or the first that chats.

    Args:
        models: those of the topology.
        served: what each does, and how much it holds.
        wanted: empty for the first that chats.
        names: all names of each engine, its model's own first.

    Raises:
        Refusal: there is none, or it does not chat.
    """
    about = {str(one["name"]): one for one in served}
    tasks = {str(one["name"]): str(about.get(str(one["name"]), one).get("task")) for one in models}
    chatting = [name for name, task in tasks.items() if task == CHAT]
    own = {str(one["name"]): one for one in models}
    known = {str(alias): own[str(one[0])] for one in names for alias in one if str(one[0]) in own}
    known.update(own)
    if not chatting:
        raise Refusal(
            "found no model that chats; wanted one, for a load measures streamed answers; put one into gpuchat_models"
        )
    found = known.get(wanted or chatting[0])
    if found is None:
        raise Refusal(
            f"found no model {plain(wanted)}; wanted one of {', '.join(chatting)}{did_you_mean(wanted, known)}; "
            "set load_model to one of them"
        )
    name = str(found["name"])
    if name not in chatting:
        raise Refusal(
            f"found that {name} is there for the task {tasks[name]}; wanted a model that chats, for a load measures "
            f"streamed answers; set load_model to one of {', '.join(chatting)}"
        )
    context = about.get(name, {}).get("context")
    return Target(
        wanted or name,
        name,
        tuple(_strings(found.get("hosts"))),
        str(found.get("endpoint") or ""),
        int(str(context)) if context else None,
    )


def _strings(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else []


def wish(params: Mapping[str, object], trace: tuple[Ask, ...], target: Target) -> Wish:
    """Return the load that a task's options ask for.

    Raises:
        Refusal: it has no bound, or one answer is more than the model holds.
    """
    seconds = params.get("seconds")
    if seconds is None:
        seconds = min(MOST_SECONDS, math.ceil(trace[-1].at) + 1) if trace else USUAL_SECONDS
    made = Wish(
        _whole(params, "users", MOST_USERS),
        _whole({"seconds": seconds}, "seconds", MOST_SECONDS),
        _whole(params, "prompt_tokens", MOST_TOKENS),
        _whole(params, "answer_tokens", MOST_TOKENS),
        bool(params.get("shared_prefix")),
        trace,
    )
    longest = max([one.prompt_tokens + one.answer_tokens for one in trace] or [made.prompt_tokens + made.answer_tokens])
    if target.context and longest > target.context:
        one = "a request of the trace" if trace else "load_prompt_tokens and load_answer_tokens"
        raise Refusal(
            f"found {one} with {longest:,} tokens together; wanted at most {target.context:,}, which {target.name} "
            "holds; set load_prompt_tokens and load_answer_tokens to less, or context of the model in gpuchat_models "
            "to more"
        )
    return made


def _whole(params: Mapping[str, object], name: str, most: int) -> int:
    value, variable = params[name], f"load_{name}"
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise Refusal(f"found {variable} {value}; wanted a whole number from 1 to {most}; set {variable} to one")
    return value


FORM = '{"at": seconds, "prompt": text or "prompt_tokens": number, "answer_tokens": number}'


def read_trace(text: str, path: str) -> tuple[Ask, ...]:
    """Read a trace, a JSON object in each line, in the order of their times.

    Raises:
        Refusal: a line is no request, or there are none or too many.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            found.append(_ask(line, f"line {number} of {plain(path)}"))
    if not found or len(found) > MOST_LINES:
        raise Refusal(
            f"found {len(found) or 'no'} requests in {plain(path)}; wanted 1 to {MOST_LINES}, each a line of the form "
            f"{FORM}; set load_trace to such a file"
        )
    return tuple(sorted(found, key=lambda one: one.at))


def _ask(line: str, where: str) -> Ask:
    def wrong(found: str, wanted: str) -> Refusal:
        return Refusal(
            f"found {found} in {where}; wanted {wanted}, as in {FORM}; set load_trace to a file of such lines"
        )

    try:
        entry = json.loads(line)
    except ValueError as error:
        raise wrong(f"no JSON ({error})", "an object") from None
    if not isinstance(entry, dict):
        raise wrong(f"{_short(entry)}", "an object")
    unknown = [str(name) for name in entry if name not in ("at", "prompt", "prompt_tokens", "answer_tokens")]
    if unknown:
        raise wrong(f"the name {plain(unknown[0])}", "at, prompt, prompt_tokens and answer_tokens alone")
    at = entry.get("at")
    if isinstance(at, bool) or not isinstance(at, (int, float)) or not 0 <= at <= 1e9:
        raise wrong(f"at: {_short(at)}", "the seconds since the start")
    prompt, tokens, answer = entry.get("prompt"), entry.get("prompt_tokens"), entry.get("answer_tokens")
    if (prompt is None) == (tokens is None):
        raise wrong("both prompt and prompt_tokens" if tokens else "neither prompt nor prompt_tokens", "one of them")
    if prompt is not None and (not isinstance(prompt, str) or not prompt):
        raise wrong(f"prompt: {_short(prompt)}", "a text")
    for name, value in (("prompt_tokens", tokens), ("answer_tokens", answer)):
        if (name == "answer_tokens" or value is not None) and not _is_count(value):
            raise wrong(f"{name}: {_short(value)}", f"{name} as a whole number from 1 to {MOST_TOKENS}")
    return Ask(float(at), int(answer or 0), prompt or "", int(tokens or 0))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_TOKENS


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:60] + "..."


@dataclass(frozen=True)
class Scale:
    """How many tokens a prompt of ours is to a model: those around it, and those of each word."""

    around: float = 0.0
    per_word: float = 1.0

    @classmethod
    def of(cls, words: tuple[int, int], tokens: tuple[int, int]) -> Scale:
        """Return it from two prompts' words and tokens; a word is a token where they do not tell."""
        per_word = (tokens[1] - tokens[0]) / (words[1] - words[0])
        if min(tokens) <= 0 or per_word <= 0:
            return cls()
        return cls(max(0.0, tokens[0] - words[0] * per_word), per_word)

    def words(self, tokens: int) -> int:
        """Return how many words make a prompt of so many tokens."""
        return max(1, round((tokens - self.around) / self.per_word))


def prompt(words: int, pick: Callable[[int], int], shared: int = 0) -> str:
    """Return a prompt of plain words.

    Args:
        words: how many.
        pick: returns a whole number below another, at random.
        shared: how many of them are the same in all prompts, in front.
    """
    common = (WORDS[(place * 7) % len(WORDS)] for place in range(min(shared, words)))
    own = (WORDS[pick(len(WORDS))] for _place in range(words - min(shared, words)))
    return f"{' '.join([*common, *own])}. {TASK}"


def body(target: Target, text: str, answer_tokens: int) -> bytes:
    """Return a request for a streamed answer that ends with the number of its tokens.

    An engine of the stack goes on until it has written all tokens, as `vllm bench serve --ignore-eos` asks it to;
    somebody else's server may refuse what OpenAI does not know, and ends where it likes.
    """
    wanted: dict[str, object] = {
        "model": target.name,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": answer_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if not target.endpoint:
        wanted["ignore_eos"] = True
    return json.dumps(wanted).encode()


@dataclass(frozen=True)
class Event:
    """What one event of a stream says.

    Attributes:
        has_output: whether it brings text, or ends the answer.
        has_choice: whether it belongs to the answer at all.
        prompt_tokens: as the server counts them; None where the event does not say.
        answer_tokens: likewise.
        error: the words of an error that came instead.
        is_last: whether the stream ends here.
    """

    has_output: bool = False
    has_choice: bool = False
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    error: str = ""
    is_last: bool = False


LAST = Event(is_last=True)
OUTPUT = ("content", "reasoning", "reasoning_content", "tool_calls")


def read_event(line: bytes) -> Event | None:
    """Read a line of a stream; None for one without data, such as a comment by which a server keeps it open."""
    if not line.startswith(b"data:"):
        return None
    data = line[5:].strip()
    if data == b"[DONE]":
        return LAST
    try:
        entry = json.loads(data)
    except ValueError:
        return Event(error=f"found {data[:100].decode(errors='replace')!r} in the stream, wanted JSON")
    if not isinstance(entry, dict):
        return Event(error=f"found {_short(entry)} in the stream, wanted an object")
    if entry.get("error"):
        return Event(error=said(data))
    choices, usage = entry.get("choices"), entry.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    first = choices[0] if isinstance(choices, list) and choices else None
    delta = first.get("delta") if isinstance(first, dict) else None
    brings = isinstance(delta, dict) and any(delta.get(name) for name in OUTPUT)
    ends = isinstance(first, dict) and first.get("finish_reason") is not None
    return Event(
        brings or ends, first is not None, _count(counts, "prompt_tokens"), _count(counts, "completion_tokens")
    )


def _count(counts: Mapping[str, object], name: str) -> int | None:
    value = counts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def said(answer: bytes) -> str:
    """Return the words of an error's body, in one short line."""
    try:
        entry = json.loads(answer)
        error = entry.get("error", entry) if isinstance(entry, dict) else entry
        text = str(error.get("message") or error) if isinstance(error, dict) else str(error)
    except ValueError:
        text = answer.decode(errors="replace")
    return plain(" ".join(text.split()))[:200]


def lines(held: bytearray) -> Iterator[bytes]:
    """Take each whole line out of what has arrived."""
    while True:
        end = held.find(b"\n")
        if end < 0:
            return
        line = bytes(held[:end])
        del held[: end + 1]
        yield line
