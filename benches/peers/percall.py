"""What one traced call costs the thread that makes it, and whether any is lost at so many calls a second.

Each traced run follows an untraced one, and only the two are compared. The cost is what the thread's own processor time
shows, which waiting for a busy machine does not change; of strace, which stops the program while it works, the clock's.
"""

import os
import subprocess

import machine
from machine import Broken, median
from tools import WAIT, Tool

CALLS = {"read": "read", "epoll_wait": WAIT}
SERIES = 7
# What docs/loopscope.h offers, in so many calls a series that they fit into the smallest ring: none is lost.
MARKS = ("mark", "handler")
MARKS_CALLS, MARKS_SERIES = 1000, 21


class Program:
    """programs/calls.c, run once with a tool around it or beside it."""

    def __init__(self, setup, tool, calls, out):
        self.setup, self.tool, self.calls, self.out = setup, tool, calls, out

    def run(self, *arguments):
        tool = self.tool
        tool.before(self.out)
        prefix, environment = tool.launch(self.calls, self.out)
        process = subprocess.Popen(
            [*prefix, self.setup.program("calls"), *map(str, arguments)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        tracer = None
        try:
            ready = ""
            while not ready.startswith("ready "):
                ready = process.stderr.readline()
                if not ready:
                    raise Broken(f"{tool.name}: the program did not start")
            tracer = tool.attach(int(ready.split()[1]), self.calls, self.out)
            said, errors = process.communicate("go\n", timeout=300)
            if process.returncode:
                last = errors.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
                raise Broken(f"{tool.name}: {last[0]}")
        except subprocess.TimeoutExpired:
            raise Broken(f"{tool.name}: not done after 300 s") from None
        finally:
            if process.poll() is None:
                for pid in reversed(machine.tree(process.pid)):
                    os.kill(pid, 9)
                process.wait()
            if tracer:
                if tracer.poll() is None:
                    tracer.send_signal(2)
                machine.end(tracer)
        return said.split(), tool.after(self.out)


def one(setup, tool, which, calls, series=SERIES):
    with setup.scratch() as out:
        said, lost = Program(setup, tool, [CALLS.get(which)], out).run(which, setup.server_cpu, calls, series)
    _, clock, _, processor = map(float, said)
    return clock, processor, lost


def added(setup, tools, rounds, slow_rounds, calls):
    """Nanoseconds added to each kind of call by each tool, round for round; the tools take turns."""
    found = {}
    for which in CALLS:
        untraced, rows = [], {tool.name: [] for tool in tools}
        broken = {}
        for turn in range(rounds):
            for tool in tools:
                if tool.name in broken or (tool.slow > 1 and turn >= slow_rounds):
                    continue
                machine.say(f"  {which}, round {turn + 1} of {rounds}: {tool.name}")
                try:
                    alone = one(setup, Untraced(), which, calls)
                    traced = one(setup, tool, which, max(calls // tool.slow, 1000))
                except Broken as why:
                    broken[tool.name] = str(why)
                    machine.say(f"  {why}")
                    continue
                untraced.append(alone[:2])
                rows[tool.name].append((alone, traced))
        found[which] = {
            "untraced_ns": median([processor for _, processor in untraced]),
            "untraced_clock_ns": median([clock for clock, _ in untraced]),
            "tools": {tool.name: summary(tool, rows[tool.name], broken.get(tool.name)) for tool in tools},
        }
    return found


def marks(setup, tool, rounds):
    """Nanoseconds that the marks of a C program add to it, while nobody records and while `tool` does: the thread's own
    processor time, each round beside calls of a function without them."""
    rows = {f"{which}, {state}": [] for which in MARKS for state in ("off", "on")}
    lost = 0
    for turn in range(rounds):
        machine.say(f"  marks, round {turn + 1} of {rounds}")
        without = one(setup, Untraced(), "nothing", MARKS_CALLS, MARKS_SERIES)
        for which in MARKS:
            for state, around in (("off", Untraced()), ("on", tool)):
                _, processor, dropped = one(setup, around, which, MARKS_CALLS, MARKS_SERIES)
                rows[f"{which}, {state}"].append(processor - without[1])
                lost += dropped or 0
    figures = {
        name: {"added_ns": median(costs), "least": min(costs), "most": max(costs), "rounds": len(costs)}
        for name, costs in rows.items()
    }
    return {"lost": lost, "rows": figures}


class Untraced(Tool):
    """No tool."""

    def after(self, out):
        return None


def summary(tool, rows, broken):
    if broken or not rows:
        return {"not_measured": broken or "no round"}
    at = 0 if tool.stops else 1
    costs = [traced[at] - alone[at] for alone, traced in rows]
    return {
        "added_ns": median(costs),
        "least": min(costs),
        "most": max(costs),
        "added_clock_ns": median([traced[0] - alone[0] for alone, traced in rows]),
        "rounds": len(rows),
        "lost": None if rows[-1][1][2] is None else sum(traced[2] for _, traced in rows),
    }


def paced(setup, tool, per_second, seconds):
    """Events lost while one thread makes so many calls a second."""
    machine.say(f"  {per_second / 1e6:g} million reads a second for {seconds} s: {tool.name}")
    with setup.scratch() as out:
        said, lost = Program(setup, tool, ["read"], out).run("paced", setup.server_cpu, per_second, seconds)
    calls, took = int(said[0]), float(said[1])
    return {"wanted": per_second, "reached": calls / took, "calls": calls, "events": tool.events, "lost": lost}
