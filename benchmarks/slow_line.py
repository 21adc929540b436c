# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A long line in user space, for kernels without netem: relays TCP ports and delays what passes.

    slow_line.py SECONDS LISTEN:TARGET [LISTEN:TARGET ...]

Each direction of each connection is a kernel pipe, filled from one socket and emptied into the other SECONDS later;
the bytes never enter this process. A new connection waits for one round trip first, as its handshake would.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import select
import socket
import sys
import threading
import time

PIPE_BYTES = 1024 * 1024
F_SETPIPE_SZ = 1031
"""fcntl's number, which the fcntl module names only from Python 3.10 on, and not everywhere."""


def forward(source: socket.socket, target: socket.socket, delay: float, wait: float) -> None:
    """Pass on what comes in, each piece `delay` seconds after it came, the first after `wait` seconds more."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, PIPE_BYTES)
    pieces: queue.SimpleQueue[tuple[float, int]] = queue.SimpleQueue()

    def empty() -> None:
        time.sleep(wait)
        while True:
            due, size = pieces.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not size:
                break
            while size:
                try:
                    size -= os.splice(reading, target.fileno(), size)
                except OSError:
                    os.close(reading)
                    return
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        os.close(reading)

    threading.Thread(target=empty, daemon=True).start()
    ready = select.poll()
    ready.register(source, select.POLLIN)
    size = 1
    while size:
        ready.poll()  # a splice that waits for the socket would keep the pipe locked
        try:
            size = os.splice(source.fileno(), writing, PIPE_BYTES)
        except OSError:
            size = 0
        pieces.put((time.monotonic() + delay, size))
    os.close(writing)


def connect(client: socket.socket, port: int, delay: float) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=forward, args=(server, client, delay, 0.0), daemon=True)
        back.start()
        forward(client, server, delay, 2 * delay)
        back.join()


def listen(port: int, target: int, delay: float) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=256) as server:
        while True:
            client, _address = server.accept()
            threading.Thread(target=connect, args=(client, target, delay), daemon=True).start()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    listeners = []
    for pair in sys.argv[2:]:
        near, _colon, far = pair.partition(":")
        listeners.append(threading.Thread(target=listen, args=(int(near), int(far), float(sys.argv[1]))))
        listeners[-1].start()
