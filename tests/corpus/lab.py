"""What the reproductions share: broken or fixed, a little server, clients in threads, an end after a while."""

import os
import select
import socket
import sys
import threading
import time

fixed = sys.argv[1:] == ["fixed"]
started = time.monotonic()


def seconds():
    """How long this has been running."""
    return time.monotonic() - started


def listener():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    s.bind(("127.0.0.1", 0))
    s.listen(256)
    return s


def taken(s):
    """A connection that does not block, from one system call."""
    fd, _ = s._accept()
    c = socket.socket(fileno=fd)
    c.setblocking(False)
    return c


def connect(server):
    return socket.create_connection(server.getsockname())


def client(work, *args):
    """Runs beside the loop, in a thread that waits on no loop."""

    def run():
        try:
            work(*args)
        except OSError:
            pass

    threading.Thread(target=run, daemon=True).start()


def crowd(server, n, work):
    """So many connections, held by a process of its own that no handler keeps from sending; their ends here."""
    if os.fork() == 0:
        try:
            work([connect(server) for _ in range(n)])
        finally:
            os._exit(0)
    ends = {}
    for _ in range(n):
        select.select([server], [], [])
        c = taken(server)
        ends[c.fileno()] = c
    return ends


def compute(s):
    """Has the CPU for so many seconds."""
    until = time.thread_time() + s
    while time.thread_time() < until:
        pass


def leave():
    os._exit(0)
