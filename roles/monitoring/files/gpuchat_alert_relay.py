# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands alerts on to robots of Feishu, DingTalk and WeCom: gpuchat_alert_relay.py [--check] FOLDER CONFIG.

It listens on the loopback alone, for Alertmanager. A request at /NAME goes, as a short plain text, to the robot of that
name, whose address stands in the file receiver-NAME of the folder of secrets. Robots answer 200 to what they refuse
too, so their own code is read; what a robot has not taken is answered by 502, and Alertmanager tries again.

This is one file, for it runs on hosts that have Python 3.9 and nothing else. Its first half decides and touches
nothing; its second half listens and sends.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import http.server
import json
import pathlib
import ssl
import sys
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# ---- What is decided -------------------------------------------------------------------------------------------------

FEISHU, DINGTALK, WECOM = "feishu", "dingtalk", "wecom"
LONGEST_TEXT = {FEISHU: 18_000, DINGTALK: 18_000, WECOM: 2_000}
"""Bytes of UTF-8 that a robot takes of a plain text, with room for what surrounds it."""
SHOWN_ALERTS = 10
LONGEST_REQUEST = 4 * 1024**2
LONGEST_ANSWER = 64 * 1024
ANSWER_SECONDS = 10.0
"""Less than Alertmanager waits for us."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MARKS = {"firing": "ALERT", "resolved": "RESOLVED"}


class Trouble(Exception):
    """What ends a request or the program; the text is for people, and holds no secret."""


@dataclass(frozen=True)
class Robot:
    """A robot, and the file of its address."""

    name: str
    kind: str


@dataclass(frozen=True)
class Address:
    """Where a robot is.

    Attributes:
        port: of the server; 0 for that of its scheme.
        path: with the query, which holds the secret.
        signing: the secret that its messages are signed with; empty where it wants no signature.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    signing: str = field(default="", repr=False)


def settings_of(text: str) -> tuple[int, dict[str, Robot]]:
    """Return the port and the robots by their path.

    Raises:
        Trouble: the text is none of ours.
    """
    try:
        given = json.loads(text)
        robots = {str(one["path"]): Robot(str(one["name"]), str(one["kind"])) for one in given["robots"]}
        port = int(given["port"])
    except (ValueError, KeyError, TypeError) as error:
        raise Trouble(
            f"found {error!r} in the relay's settings; wanted them as the role writes them; run site.yml"
        ) from None
    unknown = sorted({one.kind for one in robots.values()} - set(LONGEST_TEXT))
    if unknown:
        raise Trouble(f"found a robot of the kind {unknown[0]}; wanted {', '.join(LONGEST_TEXT)}; run site.yml")
    return port, robots


def address_of(secret: str, name: str) -> Address:
    """Read a robot's address, behind whose # the secret for signatures may stand.

    Raises:
        Trouble: it is none; the text repeats nothing of it.
    """
    fix = f"set monitoring_receiver_secrets.{name} to the address that the group's robot was given"
    try:
        parts = urllib.parse.urlsplit(secret.strip())
        port = parts.port or 0
    except ValueError:
        raise Trouble(
            f"found no address for the receiver {name}; wanted one that begins with https://; {fix}"
        ) from None
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not is_safe or not parts.hostname or any(sign.isspace() or ord(sign) < 32 for sign in secret.strip()):
        raise Trouble(f"found no address for the receiver {name}; wanted one that begins with https://; {fix}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise Trouble(f"found letters in the address of the receiver {name} that no address has; {fix}")
    return Address(parts.scheme, parts.hostname, port, path, urllib.parse.unquote(parts.fragment))


def text_of(told: Mapping[str, object], kind: str) -> str:
    """Return what people read of Alertmanager's message, no longer than the robot takes.

    Raises:
        Trouble: it is no message of Alertmanager's.
    """
    alerts = told.get("alerts")
    if not isinstance(alerts, list) or not all(isinstance(one, dict) for one in alerts):
        raise Trouble("found no alerts in the request; wanted Alertmanager's message")
    parts = [_alert(one) for one in alerts[:SHOWN_ALERTS]]
    if len(alerts) > SHOWN_ALERTS:
        parts.append(f"... and {len(alerts) - SHOWN_ALERTS} more")
    stack = _words(told.get("commonLabels"), "stack")
    return shortened("\n\n".join([*([f"gpuchat {stack}"] if stack else ["gpuchat"]), *parts]), LONGEST_TEXT[kind])


def _alert(alert: Mapping[str, object]) -> str:
    labels, notes = alert.get("labels"), alert.get("annotations")
    mark = MARKS.get(str(alert.get("status")), "ALERT")
    where = " ".join(word for word in (_words(labels, "host"), _words(labels, "model")) if word)
    first = f"[{mark}] {_words(labels, 'severity')} {_words(labels, 'alertname')}".replace("  ", " ")
    lines = [first + (f" ({where})" if where else ""), _words(notes, "summary"), _words(notes, "description")]
    runbook = _words(notes, "runbook")
    lines += [f"To do: {runbook}"] if runbook and mark == "ALERT" else []
    return "\n".join(line for line in lines if line)


def _words(of: object, name: str) -> str:
    """Return one line: what a host says of itself is in it, and is no line of ours, nor a mark that calls people."""
    text = str(of.get(name) or "") if isinstance(of, Mapping) else ""
    plain = "".join(sign if sign.isprintable() else " " for sign in text.replace("<", "(").replace(">", ")"))
    return " ".join(plain.split())


def shortened(text: str, longest: int) -> str:
    """Return a text of so many bytes at most, none of its letters cut."""
    raw = text.encode()
    return text if len(raw) <= longest else raw[: longest - 3].decode(errors="ignore") + "..."


def message(kind: str, text: str, address: Address, now: float) -> tuple[str, dict[str, object]]:
    """Return the path that a robot is asked at, and what it is sent.

    Args:
        now: seconds since 1970, which a signature holds.
    """
    if kind == FEISHU:
        body: dict[str, object] = {"msg_type": "text", "content": {"text": text}}
        if address.signing:
            stamp = str(int(now))
            # Theirs has the secret in the key, and signs nothing.
            body.update(timestamp=stamp, sign=_signature(f"{stamp}\n{address.signing}", ""))
        return address.path, body
    path = address.path
    if kind == DINGTALK and address.signing:
        stamp = str(int(now * 1000))
        sign = _signature(address.signing, f"{stamp}\n{address.signing}")
        path += ("&" if "?" in path else "?") + urllib.parse.urlencode({"timestamp": stamp, "sign": sign})
    return path, {"msgtype": "text", "text": {"content": text}}


def _signature(key: str, said: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), said.encode(), hashlib.sha256).digest()).decode()


def refusal(status: int, answer: bytes) -> str:
    """Return why a robot has not taken a message; empty where it has.

    Args:
        answer: its body, in which a code of 0 says that it has.
    """
    try:
        said = json.loads(answer)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    code = next((said[name] for name in ("errcode", "code", "StatusCode") if name in said), None)
    if status == 200 and code == 0 and not isinstance(code, bool):
        return ""
    words = str(said.get("errmsg") or said.get("msg") or said.get("StatusMessage") or "")[:200]
    return f"it answered {status}" + (f", code {code}" if code is not None else "") + (f": {words}" if words else "")


# ---- What listens and sends ------------------------------------------------------------------------------------------


def send(robot: Robot, address: Address, text: str) -> None:
    """Send a text to a robot, following it nowhere else.

    Raises:
        Trouble: it has not taken it.
    """
    path, body = message(robot.kind, text, address, time.time())
    connection: http.client.HTTPConnection
    if address.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(
            address.host, address.port or None, timeout=ANSWER_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(address.host, address.port or None, timeout=ANSWER_SECONDS)
    try:
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "gpuchat"}
        connection.request("POST", path, json.dumps(body, ensure_ascii=False).encode(), headers)
        answer = connection.getresponse()
        why = refusal(answer.status, answer.read(LONGEST_ANSWER))
    except (OSError, http.client.HTTPException) as error:
        why = f"{type(error).__name__}: {getattr(error, 'strerror', None) or 'no answer'}"
    finally:
        connection.close()
    if why:
        raise Trouble(f"the robot {robot.name} has not taken the message: {why}")


class Handler(http.server.BaseHTTPRequestHandler):
    """One request of Alertmanager's."""

    robots: Mapping[str, Robot] = {}
    folder = pathlib.Path()
    timeout = 30

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/-/ready" else 404, "")

    def do_POST(self) -> None:
        robot = self.robots.get(self.path)
        length = self.headers.get("Content-Length", "")
        if robot is None:
            self._answer(404, "no robot has this path")
        elif not length.isdecimal() or int(length) > LONGEST_REQUEST:
            self._answer(413, "too long, or of no length")
        else:
            self._hand_on(robot, self.rfile.read(int(length)))

    def _hand_on(self, robot: Robot, raw: bytes) -> None:
        try:
            told = json.loads(raw)
            text = text_of(told if isinstance(told, dict) else {}, robot.kind)
        except (ValueError, Trouble) as error:
            self._answer(400, str(error))
            return
        try:
            send(robot, address_of(secret_of(self.folder, robot), robot.name), text)
        except Trouble as error:
            print(error, file=sys.stderr, flush=True)
            self._answer(502, str(error))
            return
        self._answer(200, "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_words: object) -> None:
        """Say nothing of each request; what has failed is said where it fails."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


def secret_of(folder: pathlib.Path, robot: Robot) -> str:
    """Return a robot's address as it was given.

    Raises:
        Trouble: there is none.
    """
    try:
        return (folder / f"receiver-{robot.name}").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Trouble(
            f"found no secret for the receiver {robot.name} ({type(error).__name__}); wanted one; set "
            f"monitoring_receiver_secrets.{robot.name}"
        ) from None


def make_server(config: str, folder: str) -> Server:
    """Return a server that listens, for the robots of a file and the folder of their secrets.

    Raises:
        Trouble: a robot has no address.
    """
    port, robots = settings_of(pathlib.Path(config).read_text(encoding="utf-8"))
    for robot in robots.values():
        address_of(secret_of(pathlib.Path(folder), robot), robot.name)
    handler = type("Handler", (Handler,), {"robots": robots, "folder": pathlib.Path(folder)})
    return Server(("127.0.0.1", port), handler)


def check(config: str, folder: str) -> None:
    """Look at settings and secrets without listening.

    Raises:
        Trouble: something is wrong with them.
    """
    _port, robots = settings_of(pathlib.Path(config).read_text(encoding="utf-8"))
    for robot in robots.values():
        address_of(secret_of(pathlib.Path(folder), robot), robot.name)


def main(words: Sequence[str]) -> int:
    try:
        if len(words) == 3 and words[0] == "--check":
            check(words[2], words[1])
        elif len(words) == 2:
            make_server(words[1], words[0]).serve_forever()
        else:
            raise Trouble("found other words; wanted [--check] FOLDER CONFIG")
    except (Trouble, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
