"""figures.py EVENTS.ndjson REPORT.json: notice, queue, run and blame of every descriptor, worked out again from
`loopscope export --to ndjson` and held against `loopscope report --json`. For marked handlers and nothing lost or late;
tests/recompute.py takes any recording."""
from collections import Counter, defaultdict, deque
import itertools, json, sys
events, report = [json.loads(line) for line in open(sys.argv[1])], json.load(open(sys.argv[2]))
sends, sent, read, told, running, runs = defaultdict(deque), Counter(), Counter(), {}, {}, []
entered, off, looked = {}, {}, {}  # by thread: its wait's entry, why it left its CPU, when its wait last looked
proof = defaultdict(lambda: -1)  # the last instants at which a descriptor was certainly not ready, by what says so
for e in (e for e in events if e["kind"] == "supplied" and e["bytes"]):  # what load generators sent: up to which byte
    sent[e["to"]] += e["bytes"]
    sends[e["to"]].append((sent[e["to"]], e["from_ns"], e["to_ns"]))
def became_ready(e, seat, reg):  # the first and the last instant at which that may have been of which a `ready` tells
    t, edge, before, unread = e["at_ns"], "ET" in e["interest"], proof["told", reg], sends[e["addresses"]]
    told = max(before, proof["set", reg])  # what was empty before is no proof for a set that has just begun to ask
    empty = -1 if "OUT" in e["mask"] or told < 0 else proof["empty", e["file"]]
    lo = min(max(before, proof["others", seat], proof["set", reg], empty), looked[e["thread"]])
    while unread and unread[0][0] <= read[e["file"]]: unread.popleft()
    _, t0, t1 = next((s for s in unread if s[2] > before or not edge), (0, -1, -1))
    if "IN" in e["mask"] and max(before if edge else 0, 0) <= t0 <= t: return max(lo, t0), max(lo, min(t1, t))
    return None if lo < 0 or e["file"] is None and e["fd"] >= 0 else (lo, t)  # nothing is known of one that is closed
for e in events:
    kind, t, loop, thread, file = e["kind"], e["at_ns"], e.get("loop"), e["thread"], e.get("file")
    seat, reg = (loop, thread), (loop, e.get("fd"), e.get("generation"))
    if seat in running and kind in ("wait-enter", "run-begin", "run-end"):
        runs.append((seat, *running.pop(seat), t))
    if kind == "wait-enter":
        entered[thread] = t
        looked.pop(thread, None)
    elif kind == "switch-out": off[thread] = e["why"]
    elif kind == "switch-in":  # a wait looks after each sleep; one pre-empted may have looked before that
        looked[thread] = t if off.get(thread) == "blocked" else looked.get(thread, entered.get(thread, t))
    elif kind == "wait-exit":  # one with room for more has told of all there is
        proof["others", seat], at = proof["all", loop], looked.setdefault(thread, t)
        if e["room"]: proof["all", loop] = max(proof["all", loop], at)
    elif kind == "ready": told[e["event"]], proof["told", reg] = (t, became_ready(e, seat, reg)), t
    elif kind == "run-begin": running[seat] = (reg, *told[e["ready"]], t)
    elif kind == "ctl-end" and e["op"] != "del": proof["set", reg] = t
    elif kind == "io":
        if e["op"] in ("read", "recv"): read[file] += e["result"] or 0
        if e["drained"]: proof["empty", file] = max(proof["empty", file], t - e["duration_ns"])
figures, caused, served = defaultdict(list), Counter(), defaultdict(list)
for seat, reg, woken, span, start, end in runs:  # how long its event waited, and behind whom
    lo, hi = span or (woken, woken)
    notice = {"lo": woken - hi, "hi": woken - lo} if span else {}
    for name, ns in {**notice, "queue_ns": start - woken, "run_ns": end - start}.items(): figures[reg, name].append(ns)
    for other, a, b in itertools.takewhile(lambda run: run[2] > lo, reversed(served[seat])):
        for bound, since in ("lo", hi), ("hi", lo): caused[other, bound] += max(b - max(a, since), 0) * (other != reg)
    served[seat].append((reg, start, end))
wrong = []
for f in report["fds"]:
    reg, says = (f["loop"], f["fd"], f["generation"]), {"queue_ns": f["queue_ns"], "run_ns": f["run_ns"]}
    says = {name: ns for name, ns in {**says, **(f["notice_ns"] or {})}.items() if ns and ns["count"]}
    says = {name: (ns["count"], ns["sum"], ns["max"]) for name, ns in says.items()}
    mine = {name: (len(ns), sum(ns), max(ns)) for (of, name), ns in figures.items() if of == reg}
    blame = {bound: ns - caused[reg, bound] for bound, ns in (f["caused_wait_ns"] or {}).items()}
    if mine != says or any(blame.values()): wrong.append((reg, mine, says, blame))
print(*wrong, f"{len(report['fds'])} descriptors, {len(runs)} runs, {len(wrong)} differences", sep="\n")
sys.exit(bool(wrong) or not report["fds"])
