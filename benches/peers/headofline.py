#!/usr/bin/env python3
"""Head of line: one connection's handler computes, everybody else's requests wait behind it. Does the recorder see each wait?

A Tokio server, unmodified under `loopscope record`, with 1, 2 and 4 workers. One client makes its handler compute 20 ms, 20
times; eight quick ones stamp every round trip meanwhile. Each round trip that waited over 5 ms for its answer is looked for in
`loopscope export --to dispatches`: it is *seen* when a dispatch of that very connection (from ready at the earliest to the
handler's end) holds it; and what of it is *blamed* on the slow connection is what that dispatch says it waited behind it. What
passed between the answer and a client's reading it, the client was late itself.

    benches/peers/headofline.py [--loopscope PATH] [--target DIR] [--rounds N]
"""

import argparse
import json
import os
import pathlib
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import machine  # noqa: E402
import run  # noqa: E402

QUICK, SLOW, PAUSE = 8, 20, 0.2
EVERY = 0.003
LATE = 5_000_000
# Between a client's stamp and its call, and between what the kernel did and what a thread that is woken stamps.
SLACK = 1_000_000


class Client:
    """One connection, with at most one request under way."""

    def __init__(self, port, first, every):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.socket.getsockname()[1]
        self.first, self.every, self.sent, self.next = first, every, None, 0.0

    def send(self):
        self.sent = time.monotonic_ns()
        self.socket.sendall(self.first * 20)

    def receive(self):
        self.socket.recv(64)
        sent, self.sent = self.sent, None
        self.next = time.monotonic() + self.every
        return self.port, sent, time.monotonic_ns()


def drive(port):
    """The slow client's port, and every quick round trip: port, sent, received."""
    quick = [Client(port, b"f", EVERY) for _ in range(QUICK)]
    slow, slowed, trips = Client(port, b"S", PAUSE), 0, []
    slow.next = time.monotonic() + PAUSE
    ready = selectors.DefaultSelector()
    for client in (*quick, slow):
        ready.register(client.socket, selectors.EVENT_READ, client)
    while slowed < SLOW:
        now = time.monotonic()
        for client in (*quick, slow):
            if client.sent is None and client.next <= now:
                client.send()
        for key, _ in ready.select(0.0005):
            trip = key.data.receive()
            if key.data is slow:
                slowed += 1
            else:
                trips.append(trip)
    return slow.port, trips


def record(command, server, workers, out):
    """Runs the server under `record` while clients drive it."""
    port = machine.free_port()
    traced = subprocess.Popen(
        [command, "record", "--force", "-o", out, "--", server, str(port), "plain", "-", str(workers)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        machine.wait_until(lambda: listens(port), 30, "the server starting")
        driven = drive(port)
        pids = [pid for pid in machine.tree(traced.pid) if machine.name(pid) == "echo-server"]
        os.kill(pids[-1], signal.SIGTERM)
        traced.wait(30)
        return driven
    finally:
        traced.kill()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def on_clock(dispatch):
    """Since when it may have been ready and when its handler ended, as the clients' clock has it."""
    clock, ready = dispatch["monotonic_ns"], dispatch["ready_lo_ns"]
    return (dispatch["told_ns"] if ready is None else ready) + clock, dispatch["end_ns"] + clock, dispatch


def judge(command, out, slow, trips):
    """What of the late round trips is in the recording."""
    text = subprocess.run([command, "export", "--to", "dispatches", out], capture_output=True, text=True, check=True).stdout
    of_peer = {}
    for line in text.splitlines():
        dispatch = json.loads(line)
        peer = (dispatch["addresses"] or "").rpartition(":")[2]
        of_peer.setdefault(peer, []).append(dispatch)
    told = {"late": 0, "seen": 0, "ns": 0, "blamed": 0, "trips": len(trips)}
    for port, sent, received in trips:
        if received - sent <= LATE:
            continue
        served = [on_clock(dispatch) for dispatch in of_peer.get(str(port), [])]
        served = [one for one in served if one[1] >= sent and one[1] <= received + SLACK and one[0] <= sent + SLACK]
        # Once it was answered it was the client that was late.
        answered = served[0][1] if served else received
        wait = min(answered, received) - sent
        if wait <= LATE:
            continue
        told["late"] += 1
        told["ns"] += wait
        told["seen"] += bool(served)
        behind = served[0][2]["behind"] if served else []
        mine = (what["hi_ns"] for what in behind if (what.get("name") or "").endswith(f":{slow}"))
        told["blamed"] += min(sum(mine), wait)
    return told


def named(command, out):
    """The function that the worst finding says was at work."""
    text = subprocess.run([command, "report", "--json", out], capture_output=True, text=True, check=True).stdout
    said = (re.search(r"its thread was in (.+?)(?: \(|, called)", finding["summary"]) for finding in json.loads(text)["findings"])
    return next((found[1] for found in said if found), "not said")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loopscope", metavar="PATH", help="this program instead of a release build")
    parser.add_argument("--target", metavar="DIR", help="cargo's target directory")
    parser.add_argument("--rounds", type=int, default=1, help="so many recordings for each number of workers")
    chosen = parser.parse_args()
    chosen.target = os.path.abspath(chosen.target or os.environ.get("CARGO_TARGET_DIR") or run.ROOT / "target")
    chosen.scratch = run.roomy()
    setup = run.Setup(chosen)
    command = os.path.abspath(chosen.loopscope) if chosen.loopscope else setup.build_loopscope()
    server = setup.build_echo()
    print("| workers | round trips | over 5 ms | seen | in all | blamed on the slow connection | function named |")
    print("|---|---|---|---|---|---|---|")
    unseen = 0
    for workers in (1, 2, 4):
        for _ in range(chosen.rounds):
            with tempfile.TemporaryDirectory(prefix="loopscope-headofline-") as directory:
                out = f"{directory}/x.lscope"
                slow, trips = record(command, server, workers, out)
                told = judge(command, out, slow, trips)
                share = told["blamed"] / told["ns"] if told["ns"] else 0
                print(
                    f"| {workers} | {told['trips']:,} | {told['late']} | {told['seen']} | {told['ns'] / 1e9:.2f} s"
                    f" | {share:.1%} | {named(command, out)} |",
                    flush=True,
                )
                unseen += told["late"] - told["seen"]
    return 1 if unseen else 0


if __name__ == "__main__":
    sys.exit(main())
