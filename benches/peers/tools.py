"""The tools that are compared: what each needs, how it is put to work on a program, and what it says it lost."""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import time

from machine import Broken, holds, named, tree, wait_until

X86 = platform.machine() == "x86_64"
# glibc makes this system call for epoll_wait(3).
WAIT = "epoll_wait" if X86 else "epoll_pwait"
INCLUDE = ("/usr/include", "/usr/local/include", f"/usr/include/{platform.machine()}-linux-gnu")
# Names of system calls as the kernel's tracepoints have them, with the argument that is the descriptor.
DESCRIPTOR = {
    "epoll_wait": "epfd", "epoll_pwait": "epfd", "epoll_ctl": "fd", "read": "fd", "write": "fd", "writev": "fd",
    "recvfrom": "fd", "sendto": "fd", "sendfile64": "out_fd", "accept4": "fd", "close": "fd",
}  # fmt: skip


def quiet(*command, **options):
    """Runs a command and gives what it printed; what it said on failing becomes the reason."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Broken(f"{' '.join(command[:3])}: {said[-1] if said else f'exit code {done.returncode}'}")
    return done.stdout


def size(path):
    if os.path.isdir(path):
        return sum(os.path.getsize(os.path.join(at, file)) for at, _, files in os.walk(path) for file in files)
    return os.path.getsize(path) if os.path.exists(path) else 0


class Tool:
    """A tool. `calls` are kernel names of system calls (see DESCRIPTOR), `out` a path that does not exist yet."""

    name = "untraced"
    packages = ()
    commands = ()
    headers = ()
    root = False
    # Stops the program while it works: what that costs, the program's own processor time does not show.
    stops = False
    # So slow that a hundredth of the calls is enough.
    slow = 1

    def missing(self):
        """Why it cannot run here, or nothing."""
        absent = [c for c in self.commands if not shutil.which(c)]
        absent += [h for h in self.headers if not any(os.path.exists(f"{place}/{h}") for place in INCLUDE)]
        if absent:
            return f"{', '.join(absent)} not found"
        if self.root and os.geteuid():
            return "needs root"
        return None

    def before(self, out):
        """Before the program starts."""

    def launch(self, calls, out):
        """What stands before the program's command, and what its environment gains."""
        return [], {}

    def attach(self, pid, calls, out):
        """A process of the tool that has begun to trace `pid`."""
        return None

    def others(self):
        """Processes that work for the tool without being its children."""
        return []

    def after(self, out):
        """The program has ended. What was lost, if the tool can say; nothing seen at all is an error."""
        if size(out) < 1000:
            raise Broken(f"{self.name} recorded nothing")
        return None


class Loopscope(Tool):
    name = "loopscope"

    def __init__(self, command):
        self.command = command

    def launch(self, calls, out):
        return [self.command, "record", "--force", "-o", out, "--"], {}

    def after(self, out):
        told = json.loads(quiet(self.command, "report", "--json", out))["recording"]
        if not told["complete"]:
            raise Broken("the recording is incomplete")
        self.events = told["events"]
        if told["events"] < 10:
            raise Broken("loopscope recorded nothing")
        return told["lost"]


class Lttng(Tool):
    """Tracepoints of LTTng-UST in a preloaded library, drained by its own daemon: buffers of 8 times 4 MiB a processor."""

    name = "LTTng-UST"
    packages = ("lttng-tools", "liblttng-ust-dev")
    commands = ("lttng", "lttng-sessiond")
    headers = ("lttng/tracepoint.h",)

    def __init__(self, library):
        self.library, self.daemon = library, None
        self.session = f"loopscope-peers-{os.getpid()}"

    def listens(self):
        return subprocess.run(["lttng", "--no-sessiond", "list"], capture_output=True).returncode == 0

    def before(self, out):
        if not self.listens():
            self.daemon = subprocess.Popen(
                ["lttng-sessiond", "--no-kernel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            wait_until(self.listens, 15, "lttng-sessiond")
        lttng = ("lttng", "--no-sessiond")
        quiet(*lttng, "create", self.session, f"--output={out}")
        which = ("-u", "-s", self.session)
        quiet(*lttng, "enable-channel", *which, "calls", "--subbuf-size=4M", "--num-subbuf=8")
        quiet(*lttng, "enable-event", *which, "-c", "calls", "loopscope_peer:*")
        quiet(*lttng, "start", self.session)

    def launch(self, calls, out):
        return [], {"LD_PRELOAD": f"liblttng-ust-fork.so {self.library}"}

    def others(self):
        return named("lttng-")

    def after(self, out):
        said = quiet("lttng", "--no-sessiond", "stop", self.session)
        said += quiet("lttng", "--no-sessiond", "destroy", self.session)
        super().after(out)
        lost = re.search(r"(\d+) (?:events|packets) were (?:discarded|lost)", said)
        return int(lost[1]) if lost else 0

    def close(self):
        """Ends the daemon if it was we who started it."""
        if not self.daemon:
            return
        subprocess.run(["lttng", "--no-sessiond", "destroy", self.session], capture_output=True)
        below = tree(self.daemon.pid)[1:]
        self.daemon.terminate()
        self.daemon.wait(30)
        for pid in below:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass


class Strace(Tool):
    name = "strace"
    packages = ("strace",)
    commands = ("strace",)
    stops = True
    slow = 50

    def launch(self, calls, out):
        return ["strace", "-f", "-e", f"trace={','.join(plain(calls))}", "-o", out], {}


def plain(calls):
    """The names that strace knows, on which there is no sendfile64 of 64 bits."""
    return [call.replace("sendfile64", "sendfile") for call in calls]


class Uftrace(Tool):
    """The same calls where the program calls into libc, by function name."""

    name = "uftrace"
    packages = ("uftrace",)
    commands = ("uftrace",)
    slow = 4

    def launch(self, calls, out):
        library = {"recvfrom": "recv", "epoll_pwait": "epoll_wait"}
        chosen = [part for call in calls for part in ("-F", library.get(call, call))]
        return ["uftrace", "record", "--force", "-l", "-d", out, *chosen], {}


class Attached(Tool):
    """A tool that is told the process, and ends on ^C."""

    root = True
    holds = "perf_event"

    def command(self, pid, calls, out):
        raise NotImplementedError

    def attach(self, pid, calls, out):
        said = open(f"{out}.said", "w")
        process = subprocess.Popen(self.command(pid, calls, out), stdout=said, stderr=said)

        def ready():
            if process.poll() is not None:
                with open(f"{out}.said") as file:
                    said = file.read().strip().splitlines()
                raise Broken(f"{self.name}: {said[-1] if said else 'ended'}")
            return holds(process.pid, self.holds) >= 1

        wait_until(ready, 60, f"{self.name} attaching")
        time.sleep(1.5)
        return process

    def after(self, out):
        super().after(out)
        lost = 0
        for path in (out, f"{out}.said"):
            with open(path, errors="replace") as file:
                for line in file:
                    # `LOST 123 events!` of perf trace, `Lost 123 events` of bpftrace.
                    told = re.search(r"\blost (\d+) events", line, re.IGNORECASE) if "ost" in line else None
                    lost += int(told[1]) if told else 0
        return lost


class PerfTrace(Attached):
    name = "perf trace"
    packages = ("linux-perf",)
    commands = ("perf",)
    slow = 8

    def command(self, pid, calls, out):
        return ["perf", "trace", "-p", str(pid), "-e", ",".join(plain(calls)), "-o", out]


class Bpftrace(Attached):
    """A line for each call: its entry, thread, descriptor, answer and duration."""

    name = "bpftrace"
    packages = ("bpftrace",)
    commands = ("bpftrace",)
    holds = "bpf"
    slow = 4

    def command(self, pid, calls, out):
        return ["bpftrace", "-o", out, "-e", " ".join(self.probes(pid, call) for call in calls)]

    def probes(self, pid, call):
        point = "tracepoint:syscalls:sys_%s_" + call
        return (
            f"{point % 'enter'} /pid == {pid}/ {{ @at[tid] = nsecs; @fd[tid] = args->{DESCRIPTOR[call]}; }} "
            f"{point % 'exit'} /pid == {pid} && @at[tid]/ {{ "
            f'printf("%lu %d {call} %d %d %lu\\n", @at[tid], tid, @fd[tid], args->ret, nsecs - @at[tid]); '
            "delete(@at[tid]); delete(@fd[tid]); }"
        )


def peers(loopscope, lttng_library):
    """Every tool, in the order of the table."""
    return [Loopscope(loopscope), Lttng(lttng_library), Uftrace(), Bpftrace(), PerfTrace(), Strace()]
