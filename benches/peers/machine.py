"""What the kernel tells of processes, and what to make of noisy figures."""

import glob
import os
import random
import socket
import statistics
import subprocess
import sys
import time

CPUCLOCK_SCHED = 2


class Broken(Exception):
    """A measurement that did not happen, and why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def cpu_ns(pid):
    """Nanoseconds of processor that a process has used, its ended threads included: its CPU-time clock."""
    try:
        return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)
    except OSError:
        return 0


def children(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path) as file:
                found += [int(child) for child in file.read().split()]
        except OSError:
            pass
    return found


def tree(pid):
    """A process and all that came of it."""
    return [pid] + [below for child in children(pid) for below in tree(child)]


def name(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""


def named(prefix):
    """Every process whose name begins so."""
    pids = [int(pid) for pid in os.listdir("/proc") if pid.isdigit()]
    return [pid for pid in pids if name(pid).startswith(prefix)]


def holds(pid, what):
    """How many of a process's descriptors are links to something of this name."""
    count = 0
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            count += what in os.readlink(path)
        except OSError:
            pass
    return count


def load():
    return os.getloadavg()[0]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(true, seconds, what):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise Broken(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def end(process, seconds=60):
    """Waits for a process to end by itself, and kills it and its children if it does not."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        for pid in reversed(tree(process.pid)):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        process.wait()
        raise Broken(f"{process.args[0]} did not end within {seconds} s") from None


def pin(pid, cpu):
    """All threads of a process."""
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            os.sched_setaffinity(int(task), {cpu})
        except ProcessLookupError:
            pass


def median(values):
    return statistics.median(values) if values else None


def interval(values, draws=2000):
    """The bootstrap's 95 % interval of the median; the same for the same values."""
    if len(values) < 3:
        return None
    dice = random.Random(1)
    medians = sorted(statistics.median(dice.choices(values, k=len(values))) for _ in range(draws))
    return [medians[draws // 40], medians[draws - 1 - draws // 40]]
