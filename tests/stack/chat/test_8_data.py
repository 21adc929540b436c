# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database, the object store and the disk fail under the chat: what was said stays, and people are told."""

from __future__ import annotations

import json
import pathlib
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from browsing import DIALOGUES
from interfaces import interface_of, sign_in
from running import Stack, wait

POSTGRESQL = "gpuchat-postgresql"
ROOT = "/var/lib/gpuchat/postgresql"
SMALL = "/run/of-the-test-disk"
KEPT = "kept_of_the_test"
STORE = "gpuchat-object-store"
SAID = {
    "lobehub": "SELECT content FROM messages WHERE role = 'user'",
    "open_webui": "SELECT content #>> '{}' FROM chat_message WHERE role = 'user'",
}
CHATS = {
    "lobehub": "/trpc/lambda/aiChat.sendMessageInServer?batch=1",
    "open_webui": "/api/v1/chats/new",
}
MODEL = {"lobehub": "/webapi/chat/vllm", "open_webui": "/api/chat/completions"}
FORGET = {
    "lobehub": "DELETE FROM topics WHERE title = 'of the test'",
    "open_webui": """
        DELETE FROM chat_message WHERE chat_id IN (SELECT id FROM chat WHERE title = 'of the test');
        DELETE FROM chat WHERE title = 'of the test'""",
}


@dataclass
class Person:
    """Somebody signed in, whose page asks the server what this does."""

    stack: Stack
    folder: pathlib.Path
    session: tuple[str, ...]
    said: list[str] = field(default_factory=list)

    def post(self, path: str, value: object, *words: str) -> tuple[int, str]:
        body = self.folder / f"body-{threading.get_ident()}.json"
        body.write_text(json.dumps(value))
        words = ("--header", "Content-Type: application/json", "--data-binary", f"@{body}", *words)
        words += ("--header", f"Origin: https://{self.stack.domain}")
        return self.stack.curl(path, *self.session, *words, key=False)

    def say(self, text: str) -> tuple[int, str]:
        """Have a question stored."""
        text = f"{text}, of the test {len(self.said)}"
        status, answer = self.post(CHATS[self.stack.interface], self._chat(text))
        self.said += [text] if status == 200 else []
        return status, answer

    def _chat(self, text: str) -> dict[str, object]:
        if self.stack.interface == "lobehub":
            value = {
                "newTopic": {"title": "of the test"},
                "newUserMessage": {"content": text},
                "newAssistantMessage": {"model": self.stack.model, "provider": "vllm"},
            }
            return {"0": {"json": value}}
        name = str(uuid.uuid4())
        message = {"id": name, "parentId": None, "childrenIds": [], "role": "user", "content": text}
        message |= {"timestamp": int(time.time()), "models": [self.stack.model]}
        history = {"messages": {name: message}, "currentId": name}
        return {"chat": {"title": "of the test", "models": [self.stack.model], "history": history}}

    def ask(self, question: str, **more: object) -> tuple[int, str]:
        """Ask the model by the interface; return the status and what the stream held."""
        message = {"model": self.stack.model, "stream": True, "messages": [{"role": "user", "content": question}]}
        return self.post(MODEL[self.stack.interface], message | more, "--max-time", "60")

    def may_chat(self) -> bool:
        """Whether a question is stored and answered."""
        return self.say("hello")[0] == 200 and text_of(self.ask("hello")[1]) == DIALOGUES["hello"]["answer"]

    def lost(self) -> set[str]:
        """What was said before and is in the database no more."""
        return set(self.said) - set(self.stack.sql(self.stack.interface, SAID[self.stack.interface]))

    def call(self, procedure: str, value: object) -> tuple[int, object]:
        """Call a procedure of LobeHub's, as its page does; return the status and the result, or the error."""
        status, body = self.post(f"/trpc/lambda/{procedure}?batch=1", {"0": {"json": value}})
        return status, json.loads(body)[0]["result"]["data"]["json"] if status == 200 else body


def text_of(stream: str) -> str:
    """Return the words of a stream: LobeHub's has an event for each, Open WebUI's is the engine's own."""
    words = []
    for one in stream.split("\n\n"):
        event = dict(line.split(": ", 1) for line in one.splitlines() if ": " in line)
        if event.get("event") == "text":
            words.append(json.loads(event["data"]))
        elif "event" not in event and event.get("data", "").startswith("{"):
            words += [each["delta"].get("content") or "" for each in json.loads(event["data"]).get("choices", [])]
    return "".join(words)


ENDS = {"lobehub": "event: usage", "open_webui": "data: [DONE]"}
"""The last of a whole stream."""


def started(stack: Stack) -> str:
    """When the interface's container was started."""
    return stack.on("interface", f"docker inspect {interface_of(stack).container} --format '{{{{.State.StartedAt}}}}'")


def unit(stack: Stack, verb: str, name: str) -> str:
    """Return the command that starts or stops a container as its operator would."""
    return f"systemctl {verb} {name}" if stack.supervisor == "systemd" else f"docker {verb} {name} >/dev/null"


def anew(stack: Stack) -> str:
    """Return the command that makes the interface's container anew."""
    here = interface_of(stack)
    compose = f"docker compose --file {here.folder}/compose.yml up --detach --force-recreate 2>&1"
    return f"systemctl restart {here.container}" if stack.supervisor == "systemd" else compose


@pytest.fixture(scope="module")
def person(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("person")
    found = Person(stack, folder, sign_in(stack, folder, stack.admin_email))
    assert found.may_chat()
    yield found
    stack.sql(stack.interface, FORGET[stack.interface])


@pytest.fixture
def of_lobehub(person: Person) -> Person:
    if person.stack.interface != "lobehub":
        pytest.skip("Open WebUI keeps files in a folder, and has no object store")
    return person


def test_an_answer_goes_on_while_the_database_is_restarted_and_so_does_the_chat(person: Person) -> None:
    stack, before, seen = person.stack, started(person.stack), []
    more = {"ignore_eos": True, "max_tokens": 1500, "min_tokens": 1500}
    asking = threading.Thread(target=lambda: seen.append((*person.ask("Tell me a long story", **more), time.time())))
    asking.start()
    time.sleep(0.5)  # the session was looked at
    stack.on("interface", f"systemctl stop {POSTGRESQL}")
    stopped = time.time()
    stack.on("interface", f"systemctl start {POSTGRESQL}")
    wait(person.may_chat, 10, "an answer after the restart")
    asking.join()
    status, body, ended = seen[0]
    assert ended > stopped
    assert status == 200
    assert text_of(body).startswith(DIALOGUES["stream"]["answer"][:40])
    assert ENDS[stack.interface] in body
    assert person.lost() == set()
    assert started(stack) == before


def test_without_the_database_people_are_told_at_once(person: Person) -> None:
    stack, before = person.stack, started(person.stack)
    stack.on("interface", f"systemctl stop {POSTGRESQL}")
    try:
        for status, body in (person.say("nobody"), person.ask("nobody")):
            assert status == 503
            assert json.loads(body)["error"]["type"] == "server_error"
    finally:
        stack.on("interface", f"systemctl start {POSTGRESQL}")
    wait(person.may_chat, 10, "an answer after the start")
    assert person.lost() == set()
    assert started(stack) == before


@dataclass(frozen=True)
class Upload:
    """A file on its way, as the page sends one."""

    person: Person
    name: str
    data: bytes

    def put(self, *session: str) -> int:
        """Ask for an address and send the file there, with another session where one is given; return the status."""
        status, address = self.person.call("upload.createS3PreSignedUrl", {"pathname": f"files/{self.name}"})
        assert status == 200, address
        (self.person.folder / self.name).write_bytes(self.data)
        words = ("--upload-file", str(self.person.folder / self.name), "--header", "Content-Type: text/html")
        return self.person.stack.curl(path_of(str(address)), *words, *(session or self.person.session), key=False)[0]

    def register(self) -> tuple[int, object]:
        value = {"fileType": "text/html", "hash": self.name, "name": self.name, "size": len(self.data)}
        value |= {"url": f"files/{self.name}", "metadata": {"path": f"files/{self.name}"}}
        return self.person.call("file.createFile", value)


def path_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def fetched(person: Person, path: str, *session: str) -> tuple[int, str, bytes]:
    """Follow an address to its file; return the last status, all headers and the file."""
    body, headers = person.folder / "fetched", person.folder / "headers"
    body.unlink(missing_ok=True)
    words = ("--location", "--output", str(body), "--dump-header", str(headers))
    status = person.stack.curl(path, *words, *session, key=False)[0]
    return status, headers.read_text().lower(), body.read_bytes() if body.exists() else b""


def test_a_file_goes_up_and_down_by_the_edge_and_to_nobody_without_a_session(of_lobehub: Person) -> None:
    person = of_lobehub
    upload = Upload(person, f"{time.time():.0f}.html", b"<script>alert(1)</script>" + bytes(range(256)) * 9)
    assert upload.put() == 200
    status, made = upload.register()
    assert status == 200, made
    path = path_of(made["url"])  # type: ignore[index]
    status, headers, data = fetched(person, path, *person.session)
    assert (status, data) == (200, upload.data)
    assert "content-security-policy: sandbox" in headers
    assert "x-content-type-options: nosniff" in headers
    stranger = ("--header", "X-Nobody: 1")
    assert upload.put(*stranger) == 401
    assert fetched(person, path, *stranger)[0] == 401
    address = next(line.split(": ", 1)[1] for line in headers.splitlines() if line.startswith("location: "))
    assert "x-amz-signature=" in address
    person.call("file.removeFile", {"id": made["id"]})  # type: ignore[index]


def test_without_the_object_store_people_chat_and_an_upload_says_that_it_failed(of_lobehub: Person) -> None:
    person, stack = of_lobehub, of_lobehub.stack
    stack.on("interface", unit(stack, "stop", STORE))
    upload = Upload(person, f"{time.time():.0f}.txt", b"kept")
    try:
        assert person.may_chat()
        begun = time.monotonic()
        assert upload.put() in (502, 503, 504)
        assert time.monotonic() - begun < 10
    finally:
        stack.on("interface", unit(stack, "start", STORE))
    wait(lambda: upload.put() == 200, 30, "an upload")


SWITCH = "SELECT pg_logical_emit_message(true, $$x$$, $$y$$), pg_switch_wal()"
"""Goes on with the next file of the log."""


@pytest.fixture
def small_disk(stack: Stack) -> Iterator[None]:
    """Have the cluster on a disk of its own with little room; all that is said there is brought back."""
    data = stack.on("interface", f"ls -d {ROOT}/[0-9]*").strip()
    stack.on(
        "interface",
        f"""set -e
        systemctl stop {POSTGRESQL}
        mkdir -p {SMALL}
        mount -t tmpfs -o size=$(($(du -sm {data} | cut -f1) + 30))m tmpfs {SMALL}
        cp -a {data} {SMALL}/
        mount --bind {SMALL}/$(basename {data}) {data}
        systemctl start {POSTGRESQL}""",
    )
    yield
    stack.on(
        "interface",
        f"""set -e
        rm -f {SMALL}/filler
        systemctl stop {POSTGRESQL}
        umount {data}
        cp -a {SMALL}/$(basename {data}) {ROOT}/of-the-test
        rm -rf {data}
        mv {ROOT}/of-the-test {data}
        umount {SMALL}
        rmdir {SMALL}
        systemctl start {POSTGRESQL}""",
    )


def test_on_a_full_disk_nothing_is_lost_and_all_goes_on_where_there_is_room_again(
    person: Person, small_disk: None
) -> None:
    stack, before = person.stack, started(person.stack)
    wait(person.may_chat, 10, "an answer from the small disk")
    stack.on("interface", f"dd if=/dev/zero of={SMALL}/filler bs=64k 2>/dev/null || true")
    # What is large needs room of its own; what is small finds some for a while in pages that are there.
    large = "".join(f"{number:x}" for number in range(2**16, 2**16 + 40000))
    status, answer = person.say(large)
    assert status in (400, 500), answer  # Open WebUI says 400 for whatever went wrong
    assert person.lost() == set()
    assert text_of(person.ask("hello")[1]) == DIALOGUES["hello"]["answer"]
    # At last the log of what is promised finds no room either, and the cluster ends.
    switch = f"cd / && runuser -u postgres -- psql -h {ROOT}/socket -d {stack.interface} -c '{SWITCH}' >/dev/null 2>&1"
    wait(
        lambda: stack.on("interface", f"{switch}; systemctl is-active {POSTGRESQL}", check=False).strip() != "active",
        30,
        "the end of the log's room",
    )
    assert person.say("nobody")[0] >= 500
    stack.on("interface", f"rm {SMALL}/filler")
    wait(person.may_chat, 30, "an answer where there is room again")
    assert person.say(large)[0] == 200
    assert person.lost() == set()
    assert started(stack) == before


TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
MIGRATIONS = "SELECT count(*) FROM drizzle.__drizzle_migrations"
# While a transaction of its migration is open; the server of the database ends that with its session.
KILL = f"""
cd /
psql() {{ runuser -u postgres -- psql -h {ROOT}/socket -d lobehub -XAtc "$1"; }}
migrating="SELECT pid FROM pg_stat_activity WHERE datname = 'lobehub' AND usename = 'lobehub'
  AND xact_start < clock_timestamp() - interval '50 ms'"
for _ in $(seq 600); do
  if [ -n "$(psql "$migrating")" ]; then
    kill -KILL $(docker inspect gpuchat-lobehub --format '{{{{.State.Pid}}}}') && echo killed
    psql "{TABLES}"
    break
  fi
done
"""


@pytest.mark.long
def test_a_migration_that_is_killed_leaves_nothing_and_the_next_start_makes_it_whole(person: Person) -> None:
    stack, container = person.stack, interface_of(person.stack).container
    if stack.interface != "lobehub":
        pytest.skip("Open WebUI's migrations are many transactions")
    wanted = stack.sql("lobehub", MIGRATIONS)
    stack.on("interface", unit(stack, "stop", container))
    stack.sql("postgres", f"ALTER DATABASE lobehub RENAME TO {KEPT}")
    try:
        stack.must_play("--tags", "postgresql")
        assert stack.sql("lobehub", TABLES) == ["0"]
        assert stack.on("interface", f"{unit(stack, 'start', container)}; {KILL}").split() == ["killed", "0"]
        # The first 18 come in one transaction, for one of them ends it by itself, and the others each as it goes.
        wait(lambda: stack.sql("lobehub", TABLES) != ["0"], 60, "the next migration's first part")
        wait(lambda: stack.sql("lobehub", MIGRATIONS) == wanted, 60, "the whole migration")
    finally:
        stack.on("interface", unit(stack, "stop", container))
        stack.sql("postgres", "DROP DATABASE IF EXISTS lobehub WITH (FORCE)")
        stack.sql("postgres", f"ALTER DATABASE {KEPT} RENAME TO lobehub")
        stack.on("interface", anew(stack))


def test_sessions_and_history_stay_where_the_container_is_made_anew(person: Person) -> None:
    """As an upgrade makes it."""
    stack, before = person.stack, started(person.stack)
    stack.on("interface", anew(stack))
    wait(person.may_chat, 120, "an answer of the new container, for the old session")
    assert started(stack) != before
    assert person.lost() == set()
