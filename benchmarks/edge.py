# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times what the door and the edge add to a streamed answer, and how many streams they hold.

    edge.py INVENTORY [--requests N] [--streams N]

INVENTORY has made a stack on one host of the world (`make demo` makes inventories/demo). Door and edge are the real
ones. In the engine's place a stand-in listens on its socket meanwhile, whose chunks say when they were sent. Ways are
asked in turn: direct, by the socket itself; door, by the loopback; edge, by HTTPS. What counts is the difference to
direct in the same run.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SOCKET = "/var/lib/gpuchat/vllm/gpuchat-demo/vllm.sock"
CHUNKS, PAUSE_MS = 20, 5
STREAM_CHUNKS, STREAM_PAUSE_MS = 20, 500
UNLIMITED = {"edge_api_rate": 1000000, "edge_api_burst": 100000, "edge_api_connections": 60000}

ENGINE = f"""
import asyncio, os, time
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
            await asyncio.sleep(pause / 1000)
        writer.write(b"0\\r\\n\\r\\n")
    writer.close()
async def main():
    os.umask(0o007)
    if os.path.exists("{SOCKET}"):
        os.unlink("{SOCKET}")
    await (await asyncio.start_unix_server(serve, "{SOCKET}", backlog=4096)).serve_forever()
asyncio.run(main())
"""

CLIENT = """
import asyncio, json, re, ssl, sys, time
given = json.loads(sys.stdin.read())
context = ssl._create_unverified_context()
async def connect(way):
    if way == "direct":
        return await asyncio.open_unix_connection(given["socket"])
    if way == "door":
        return await asyncio.open_connection("127.0.0.1", given["port"])
    return await asyncio.open_connection(given["address"], 443, ssl=context)
async def ask(way, count, pause):
    reader, writer = await connect(way)
    head = [f"POST /v1/chat/completions HTTP/1.1", f"Host: {given['domain']}", "Content-Length: 2", "Connection: close",
            f"Authorization: Bearer {given['keys'][way]}", f"X-Chunks: {count}", f"X-Pause-Ms: {pause}"]
    asked = time.monotonic_ns()
    writer.write("\\r\\n".join([*head, "", "{}"]).encode())
    first, late, seen = 0, [], b""
    while len(late) < count:
        piece = await reader.read(65536)
        now = time.monotonic_ns()
        if not piece:
            break
        first = first or now - asked
        seen += piece
        *whole, seen = re.split(rb"(?<=\\n\\n)", seen)
        late += [now - int(found) for one in whole for found in re.findall(rb"data: (\\d+)\\n\\n", one)]
    writer.close()
    return first, late
async def in_turn():
    found = {way: [] for way in given["ways"]}
    for _ in range(given["requests"]):
        for way in given["ways"]:
            found[way].append(await ask(way, given["chunks"], given["pause"]))
    return found
async def at_once():
    made = await asyncio.gather(*(ask("edge", given["chunks"], given["pause"]) for _ in range(given["streams"])))
    return [len(late) for _first, late in made]
print(json.dumps(asyncio.run(at_once() if given["streams"] else in_turn())))
"""


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inventory", type=pathlib.Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--streams", type=int, default=2000)
    arguments = parser.parse_args()
    inventory = arguments.inventory.resolve()
    world = json.loads((inventory / ".world.json").read_text(encoding="utf-8"))
    hosts = yaml.safe_load((inventory / "hosts.yml").read_text(encoding="utf-8"))["all"]
    secrets = yaml.safe_load((inventory / ".gpuchat" / "secrets.yml").read_text(encoding="utf-8"))
    server = f"gpuchat-{world['name']}-{next(iter(hosts['children']['gpu']['hosts']))}"
    keys = {"direct": "none", "door": secrets["vllm_api_key"], "edge": secrets["api_key"]}
    common = {"socket": SOCKET, "port": 8000, "address": hosts["vars"]["verify_address"], "keys": keys}
    common |= {"domain": hosts["vars"]["gpuchat_domain"], "ways": list(keys), "requests": arguments.requests}
    play(inventory, "--tags", "edge", "-e", json.dumps(UNLIMITED))
    on(server, "docker stop gpuchat-vllm-gpuchat-demo")
    on(server, f"cat >/root/engine.py <<'END'\n{ENGINE}\nEND")
    on(server, f"cat >/root/client.py <<'END'\n{CLIENT}\nEND")
    on(server, "systemd-run --quiet --unit=stand-in --collect -p LimitNOFILE=65536 python3 /root/engine.py")
    try:
        on(server, f"until [ -S {SOCKET} ]; do sleep 0.1; done")
        client = "ulimit -n 65536; python3 /root/client.py"
        told = {**common, "chunks": CHUNKS, "pause": PAUSE_MS, "streams": 0}
        report(json.loads(on(server, client, told)))
        told |= {"chunks": STREAM_CHUNKS, "pause": STREAM_PAUSE_MS, "streams": arguments.streams}
        counts = json.loads(on(server, client, told))
        whole = sum(count == STREAM_CHUNKS for count in counts)
        print(f"{len(counts)} streams at once through the edge: {whole} whole")
    finally:
        on(
            server,
            "systemctl stop stand-in; rm -f /root/engine.py /root/client.py; docker start gpuchat-vllm-gpuchat-demo",
        )
        play(inventory, "--tags", "edge")


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
