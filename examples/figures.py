"""figures.py EVENTS.ndjson REPORT.json: notice, queue, run and blame of every descriptor, from the export, against
those of the report. For marked handlers and nothing lost or late; tests/recompute.py takes any recording."""
from collections import Counter, defaultdict, deque
import itertools, json, sys
events, report = [json.loads(line) for line in open(sys.argv[1])], json.load(open(sys.argv[2]))
sends, sent, read, told, running, runs = defaultdict(deque), Counter(), Counter(), {}, {}, []
entered, off, looked = Counter(), Counter(), Counter()  # by thread: wait entered, why off CPU, when its wait looked
proof = defaultdict(lambda: -1)  # the last instants at which a descriptor was certainly not ready, by what says so
for e in (e for e in events if e["kind"] == "supplied" and e["bytes"]):  # what load generators sent: up to which byte
    sent[e["to"]] += e["bytes"]
    sends[e["to"]].append((sent[e["to"]], e["from_ns"], e["to_ns"]))
def became_ready(e, seat, reg):  # the first and the last instant at which that may have been of which a `ready` tells
    t, edge, before, unread = e["at_ns"], "ET" in e["interest"], proof["told", reg], sends[e["addresses"]]
    empty = -1 if "OUT" in e["mask"] or max(before, proof["set", reg]) < 0 else proof["empty", e["file"]]
    lo = min(max(before, proof["others", seat], proof["set", reg], empty), looked[e["thread"]])  # a new set asks anew
    while unread and unread[0][0] <= read[e["file"]]: unread.popleft()
    _, t0, t1 = next((s for s in unread if s[2] > before or not edge), (0, -1, -1))
    if "IN" in e["mask"] and max(before if edge else 0, 0) <= t0 <= t: return max(lo, t0), max(lo, min(t1, t))
    return None if lo < 0 or e["file"] is None and e["fd"] >= 0 else (lo, t)  # nothing is known of one that is closed
for e in events:
    kind, t, loop, thread, file = e["kind"], e["at_ns"], e.get("loop"), e["thread"], e.get("file")
    seat, reg = (loop, thread), (loop, e.get("fd"), e.get("generation"))
    if seat in running and kind in ("wait-enter", "run-begin", "run-end"): runs.append((seat, *running.pop(seat), t))
    if kind == "wait-enter": entered[thread], looked[thread] = t, 0
    elif kind == "switch-out": off[thread] = e["why"]  # a wait looks after a sleep; pre-empted, maybe before that
    elif kind == "switch-in": looked[thread] = t if off[thread] == "blocked" else looked[thread] or entered[thread] or t
    elif kind == "wait-exit":  # one with room for more has told of all there is
        proof["others", seat], looked[thread] = proof["all", loop], looked[thread] or t
        proof["all", loop] = max(proof["all", loop], looked[thread] if e["room"] else -1)
    elif kind == "ready": told[e["event"]], proof["told", reg] = (t, became_ready(e, seat, reg)), t
    elif kind == "run-begin": running[seat] = (reg, *told[e["ready"]], t)
    elif kind == "ctl-end" and e["op"] != "del": proof["set", reg] = t
    elif kind == "io" and e["op"] in ("read", "recv"): read[file] += e["result"] or 0
    if e.get("drained"): proof["empty", file] = max(proof["empty", file], t - e["duration_ns"])
figures, caused, served, wrong = defaultdict(list), Counter(), defaultdict(list), []
for seat, reg, woken, span, start, end in runs:  # how long its event waited, and behind whom
    lo, hi = span or (woken, woken)
    notice = {"lo": woken - hi, "hi": woken - lo} if span else {}
    for name, ns in {**notice, "queue_ns": start - woken, "run_ns": end - start}.items(): figures[reg, name].append(ns)
    for other, a, b in itertools.takewhile(lambda run: run[2] > lo, reversed(served[seat])):
        for bound, since in ("lo", hi), ("hi", lo): caused[other, bound] += max(b - max(a, since), 0) * (other != reg)
    served[seat].append((reg, start, end))
for f in report["fds"]:
    reg, says = (f["loop"], f["fd"], f["generation"]), {k: f[k] for k in ("queue_ns", "run_ns")}
    says = {k: (v["count"], v["sum"], v["max"]) for k, v in (says | (f["notice_ns"] or {})).items() if v and v["count"]}
    mine = {name: (len(ns), sum(ns), max(ns)) for (of, name), ns in figures.items() if of == reg}
    blame = {bound: ns - caused[reg, bound] for bound, ns in (f["caused_wait_ns"] or {}).items()}
    if mine != says or any(blame.values()): wrong.append((reg, mine, says, blame))
print(*wrong, f"{len(report['fds'])} descriptors, {len(runs)} runs, {len(wrong)} differences", sep="\n")
sys.exit(bool(wrong) or not report["fds"])
