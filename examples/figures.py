"""figures.py EVENTS.ndjson REPORT.json: works notice, queue, run and blame of every descriptor out from `loopscope export --to ndjson`
and holds them against `loopscope report --json`. For marked handlers, nothing lost or late; tests/recompute.py takes any recording."""
import collections, itertools, json, sys
figures, caused, served = collections.defaultdict(list), collections.Counter(), collections.defaultdict(list)
wake, batch, room, size, now, proofs, ends = {}, {}, {}, {}, {}, collections.defaultdict(dict), {}
read, sent, sends, sending = collections.Counter(), collections.Counter(), collections.defaultdict(list), collections.defaultdict(dict)
def ran(seat, t):  # a handler ends: how long its event waited, and behind whom
    key, start, item = now.pop(seat)
    lo, hi = item["span"] or (wake[seat], wake[seat])
    for bound, since in ("lo", hi), ("hi", lo):
        for other, a, b in itertools.takewhile(lambda run: run[2] > since, reversed(served[seat])):
            caused[other, bound] += (b - max(a, since)) * (other != key)
    notice = [("lo", wake[seat] - hi), ("hi", wake[seat] - lo)] if item["span"] else []
    for name, ns in [*notice, ("queue_ns", start - wake[seat]), ("run_ns", t - start)]: figures[key, name].append(ns)
    served[seat].append((key, start, t))
def stamped(item, t0, t1):  # its sender says when: it became ready while that call lasted
    lo = min(max(t0, item["span"][0] if item["span"] else 0), item["at_ns"])
    item["span"], item["stamped"] = (lo, max(min(t1, item["at_ns"]), lo)), True
for e in map(json.loads, open(sys.argv[1])):
    kind, t, seat, key, file = e["kind"], e["at_ns"], (e.get("loop"), e["thread"]), (e.get("loop"), e.get("fd"), e.get("generation")), e.get("file")
    if seat in now and kind in ("wait-enter", "run-begin", "run-end"): ran(seat, t)
    if kind == "wait-enter": size[seat], batch[seat] = e["maxevents"], []
    elif kind == "wait-exit": wake[seat], wait = t, e["n"]
    elif kind == "ready":
        known, edge, to = proofs[file], "ET" in e["interest"], e["addresses"]
        before, empty = known.get("told", -1), -1 if "OUT" in e["mask"] else known.get("empty", -1)
        lo = max(room.get(seat[0], -1), before, known.get("set", -1), empty)  # the last proof that it was not ready
        e["span"], e["stamped"], known["told"], ends[to] = (lo, t) if lo >= 0 else None, False, t, file
        unread = [s for s in sends[to] if s[0] > read[file] and not (edge and s[2] <= before)] if "IN" in e["mask"] else []
        begun = min(sending[to].values(), default=-1) if "IN" in e["mask"] and not unread else -1
        if unread and (before if edge else -1) <= unread[0][1] <= t: stamped(e, *unread[0][1:])
        elif max(lo, 0) <= begun <= t: stamped(e, begun, t)
        batch[seat].append(e)
    elif kind == "run-begin": now[seat] = key, t, next(i for i in batch[seat] if i["data"] == e["data"])
    elif kind == "ctl-end" and e["op"] != "del": proofs[file]["set"] = t
    elif kind == "io" and e["op"] in ("read", "recv", "accept"):
        n = e["result"] or 0 if e["op"] != "accept" else 0
        read[file] += n
        all_of_it = 0 < n < e["asked"] and e["what"] not in ("udp", "unix-dgram", "file") or n and e["what"] == "eventfd"
        if all_of_it or e.get("error") == "EAGAIN": proofs[file]["empty"] = t - e["duration_ns"]
    elif kind in ("supply-begin", "supplied"):  # a load generator stamps its sends
        to = "{0} {2}>{1}".format(*e["pair"].replace(">", " ").split(" "))
        sending[to].update({e["thread"]: t}) if kind == "supply-begin" else sending[to].pop(e["thread"], 0)
        if e.get("bytes"):
            sent[to] += e["bytes"]
            sends[to] = [s for s in sends[to] if s[0] > read[ends.get(to)]] + [(sent[to], e["from_ns"], e["to_ns"])]
            for item in (i for told in batch.values() for i in told if i["addresses"] == to and i["span"] and not i["stamped"]):
                if e["from_ns"] <= item["at_ns"] and e["to_ns"] >= item["span"][0]: stamped(item, e["from_ns"], e["to_ns"])
    if kind in ("wait-exit", "ready") and wait == len(batch[seat]) < size[seat]: room[seat[0]] = t  # nothing else was ready
report, wrong = json.load(open(sys.argv[2])), []
for f in report["fds"]:
    key, notice = (f["loop"], f["fd"], f["generation"]), f["notice_ns"] or {"lo": None, "hi": None}
    for name, says in [*notice.items(), ("queue_ns", f["queue_ns"]), ("run_ns", f["run_ns"])]:
        mine, told = figures[key, name], [says["count"], says["sum"], says["max"]] if says else [0, 0, 0]
        if [len(mine), sum(mine), max(mine, default=0)] != told: wrong.append((key, name, told))
    wrong += [(key, "caused", k, ns, caused[key, k]) for k, ns in (f["caused_wait_ns"] or {}).items() if caused[key, k] != ns]
print(*wrong, f"{len(report['fds'])} descriptors, {sum(map(len, served.values()))} runs, {len(wrong)} differences", sep="\n")
sys.exit(bool(wrong) or not report["fds"])
