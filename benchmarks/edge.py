# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times what the door and the edge add to a streamed answer, how many they hold, and what bad input costs the edge.

    edge.py INVENTORY [--requests N] [--streams N] [--people N]

INVENTORY has made a stack on one host of the world (`make demo` makes inventories/demo). Door and edge are the real
ones, with the limits that they have: but for the API's, of which one client would soon have had enough. In the place of
engine and interface a stand-in listens meanwhile, whose chunks say when they were sent.

- Ways are asked in turn: direct, by the engine's socket; door, by the loopback; edge, by HTTPS. What counts is the
  difference to direct in the same run.
- Many streams at once are read to their end.
- People behind one address, each with a session, ask twice at once, and again when the answer of six seconds has ended.
- Wrong keys, headers and bodies that are too large, and half-sent headers come in rounds; what counts is how much
  memory the edge has after the last one beside the first, and not while nginx fills its pools.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
MODEL = "gpuchat-demo"
SOCKET = f"/var/lib/gpuchat/vllm/{MODEL}/vllm.sock"
CONTAINERS = f"gpuchat-vllm-{MODEL} gpuchat-lobehub"
CHUNKS, PAUSE_MS = 20, 5
STREAM_CHUNKS, STREAM_PAUSE_MS = 20, 2000
ANSWER_CHUNKS, ANSWER_PAUSE_MS, ANSWERS = 20, 300, 3
ROUNDS = 3
UNLIMITED = {"edge_api_rate": 1000000, "edge_api_burst": 100000, "edge_api_connections": 60000, "door_requests": 10000}
ROOM = "172.16.255.250/29"
"""Where the edge expects the interface."""

STAND_IN = """
import asyncio, os, sys, time
async def serve(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            break
        fields = dict(one.lower().split(b": ", 1) for one in head.split(b"\\r\\n")[1:] if b": " in one)
        await reader.readexactly(int(fields.get(b"content-length", 0)))
        count, pause = (int(fields.get(name, usual)) for name, usual in ((b"x-chunks", 1), (b"x-pause-ms", 0)))
        writer.write(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
        for _ in range(count):
            text = b"data: %d\\n\\n" % time.monotonic_ns()
            writer.write(b"%x\\r\\n%s\\r\\n" % (len(text), text))
            await writer.drain()
            if pause:
                await asyncio.sleep(pause / 1000)
        writer.write(b"0\\r\\n\\r\\n")
    writer.close()
async def main():
    place = sys.argv[1]
    if place.startswith("/"):
        os.umask(0o007)
        if os.path.exists(place):
            os.unlink(place)
        server = await asyncio.start_unix_server(serve, place, backlog=4096)
    else:
        server = await asyncio.start_server(serve, place, 3210, backlog=4096)
    await server.serve_forever()
asyncio.run(main())
"""

CLIENT = """
import asyncio, collections, json, re, ssl, sys, time
given = json.loads(sys.stdin.read())
context = ssl._create_unverified_context()
body = json.dumps({"model": given["model"], "stream": True, "messages": []})
gate, under_way, most = asyncio.Semaphore(50), 0, 0
async def connect(way):
    if way == "direct":
        return await asyncio.open_unix_connection(given["socket"])
    if way == "door":
        return await asyncio.open_connection("127.0.0.1", given["port"])
    return await asyncio.open_connection(given["address"], 443, ssl=context)
async def ask(way, count, pause, path="/v1/chat/completions", credential=""):
    global under_way, most
    try:
        async with gate:  # a single client has to make each handshake of TLS, and the edge waits ten seconds for one
            reader, writer = await connect(way)
    except OSError:
        return 0, [], "no connection"
    under_way += 1
    most = max(most, under_way)
    credential = credential or f"Authorization: Bearer {given['keys'][way]}"
    head = [f"POST {path} HTTP/1.1", f"Host: {given['domain']}", f"Content-Length: {len(body)}", "Connection: close",
            "Content-Type: application/json", credential, f"X-Chunks: {count}", f"X-Pause-Ms: {pause}"]
    asked = time.monotonic_ns()
    writer.write("\\r\\n".join([*head, "", body]).encode())
    first, late, seen, status = 0, [], b"", b""
    while len(late) < count:
        try:
            piece = await reader.read(65536)
        except OSError:
            status = b"reset"
            break
        now = time.monotonic_ns()
        if not piece:
            break
        first, status = first or now - asked, status or piece[9:12]
        seen += piece
        *whole, seen = re.split(rb"(?<=\\n\\n)", seen)
        late += [now - int(found) for one in whole for found in re.findall(rb"data: (\\d+)\\n\\n", one)]
    writer.close()
    under_way -= 1
    return first, late, status.decode()
async def in_turn():
    found = {way: [] for way in given["ways"]}
    for _ in range(given["requests"]):
        for way in given["ways"]:
            found[way].append((await ask(way, given["chunks"], given["pause"]))[:2])
    return found
def counted(made):
    ends = {True: "whole", False: "cut"}
    return collections.Counter(f"{status}, {ends[len(late) == given['chunks']]}" for _, late, status in made)
async def at_once():
    asked = (ask("edge", given["chunks"], given["pause"]) for _ in range(given["streams"]))
    made = counted(await asyncio.gather(*asked))
    return {**made, "open at a time": most}
async def person(number):
    await asyncio.sleep(2 * number / given["people"])
    made, session = [], f"Cookie: {given['session'].replace('NUMBER', str(number))}"
    for _ in range(given["answers"]):
        asked = (ask("edge", given["chunks"], given["pause"], given["path"], session) for _ in range(2))
        made += await asyncio.gather(*asked)
    return made
async def people():
    made = await asyncio.gather(*(person(number) for number in range(given["people"])))
    return counted(one for each in made for one in each)
async def bad(request, wait):
    status, writer = b"", None
    try:
        reader, writer = await (asyncio.open_connection(given["address"], 80) if wait else connect("edge"))
        writer.write(request)
        await writer.drain()
        if wait:
            await asyncio.sleep(wait)
        status = (await asyncio.wait_for(reader.read(65536), 20))[9:12]
    except (OSError, asyncio.TimeoutError):
        pass
    if writer:
        writer.close()
    return status.decode() or "closed"
async def wrong_keys(numbers):
    reader, writer = await connect("edge")
    made = []
    for number in numbers:
        writer.write(f"GET /v1/models HTTP/1.1\\r\\nHost: {given['domain']}\\r\\n"
                     f"Authorization: Bearer sk-{number:08x}-{'x' * 43}\\r\\n\\r\\n".encode())
        answer = await reader.readuntil(b"\\r\\n\\r\\n")
        await reader.readexactly(int(re.search(rb"(?i)content-length: (\\d+)", answer)[1]))
        made.append(answer[9:12].decode())
    writer.close()
    return made
async def refused():
    head = f"POST /v1/chat/completions HTTP/1.1\\r\\nHost: {given['domain']}\\r\\n".encode()
    key = f"Authorization: Bearer {given['keys']['edge']}\\r\\n".encode()
    gate = asyncio.Semaphore(given["beside"])
    async def one(request, wait=0):
        async with gate:
            return await bad(request, wait)
    large, many = b"a" * 70000, b"".join(b"X-%d: a\\r\\n" % one for one in range(1000))
    wrong = b"Content-Length: 1000000\\r\\n\\r\\n" + b"a" * 1000000
    kinds = {
        "headers of 70 kB": (300, lambda n: head + key + b"X-A: " + large + b"\\r\\n\\r\\n", 0),
        "a thousand headers": (300, lambda n: head + key + many + b"\\r\\n", 0),
        "bodies of 1 MB with a wrong key": (100, lambda n: head + wrong, 0),
        "bodies said to have 1 TB": (300, lambda n: head + key + b"Content-Length: 999999999999\\r\\n\\r\\n{}", 0),
        "half-sent headers": (given["half"], lambda n: head + b"X-A: a", 11),
    }
    numbers = iter(range(10000))
    made = await asyncio.gather(*(wrong_keys(numbers) for _ in range(100)))
    found = {"wrong keys": collections.Counter(one for each in made for one in each)}
    for what, (count, request, wait) in kinds.items():
        made = await asyncio.gather(*(bad(request(n), wait) if wait else one(request(n)) for n in range(count)))
        found[what] = collections.Counter(made)
    return found
print(json.dumps(asyncio.run({"ways": in_turn, "streams": at_once, "people": people, "bad": refused}[given["what"]]())))
"""

MEMORY = """
main=$(cat /run/gpuchat-edge/nginx.pid)
for process in $main $(cat /proc/$main/task/$main/children); do
  awk '/^Pss:/ { print $2 }' /proc/$process/smaps_rollup
done | awk '{ sum += $1 } END { print sum }'
"""
"""What the edge's processes have (KiB), each shared page counted once."""


def on(host: str, script: str, given: object = None) -> str:
    command = ["docker", "exec", "--interactive", host, "sh", "-c", script]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{script[:80]}\n{done.stderr[-2000:]}")
    return done.stdout


def play(inventory: pathlib.Path, *words: str) -> None:
    program = pathlib.Path(sys.executable).parent / "ansible-playbook"
    subprocess.run([str(program), "site.yml", "-i", str(inventory), *words], cwd=ROOT, check=True, capture_output=True)


def milliseconds(values: list[int], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] / 1e6


def start(server: str) -> None:
    """Put stand-ins in the place of engine and interface, the latter in a network of its own as the real one."""
    on(server, f"docker stop {CONTAINERS}")
    on(server, f"cat >/root/stand-in.py <<'END'\n{STAND_IN}\nEND")
    on(server, f"cat >/root/client.py <<'END'\n{CLIENT}\nEND")
    on(server, "ip netns add stand-in && ip link add stand-in type veth peer name room netns stand-in")
    on(server, "ip link set stand-in master gpuchat-room up && ip -n stand-in link set room up")
    on(server, f"ip -n stand-in address add {ROOM} dev room")
    run = "systemd-run --quiet --collect -p LimitNOFILE=65536"
    on(server, f"{run} --unit=stand-in-engine python3 /root/stand-in.py {SOCKET}")
    room = ROOM.partition("/")[0]
    inside = f"ip netns exec stand-in python3 /root/stand-in.py {room}"
    on(server, f"{run} --unit=stand-in-interface {inside}")
    answers = f"python3 -c 'import socket; socket.create_connection((\"{room}\", 3210), 1)' 2>/dev/null"
    on(server, f"until [ -S {SOCKET} ] && {answers}; do sleep 0.1; done")


def stop(server: str) -> None:
    on(
        server,
        "systemctl stop stand-in-engine stand-in-interface; ip netns delete stand-in;"
        " ip link delete stand-in 2>/dev/null;"
        f" rm -f /root/stand-in.py /root/client.py; docker start {CONTAINERS}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inventory", type=pathlib.Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--people", type=int, default=100)
    arguments = parser.parse_args()
    inventory = arguments.inventory.resolve()
    world = json.loads((inventory / ".world.json").read_text(encoding="utf-8"))
    hosts = yaml.safe_load((inventory / "hosts.yml").read_text(encoding="utf-8"))["all"]
    secrets = yaml.safe_load((inventory / ".gpuchat" / "secrets.yml").read_text(encoding="utf-8"))
    server = f"gpuchat-{world['name']}-{next(iter(hosts['children']['gpu']['hosts']))}"
    keys = {"direct": "none", "door": secrets["vllm_api_key"], "edge": secrets["api_key"]}
    common = {"socket": SOCKET, "port": 8000, "address": hosts["vars"]["verify_address"], "keys": keys, "model": MODEL}
    common |= {"domain": hosts["vars"]["gpuchat_domain"], "ways": list(keys), "requests": arguments.requests}

    def asked(what: str, chunks: int = 1, pause: int = 0, **more: object) -> dict:
        given = {**common, "what": what, "chunks": chunks, "pause": pause, **more}
        return json.loads(on(server, "ulimit -n $(ulimit -Hn); python3 /root/client.py", given))

    print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    start(server)
    try:
        session = {"path": "/webapi/chat/vllm", "session": "better-auth.session_token=NUMBER.of-somebody"}
        told = asked("people", ANSWER_CHUNKS, ANSWER_PAUSE_MS, people=arguments.people, answers=ANSWERS, **session)
        print(f"{arguments.people} people at one address, answers of 6 s: {tally(told)}", flush=True)
        memory = [int(on(server, MEMORY))]
        for number in range(ROUNDS):
            made = asked("bad", beside=100, half=900)
            memory.append(int(on(server, MEMORY)))
            for what, statuses in made.items() if not number else ():
                print(f"  {what}: {tally(statuses)}", flush=True)
        told_memory = ", ".join(f"{one / 1024:.1f}" for one in memory)
        print(f"memory of the edge before, and after each of {ROUNDS} such rounds: {told_memory} MiB", flush=True)
        play(inventory, "--tags", "door,edge", "-e", json.dumps(UNLIMITED))
        report(asked("ways", CHUNKS, PAUSE_MS))
        told = asked("streams", STREAM_CHUNKS, STREAM_PAUSE_MS, streams=arguments.streams)
        print(f"{arguments.streams} streams through the edge: {tally(told)}", flush=True)
        print(f"memory of the edge then: {int(on(server, MEMORY)) / 1024:.1f} MiB")
    finally:
        stop(server)
        play(inventory, "--tags", "door,edge")


def tally(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in collections.Counter(counts).most_common())


def report(found: dict[str, list[tuple[int, list[int]]]]) -> None:
    """Print what each way takes, and what it adds to direct."""
    for what, values_of in (
        ("to the first byte", lambda made: [first for first, _late in made]),
        (
            "from a chunk's sending to its arrival",
            lambda made: [late for _first, all_late in made for late in all_late],
        ),
    ):
        print(f"\nmilliseconds {what}: median, 99th percentile, and what is added")
        values = {way: values_of(made) for way, made in found.items()}
        usual = {part: milliseconds(values["direct"], part) for part in (0.5, 0.99)}
        for way, own in values.items():
            median, most = (milliseconds(own, part) for part in (0.5, 0.99))
            print(f"  {way:8}{median:8.2f}{most:8.2f}    +{median - usual[0.5]:.2f} +{most - usual[0.99]:.2f}")
        print(f"  ({len(values['direct'])} of each, mean of direct {statistics.mean(values['direct']) / 1e6:.2f})")


if __name__ == "__main__":
    main()
