"""What a request costs a server: a plain one and a traced one live side by side, and short bursts alternate between them.

The server stays on one processor, the load on the other; a tool runs on both, wherever the kernel puts it.
"""

import os
import re
import signal
import subprocess

import machine
from machine import Broken, cpu_ns, interval, median
from percall import Untraced
from tools import WAIT

NGINX = """worker_processes 1; daemon off; pid {home}/pid; error_log {home}/errors; {user}
events {{ use epoll; worker_connections 1024; }}
http {{
    access_log off; sendfile on; keepalive_requests 1000000000;
    client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c;
    uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
    server {{ listen 127.0.0.1:{port}; root {home}/html; }}
}}
"""


class Redis:
    """`redis-benchmark`, 50 clients that GET, each with so many requests under way."""

    commands = ("redis-server", "redis-benchmark")
    packages = ("redis-server", "redis-tools")
    calls = [WAIT, "epoll_ctl", "read", "write", "accept4", "close"]

    def __init__(self, name, pipeline, requests):
        self.name, self.pipeline, self.requests = name, pipeline, requests

    def command(self, port, home):
        return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", home]

    def serving(self, pids):
        return next((pid for pid in pids if machine.name(pid) == "redis-server"), None)

    def stop(self, pids):
        os.kill(self.serving(pids), signal.SIGTERM)

    def burst(self, port, cpu, setup):
        said = on(cpu, "redis-benchmark", "-p", str(port), "-t", "get", "-n", str(self.requests), "-c", "50",
                  "-P", str(self.pipeline), "--csv")  # fmt: skip
        return self.requests, float(said.strip().splitlines()[-1].replace('"', "").split(",")[1])


class Nginx:
    """One worker that serves a file of 612 bytes to wrk's 64 connections."""

    name = "nginx"
    commands = ("nginx", "wrk")
    packages = ("nginx", "wrk")
    calls = [WAIT, "epoll_ctl", "read", "write", "accept4", "close", "recvfrom", "writev", "sendfile64"]

    def command(self, port, home):
        os.makedirs(f"{home}/html", exist_ok=True)
        with open(f"{home}/html/index.html", "w") as page:
            page.write("x" * 611 + "\n")
        with open(f"{home}/conf", "w") as conf:
            user = "" if os.geteuid() else "user root;"
            conf.write(NGINX.format(home=home, port=port, user=user))
        return ["nginx", "-p", home, "-c", f"{home}/conf"]

    def serving(self, pids):
        nginx = [pid for pid in pids if machine.name(pid) == "nginx"]
        return next((child for pid in nginx for child in machine.children(pid) if child in nginx), None)

    def stop(self, pids):
        os.kill(next(pid for pid in pids if machine.name(pid) == "nginx"), signal.SIGQUIT)

    def burst(self, port, cpu, setup):
        said = on(cpu, "wrk", "-t1", "-c64", "-d1s", f"http://127.0.0.1:{port}/")
        requests = int(re.search(r"(\d+) requests in", said)[1])
        return requests, float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


class Echo:
    """A Tokio server with one worker; 50 connections that wait for each echo. dial9 records it from the inside."""

    name = "Tokio echo"
    commands = ()
    packages = ()
    calls = [WAIT, "epoll_ctl", "read", "write", "accept4", "close", "recvfrom", "sendto"]

    def __init__(self, program, mode="plain"):
        self.program, self.mode = program, mode

    def command(self, port, home):
        return [self.program, str(port), self.mode, f"{home}/dial9"]

    def serving(self, pids):
        return next((pid for pid in pids if machine.name(pid) == "echo-server"), None)

    def stop(self, pids):
        os.kill(self.serving(pids), signal.SIGTERM)

    def burst(self, port, cpu, setup):
        requests, seconds, _, _ = on(cpu, setup.program("echo_load"), str(port), "50", "0.7").split()
        return int(requests), int(requests) / float(seconds)


def on(cpu, *command):
    """A load on its processor, and what it printed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, preexec_fn=lambda: os.sched_setaffinity(0, {cpu})
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Broken(f"{command[0]}: {last[0] if last else done.returncode}")
    return done.stdout


class Live:
    """A server with a tool, or none, until `close`."""

    def __init__(self, setup, workload, tool, out):
        self.setup, self.workload, self.tool, self.out = setup, workload, tool, out
        self.port, self.tracer, self.top = machine.free_port(), None, None
        home = f"{out}.home"
        os.makedirs(home)
        tool.before(out)
        prefix, environment = tool.launch(workload.calls, out)
        self.log = open(f"{out}.log", "w")
        self.top = subprocess.Popen(
            [*prefix, *workload.command(self.port, home)],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        try:
            machine.wait_until(self.is_up, 30, f"{workload.name} under {tool.name} starting")
            self.pid = workload.serving(machine.tree(self.top.pid))
            machine.pin(self.pid, setup.server_cpu)
            self.tracer = tool.attach(self.pid, workload.calls, out)
        except BaseException:
            self.kill()
            raise

    def is_up(self):
        if self.top.poll() is not None:
            with open(f"{self.out}.log", errors="replace") as file:
                last = file.read().strip().splitlines()[-1:]
            raise Broken(f"{self.workload.name} under {self.tool.name}: {last[0] if last else 'ended at once'}")
        return machine.answers(self.port) and self.workload.serving(machine.tree(self.top.pid))

    def working(self):
        """Processor time of the tool's own processes so far."""
        pids = set(machine.tree(self.top.pid)) | set(self.tool.others())
        pids -= {self.pid}
        if self.tracer:
            pids |= set(machine.tree(self.tracer.pid))
        return sum(map(cpu_ns, pids))

    def burst(self):
        """Processor nanoseconds a request of the server, and of the tool; requests a second."""
        server, tool = cpu_ns(self.pid), self.working()
        requests, rate = self.workload.burst(self.port, self.setup.load_cpu, self.setup)
        return (cpu_ns(self.pid) - server) / requests, (self.working() - tool) / requests, rate

    def kill(self):
        for process in (self.tracer, self.top):
            if process and process.poll() is None:
                for pid in reversed(machine.tree(process.pid)):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                process.wait()

    def close(self):
        """Ends both; what the tool says was lost."""
        try:
            if self.tracer:
                self.tracer.send_signal(signal.SIGINT)
                machine.end(self.tracer)
            self.workload.stop(machine.tree(self.top.pid))
            machine.end(self.top)
        finally:
            self.kill()
            self.log.close()
        return self.tool.after(self.out)


NOISE = "A against A"


def pairs(setup, workload, tools, count):
    """Alternating pairs of bursts, plain and traced, for each tool in turn.

    `tools` are (label, tool, workload) with the workload as that tool needs it; NOISE is one more plain server."""
    with setup.scratch() as out:
        live, results, broken = {}, {}, {}
        plain = Live(setup, workload, Untraced(), f"{out}.plain")
        try:
            for at, (label, tool, its) in enumerate(tools):
                try:
                    live[label] = Live(setup, its, tool, f"{out}.{at}")
                    live[label].burst()
                except Broken as why:
                    broken[label] = str(why)
                    machine.say(f"  {why}")
                    if label in live:
                        live.pop(label).kill()
            plain.burst()
            rows = {label: [] for label in live}
            for turn in range(count):
                machine.say(f"  {workload.name}, pair {turn + 1} of {count}: {', '.join(live)}")
                for label, server in live.items():
                    two = (plain, server) if turn % 2 == 0 else (server, plain)
                    first, second = two[0].burst(), two[1].burst()
                    rows[label].append((first, second) if turn % 2 == 0 else (second, first))
            for label, server in list(live.items()):
                lost = None
                try:
                    lost = live.pop(label).close()
                except Broken as why:
                    broken[label] = str(why)
                results[label] = compared(rows[label], lost)
        finally:
            for server in (plain, *live.values()):
                server.kill()
    for label, why in broken.items():
        results[label] = {"not_measured": why}
    return results


def compared(rows, lost):
    """Ratios of the traced server to the plain one, pair by pair."""
    alone = [traced[0] / plain[0] for plain, traced in rows]
    together = [(traced[0] + traced[1]) / plain[0] for plain, traced in rows]
    rates = [traced[2] / plain[2] for plain, traced in rows]
    return {
        "pairs": len(rows),
        "untraced_ns": median([plain[0] for plain, _ in rows]),
        "cpu": median(alone),
        "cpu_interval": interval(alone),
        "cpu_with_tool": median(together),
        "cpu_with_tool_interval": interval(together),
        "rate": median(rates),
        "rate_interval": interval(rates),
        "lost": lost,
    }
