# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interface and the engine can reach, assuming that each does what an attacker wants."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from interfaces import ask_from_the_room, interface_of
from running import Stack, wait

PORT = 18080
LISTENER = f"""
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open("/tmp/asked", "a").write(self.path + "\\n")
        self.send_error(418)
    do_POST = do_PUT = do_GET
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", {PORT}), Handler).serve_forever()
"""
GATEWAY = "ip -oneline -4 address show gpuchat-room | grep -Eo 'inet [0-9.]+' | cut -d ' ' -f 2"


@pytest.fixture(scope="module")
def listening(stack: Stack) -> Iterator[Stack]:
    """Have something to reach on the stack's host, and on another one."""
    for host in (*stack.hosts, "probe"):
        stack.on(host, f"rm -f /tmp/asked; cat >/tmp/listener.py <<'END'\n{LISTENER}\nEND")
        stack.on(host, "systemd-run --quiet --unit=listener --collect python3 /tmp/listener.py")
        wait(lambda host=host: stack.on(host, f"ss -ltnH 'sport = :{PORT}'") != "", 20, "a listener")
    yield stack
    for host in (*stack.hosts, "probe"):
        stack.on(host, "systemctl stop listener; rm -f /tmp/asked /tmp/listener.py")


def addresses(stack: Stack) -> dict[str, str]:
    """Return where the listeners are, as the interface could know them."""
    world: dict[str, dict[str, dict[str, str]]] = stack.world["hosts"]  # type: ignore[assignment]
    return {
        "the host's loopback": "127.0.0.1",
        "the host's address in the room": stack.on("interface", GATEWAY, check=False).strip() or "172.17.0.1",
        "another host": next(iter(world["probe"]["addresses"].values())),
        **{
            f"{host}'s address in {network}": address
            for host in stack.hosts
            for network, address in world[host]["addresses"].items()
            if ":" not in address  # the room has no IPv6
        },
    }


def asked(stack: Stack) -> str:
    return "".join(
        stack.on(host, "cat /tmp/asked 2>/dev/null; rm -f /tmp/asked", check=False) for host in (*stack.hosts, "probe")
    )


def test_from_inside_the_interface_nothing_is_reached_but_the_paths_of_its_models(listening: Stack) -> None:
    stack = listening
    places = addresses(stack)
    found = dict(zip(places, ask_from_the_room(stack, [(one, PORT, "/") for one in places.values()]), strict=True))
    assert not [where for where, status in found.items() if status.isdigit()], found
    assert asked(stack) == ""
    gateway = stack.on("interface", GATEWAY).strip()
    closed = (22, 80, 3210, 8001, 5432)
    ports = dict(zip(closed, ask_from_the_room(stack, [(gateway, port, "/") for port in closed]), strict=True))
    assert not [port for port, status in ports.items() if status.isdigit()], ports
    paths = ("v1/models", "invocations", "pause", "metrics", "health", "tokenize", "v1", "v1/models/", "docs")
    assert ask_from_the_room(stack, [(gateway, 8000, f"/{path}") for path in paths]) == ["200", *["404"] * 8]


def test_the_interface_knows_no_key_of_the_engine(stack: Stack) -> None:
    here = interface_of(stack)
    pid = stack.on("interface", f"docker inspect {here.container} --format '{{{{.State.Pid}}}}'").strip()
    everything = stack.on("interface", f"cat /proc/{pid}/environ {here.folder}/*; docker inspect {here.container}")
    assert stack.secrets[f"postgresql_{stack.interface}_password"] in everything
    assert stack.secrets["vllm_api_key"] not in everything
    assert stack.secrets["api_key"] not in everything


def test_the_engine_has_no_network_and_no_port(stack: Stack) -> None:
    assert (
        stack.on("engine", "docker inspect gpuchat-vllm-gpuchat-demo --format '{{.HostConfig.NetworkMode}}'").strip()
        == "none"
    )
    seen = stack.on("engine", "docker exec gpuchat-vllm-gpuchat-demo cat /proc/net/tcp /proc/net/tcp6")
    listening = [line.split()[1] for line in seen.splitlines() if line.split()[3:4] == ["0A"]]
    assert not [one for one in listening if not one.startswith("0100007F")], seen


ASK = """
import http.client, socket, sys
where, path = sys.argv[1:]
one = http.client.HTTPConnection("127.0.0.1", 8000, timeout=10)
if where.startswith("/"):
    one.sock = socket.socket(socket.AF_UNIX)
    try:
        one.sock.connect(where)
    except OSError as error:
        sys.exit(type(error).__name__)
one.putrequest("GET", path)
one.endheaders()
print(one.getresponse().status)
"""


def from_the_host(stack: Stack, path: str, socket: str = "loopback", user: str = "") -> str:
    """Ask the engine's door on its own host, or its socket; return the status, or how it failed."""
    as_user = f"setpriv --reuid {user} --regid $(id -g {user}) --clear-groups" if user else ""
    return stack.on("engine", f"{as_user} python3 - {socket} {path} 2>&1 <<'END'\n{ASK}\nEND", check=False).strip()


@pytest.mark.parametrize(
    ("user", "wanted"), [("www-data", "200"), ("nobody", "PermissionError"), ("daemon", "PermissionError")]
)
def test_the_engines_socket_is_open_to_the_door_alone(stack: Stack, user: str, wanted: str) -> None:
    assert from_the_host(stack, "/health", "/var/lib/gpuchat/vllm/gpuchat-demo/vllm.sock", user) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/models", "401"),  # by the engine, for the door on the loopback gives no key
        *((path, "404") for path in ("/invocations", "/pause", "/metrics", "/health", "/tokenize", "/docs", "/v1")),
        *(
            (path, "404")
            for path in ("/v1/models/", "/v1//models", "//v1/models", "/v1/../metrics", "/v1/audio/speech")
        ),
    ],
)
def test_on_its_own_host_too_the_door_hands_on_five_paths_alone(stack: Stack, path: str, wanted: str) -> None:
    assert from_the_host(stack, path) == wanted
