#!/usr/bin/env python3
"""What recording costs, side by side with strace, perf trace, bpftrace, LTTng-UST, uftrace and dial9, in one run.

    benches/peers/run.py             everything, some 25 minutes on an idle machine
    benches/peers/run.py --quick     the same with few rounds: whether it works, not what it costs
    benches/peers/run.py --install   installs the Debian packages it misses first (as root)

It builds loopscope (release; or give --loopscope PATH), its own small programs, and, with the network, a Tokio server that
links dial9. A tool that is not there is left out and said to be. It prints a table and what holds of each goal, and writes
the figures as JSON to peers.json in cargo's target directory (or -o FILE). Progress goes to stderr. It wants an idle machine
with two processors; with more, it uses two. Exit code: 0 when it measured, 1 with --gate when a goal falls short, 2 when
the arguments are wrong, 125 when it could not measure.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import machine  # noqa: E402
import percall  # noqa: E402
import servers  # noqa: E402
import tools  # noqa: E402
import verdict  # noqa: E402
from machine import Broken, say  # noqa: E402

ROOT = HERE.parent.parent
PARTS = ["calls", "marks", "paced", "servers", "echo"]
# Rounds and pairs of the full measurement and of the quick one.
FULL = dict(rounds=9, slow_rounds=5, calls=400_000, pairs=30, slow_pairs=5, redis=30_000, piped=400_000, seconds=10)
QUICK = dict(rounds=5, slow_rounds=2, calls=100_000, pairs=3, slow_pairs=1, redis=10_000, piped=100_000, seconds=3)


class Setup:
    """Where everything is."""

    def __init__(self, options):
        cpus = sorted(os.sched_getaffinity(0))
        # The server on one, its load on the other, the collector on both.
        self.server_cpu, self.load_cpu = cpus[0], cpus[1 % len(cpus)]
        os.sched_setaffinity(0, {self.server_cpu, self.load_cpu})
        self.target = pathlib.Path(options.target)
        self.work = self.target / "peers"
        self.work.mkdir(parents=True, exist_ok=True)
        self.memory = options.scratch

    def program(self, name):
        return str(self.work / name)

    @contextlib.contextmanager
    def scratch(self):
        """A path for a tool's output, gone afterwards with all that begins like it."""
        with tempfile.TemporaryDirectory(prefix="loopscope-peers-", dir=self.memory) as directory:
            yield f"{directory}/out"

    def build(self, lttng):
        compiler = os.environ.get("CC", "cc")
        if not shutil.which(compiler):
            raise Broken(f"{compiler} not found: install a C compiler (apt-get install gcc libc6-dev)")
        for name in ("calls", "echo_load"):
            source = (f"-I{ROOT / 'docs'}", str(HERE / f"programs/{name}.c"), "-ldl")
            tools.quiet(compiler, "-O2", "-o", self.program(name), *source)
        if lttng:
            library = ("-fPIC", "-shared", f"-I{HERE / 'programs'}", "-o", self.program("lttng_calls.so"))
            tools.quiet(compiler, "-O2", *library, str(HERE / "programs/lttng_calls.c"), "-llttng-ust", "-ldl")

    def build_loopscope(self):
        say("building loopscope")
        subprocess.run(
            ["cargo", "build", "--release", "--bin", "loopscope", "--target-dir", str(self.target)], cwd=ROOT, check=True
        )
        return str(self.target / "release/loopscope")

    def build_echo(self):
        """The Tokio server, whose crates have to come from the network the first time."""
        package = self.work / "echo"
        package.mkdir(exist_ok=True)
        shutil.copy(HERE / "echo/manifest.toml", package / "Cargo.toml")
        shutil.copy(HERE / "echo/server.rs", package / "server.rs")
        say("building the Tokio server with dial9: some minutes the first time")
        # Tokio's hooks, on which dial9 stands, exist only under this flag; the plain server is the same program.
        environment = {**os.environ, "RUSTFLAGS": "--cfg tokio_unstable", "CARGO_TARGET_DIR": str(package / "target")}
        done = subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=package, env=environment)
        if done.returncode:
            raise Broken("the Tokio server with dial9 could not be built (no network?)")
        return str(package / "target/release/echo-server")


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="few rounds, some three minutes")
    parser.add_argument("--gate", action="store_true", help="exit with 1 when a goal falls short")
    parser.add_argument("--install", action="store_true", help="apt-get install what is missing, as root")
    parser.add_argument("--loopscope", metavar="PATH", help="this program instead of a release build")
    parser.add_argument("--no-dial9", action="store_true", help="leave out the Tokio server and dial9")
    parser.add_argument("--scratch", metavar="DIR", help="where traces go [default: /dev/shm if there is room]")
    parser.add_argument("--target", metavar="DIR", help="cargo's target directory")
    parser.add_argument("-o", "--output", metavar="FILE", help="the figures as JSON")
    chosen = parser.parse_args()
    unknown = [part for part in chosen.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    chosen.parts = chosen.parts or PARTS
    chosen.target = os.path.abspath(chosen.target or os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    chosen.output = chosen.output or f"{chosen.target}/peers.json"
    chosen.scratch = chosen.scratch or roomy()
    return chosen


def roomy():
    """Memory, where a disk would be measured with the tools; a gigabyte is what the longest traces take."""
    try:
        if shutil.disk_usage("/dev/shm").free > 2 << 30:
            return "/dev/shm"
    except OSError:
        pass
    return tempfile.gettempdir()


def install(everything):
    """Packages of the tools and servers that are missing."""
    packages = sorted({p for thing in everything for p in thing.packages if missing(thing)})
    if packages and os.geteuid():
        raise Broken("--install needs root")
    if packages:
        say(f"installing {' '.join(packages)}")
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
        subprocess.run(["apt-get", "update", "-q"], check=True, stdout=sys.stderr)
        subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def missing(thing):
    if isinstance(thing, tools.Tool):
        return thing.missing()
    absent = [command for command in thing.commands if not shutil.which(command)]
    return f"{', '.join(absent)} not found" if absent else None


def there(everything):
    """What can be measured here; what cannot is said, with the one command that would change it."""
    gone = {thing.name: missing(thing) for thing in everything if missing(thing)}
    for label, why in gone.items():
        say(f"left out: {label} ({why})")
    packages = sorted({p for thing in everything for p in thing.packages if (missing(thing) or "").endswith("not found")})
    if packages:
        say(f"to have them: apt-get install {' '.join(packages)} (or {sys.argv[0]} --install, as root)")
    return [thing for thing in everything if thing.name not in gone], gone


def measure(setup, size, chosen, found, loads):
    figures = {}
    ours, lttng = ([tool for tool in found if tool.name == name] for name in (verdict.OURS, verdict.LTTNG))
    if "calls" in chosen.parts:
        say("what one call costs")
        figures["calls"] = percall.added(setup, found, size["rounds"], size["slow_rounds"], size["calls"])
    if "marks" in chosen.parts:
        say("what the marks of docs/loopscope.h cost")
        try:
            figures["marks"] = percall.marks(setup, ours[0], size["rounds"])
        except Broken as why:
            figures["marks"] = {"not_measured": str(why)}
    if "paced" in chosen.parts:
        try:
            figures["paced"] = percall.paced(setup, ours[0], verdict.PACE, size["seconds"])
        except Broken as why:
            figures["paced"] = {"not_measured": str(why)}
    figures["servers"] = {}
    if "servers" in chosen.parts:
        # What stays inside its own program lives side by side; what a tool does to the kernel everybody would pay for.
        gentle = [*ours, *lttng]
        for load in loads:
            plan = [(servers.NOISE, percall.Untraced(), load), *((tool.name, tool, load) for tool in gentle)]
            rows = servers.pairs(setup, load, plan, size["pairs"])
            for tool in found:
                if tool not in gentle:
                    rows.update(servers.pairs(setup, load, [(tool.name, tool, load)], size["slow_pairs"]))
            figures["servers"][load.name] = rows
    if "echo" in chosen.parts and not chosen.no_dial9:
        try:
            program = setup.build_echo()
        except Broken as why:
            say(f"left out: {servers.Echo.name} ({why})")
        else:
            plain = servers.Echo(program)
            plan = [(servers.NOISE, percall.Untraced(), plain), *((tool.name, tool, plain) for tool in [*ours, *lttng])]
            plan += [(f"dial9 {mode}", percall.Untraced(), servers.Echo(program, mode)) for mode in ("poll", "wake")]
            figures["servers"][plain.name] = servers.pairs(setup, plain, plan, size["pairs"])
    return figures


def describe():
    model = ""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "at": now.strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{model}, {os.cpu_count()} processors, Linux {platform.release()}",
        "load": machine.load(),
    }


def main():
    chosen = options()
    size = QUICK if chosen.quick else FULL
    setup = Setup(chosen)
    begun = describe()
    if begun["load"] > 0.5:
        say(f"the load is {begun['load']:.1f}: figures of a busy machine are rough")
    everything = tools.peers(chosen.loopscope or "loopscope", setup.program("lttng_calls.so"))
    loads = [
        servers.Redis("redis GET", 1, size["redis"]),
        servers.Redis("redis -P 16", 16, size["piped"]),
        servers.Nginx(),
    ]
    if chosen.install:
        install([*everything, *loads])
    found, gone = there(everything)
    loads, gone_loads = there(loads)
    setup.build(lttng=any(tool.name == verdict.LTTNG for tool in found))
    everything[0].command = os.path.abspath(chosen.loopscope) if chosen.loopscope else setup.build_loopscope()
    try:
        figures = measure(setup, size, chosen, found, loads)
    finally:
        for tool in found:
            if hasattr(tool, "close"):
                tool.close()
    figures = {**begun, "load_after": machine.load(), "quick": chosen.quick, "left_out": {**gone, **gone_loads}, **figures}
    figures["goals"] = list(verdict.goals(figures))
    pathlib.Path(chosen.output).write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    rounds = f"{size['rounds']} rounds, {size['pairs']} pairs"
    print(f"{begun['at']}; {begun['machine']}; load {begun['load']:.1f} before, {figures['load_after']:.1f} after; {rounds}")
    if chosen.quick:
        print("A quick run: too few rounds to judge the servers by.")
    print()
    print(verdict.table(figures, [*(tool.name for tool in everything), "dial9 poll", "dial9 wake"]))
    say(f"the figures are in {chosen.output}")
    short = [goal for goal in figures["goals"] if goal["verdict"] == verdict.SHORT]
    return 1 if chosen.gate and short else 0


if __name__ == "__main__":
    # Told to end, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except Broken as why:
        say(f"peers: {why}")
        sys.exit(125)
    except KeyboardInterrupt:
        sys.exit(130)
