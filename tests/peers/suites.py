#!/usr/bin/python3
"""The test suites of CPython's event loop modules, of Tornado and of Twisted, alone and under `loopscope record`: each
test has to end the same way.

    tests/peers/suites.py [--loopscope PATH] [--quick] [--lanes N] [SUITE...]

Needs Debian's libpython3.11-testsuite, python3-tornado and python3-twisted. A test whose two results differ is repeated
by itself, several times each way: one that is unsteady alone, too, is named as such and not held against the recording.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

PYTHON = "/usr/bin/python3"
REPEATS = 6

# Twisted's own time-out is 120 s a test, and some of its packages run into several on this Python.
HANGS = 1800

# Some tests are skipped for root, and some, run by root, change the machine: one of Twisted's makes /dev/null read-only.
ROOT = os.geteuid() == 0
NOBODY = ("nobody", "nogroup")
UNPRIVILEGED = dict(user=NOBODY[0], group=NOBODY[1], extra_groups=[]) if ROOT else {}


class CPython:
    """One module of CPython's own suite; results from its JUnit file."""

    def __init__(self, module):
        self.name, self.module = module, module

    def command(self, here, tests):
        chosen = [part for test in tests for part in ("-m", test)]
        return [PYTHON, "-m", "test", "--junit-xml", f"{here}/junit.xml", *chosen, self.module]

    def results(self, here, said):
        found = {}
        for case in xml.etree.ElementTree.parse(f"{here}/junit.xml").iter("testcase"):
            kinds = {child.tag for child in case} & {"error", "failure", "skipped"}
            found[case.get("name")] = kinds.pop() if kinds else "ok"
        return found


class Tornado:
    """Tornado's suite; results from unittest's verbose lines `method (Class.method) … ok`."""

    name = "tornado"

    def command(self, here, tests):
        return [PYTHON, "-m", "tornado.test.runtests", "--verbose", *tests]

    def results(self, here, said):
        # A test may print between its name and its result.
        found, open_test = {}, None
        for line in said.splitlines():
            if start := re.match(r"(\w+) \(([\w.]+)\)", line):
                method, owner = start.groups()
                open_test = owner if owner.endswith("." + method) else f"{owner}.{method}"
            if open_test and (end := re.search(r"(?:\.\.\. |^)(ok|FAIL|ERROR|skipped\b|expected failure)", line)):
                found[open_test] = end.group(1)
                open_test = None
        return found


class Twisted:
    """A package of Twisted; results from trial's lines `test … [OK]`."""

    def __init__(self, package):
        self.name, self.package = package, package

    def command(self, here, tests):
        return ["trial3", f"--temp-directory={here}/trial", "--reporter=bwverbose", *(tests or [self.package])]

    def results(self, here, said):
        found, open_test = {}, None
        for line in said.splitlines():
            if start := re.match(r"(twisted[\w.]+) \.\.\. ", line):
                open_test = start.group(1)
            if open_test and (end := re.search(r"\[(\w+)\]\s*$", line)):
                found[open_test] = end.group(1)
                open_test = None
        return found


MODULES = ["asyncio", "epoll", "selectors", "select", "poll", "subprocess", "ssl", "signal"]
PACKAGES = ["internet", "test", "web", "protocols", "conch", "names", "mail", "words", "python", "runner", "spread",
            "application", "cred", "logger", "pair", "persisted", "positioning", "scripts", "trial",
            "_threads"]
SUITES = [CPython(f"test_{module}") for module in MODULES] + [Tornado()]
SUITES += [Twisted(f"twisted.{package}") for package in PACKAGES]

# What a change is checked with; all of it takes ten times as long.
QUICK = ["test_epoll", "test_selectors", "test_select", "test_poll", "test_subprocess"]


class Run:
    """One run of a suite, alone or recorded."""

    def __init__(self, suite, loopscope, tests=()):
        with tempfile.TemporaryDirectory(prefix="suite") as here:
            if ROOT:
                shutil.chown(here, *NOBODY)
            recording = f"{here}/suite.lscope"
            record = [loopscope, "record", "-o", recording, "--"] if loopscope else []
            started = time.monotonic()
            with open(f"{here}/said", "w+b") as out:
                command = record + suite.command(here, tests)
                child = subprocess.Popen(
                    command,
                    cwd=here,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "HOME": here, "TMPDIR": here},
                    start_new_session=True,
                    **UNPRIVILEGED,
                )
                try:
                    self.code = child.wait(HANGS)
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)
                    self.code = f"{child.wait()}, killed after {HANGS} s"
                out.seek(0)
                self.said = out.read().decode(errors="replace")
            self.seconds = time.monotonic() - started
            self.results = suite.results(here, self.said)
            # One test may wait in no call at all, and then there is nothing to record.
            self.report = report(loopscope, recording) if loopscope and not tests else None


def report(loopscope, recording):
    """What the recording holds; it has to open."""
    said = subprocess.run([loopscope, "report", "--json", recording], check=True, capture_output=True).stdout
    return json.loads(said)


def unsteady(suite, loopscope, test):
    """Whether the test, by itself, ends in the same ways with and without; and a line that tells how."""
    ends = []
    for command in (None, loopscope):
        runs = [Run(suite, command, [test]) for _ in range(REPEATS)]
        ends.append({run.results.get(test, "missing") for run in runs})
    alone, recorded = ends
    return recorded <= alone, f"    {test}: repeated alone {sorted(alone)}, recorded {sorted(recorded)}"


def same(suite, loopscope):
    """Whether each test ends the same way; and the lines that tell."""
    alone = Run(suite, None)
    if not alone.results:
        needs = "install libpython3.11-testsuite, python3-tornado, python3-twisted"
        return False, f"{suite.name}: no test ran; {needs}\n{alone.said[-3000:]}"
    recorded = Run(suite, loopscope)
    differ = [
        test
        for test in sorted(alone.results.keys() | recorded.results.keys())
        if alone.results.get(test) != recorded.results.get(test)
    ]
    repeated = {test: unsteady(suite, loopscope, test) for test in differ}
    bad = [test for test, (excused, _) in repeated.items() if not excused]
    passed = sum(result.lower() == "ok" for result in alone.results.values())
    facts = recorded.report["recording"]
    processes = len(recorded.report["processes"])
    verdict = "differ" if bad else "same" if recorded.code == alone.code or differ else "exit code"
    lines = [line for _, line in repeated.values()]
    lines.append(
        f"{suite.name:<20} {len(alone.results):>6} {passed:>6} {alone.seconds:>7.1f} s {recorded.seconds:>7.1f} s"
        f" {processes:>6} {facts['events']:>10} {facts['lost']:>6}  {verdict}"
    )
    for test in bad:
        lines.append(f"    {test}: alone {alone.results.get(test)}, recorded {recorded.results.get(test)}")
    if verdict != "same":
        lines.append(f"    exit codes {alone.code} and {recorded.code}\n{recorded.said[-3000:]}")
    return verdict == "same", "\n".join(lines)


def main():
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--loopscope", default=f"{target}/debug/loopscope")
    args.add_argument("--quick", action="store_true", help="only " + ", ".join(QUICK))
    args.add_argument("--lanes", type=int, help="suites at a time: 3, for they wait more than they compute; quick ones one by one")
    args.add_argument("suites", nargs="*")
    args = args.parse_args()
    place = tempfile.TemporaryDirectory(prefix="loopscope")
    os.chmod(place.name, 0o755)
    # Where anybody may run it.
    loopscope = shutil.copy(args.loopscope, place.name)
    wanted = args.suites or (QUICK if args.quick else [suite.name for suite in SUITES])
    suites = {suite.name: suite for suite in SUITES}
    if unknown := [name for name in wanted if name not in suites]:
        sys.exit(f"no suite {', '.join(unknown)}; there are {', '.join(suites)}")
    print(f"{'suite':<20} {'tests':>6} {'passed':>6} {'alone':>9} {'recorded':>9} {'procs':>6} {'events':>10} {'lost':>6}")
    good = True
    with concurrent.futures.ThreadPoolExecutor(args.lanes or (1 if args.quick else 3)) as lanes:
        for one in concurrent.futures.as_completed([lanes.submit(same, suites[name], loopscope) for name in wanted]):
            fine, lines = one.result()
            print(lines, flush=True)
            good &= fine
    sys.exit(not good)


if __name__ == "__main__":
    main()
