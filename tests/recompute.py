"""recompute.py EVENTS.ndjson REPORT.json: notice, queue, run, tail and blame of every descriptor, and whom runs were for, computed
again from `export --to ndjson`, knowing nothing but docs/EXPORT.md, and compared with the report, exactly. Exit 1 if any figure differs."""
import collections, itertools, json, sys
from handlers import handlers  # of programs that mark none
table, caused, served = collections.defaultdict(lambda: [0, 0, 0]), collections.Counter(), collections.defaultdict(list)
proofs, read = collections.defaultdict(dict), collections.Counter()  # by file
batch, wake, room, size, runs, latest, accounts, marked = {}, {}, {}, {}, collections.defaultdict(list), {}, {}, set()
loops_of = collections.defaultdict(set)
entered, off, back = {}, {}, {}  # waits, and whether their threads slept
behalf = collections.defaultdict(lambda: [0, 0])  # whom runs were for, and whose
asks, adds = {}, {}  # threads that wait in the call itself, and their loops; ADDs under way
def add(key, name, ns):
    table[key, name] = [table[key, name][0] + 1, table[key, name][1] + ns, max(table[key, name][2], ns)]
def waited(seat, key, start, item):  # from ready to start, and whose runs lie between them
    told = min(item["told"], start)
    lo, hi = item["span"] or (told, told)
    for bound, since in ("lo", hi), ("hi", lo):
        for other, a, b in itertools.takewhile(lambda s: s[2] > since, reversed(served[seat])):
            caused[other, bound] += (b - max(a, since)) * (other != key)
    return [("lo", told - hi), ("hi", told - lo)] * bool(item["span"]) + [("queue_ns", start - told)]
def stretch(item, key, start, t):  # a run, or a piece of one, ends or goes on for somebody else
    whom, since = item.get("for", (None, 0))
    for of in ((key, "for_others"), (whom, "on_its_behalf")) if whom else ():
        behalf[of][1] += t - max(since, start)
def end(thread, seat, t):  # the marked run under way there ends, and whatever is nested in it
    while any(run[0] == seat for run in runs[thread]):
        at, key, start, item = runs[thread].pop()
        for name, ns in waited(at, key, start, item) + [("run_ns", t - start)]: add(key, name, ns)
        item["state"] = "done"
        stretch(item, key, start, t)
        served[at].append((key, start, t))
def over(seat, inferred):  # the turn is over: inferred runs are complete, and what nobody served has waited all the same
    for item in batch.pop(seat, ()):
        if item["state"] == "served":
            told = [(name, ns) for name, ns in item["waited"] if "noticed" not in item or name == "queue_ns"]
            for name, ns in told + [("run_ns", item["run"])]: add(item["key"], name, ns)
        elif item["state"] == "told" and item["span"] and (inferred or seat[0] not in marked):
            for name, at in zip(("lo", "hi"), reversed(item["span"])): add(item["key"], name, item["told"] - at)
            item["noticed"] = True
def measured(item, t0, t1):  # it became ready while the sender's call lasted
    lo = min(max(t0, item["span"][0] if item["span"] else 0), item["told"])
    item["span"], item["bounded"] = (lo, max(min(t1, item["told"]), lo)), False
def account(pair):  # what was sent to the side that sees these addresses
    return accounts.setdefault(pair, {"file": None, "sent": 0, "sends": [], "begun": {}, "doubt": False})
for e in handlers(map(json.loads, open(sys.argv[1]))):
    kind, t, thread, file, late = e["kind"], e["at_ns"], e["thread"], e.get("file"), e.get("late")
    seat, key = (e.get("loop"), thread), (e.get("loop"), e.get("fd"), e.get("generation"))
    if seat[0] is not None and kind in ("wait-enter", "run-begin", "run-end"): end(thread, seat, t)
    loops_of[e.get("process")].add(seat[0])
    if kind == "wait-enter": back.pop(thread, 0), entered.update({seat: t})
    if kind == "lost" and e["cause"] not in ("newer", "samples"): off.clear()
    if kind == "lost" and "all" in e:  # nobody knows what its thread was in the middle of, nor what is registered
        for at in [at for at in batch if e["all"] or at[1] == thread]:
            for item in batch[at]: item["state"] = "served" if "waited" in item else "lost"
            over(at, True)
            served[at].clear()
            for known in (wake, size, runs): known.pop(at, 0), known.pop(at[1], 0)
        loops = set().union(*loops_of.values()) if e["all"] or not thread else loops_of[e["process"]]
        for loop in loops: room.pop(loop, 0)
        for known in proofs.values(): known.update({of: {} for of in known if of[0] in loops})
        for sent in accounts.values(): sent.update({"doubt": True, "sends": []})
    elif kind == "turn-over":
        over(seat, e["inferred"])
        wake.pop(seat, 0)
    elif kind == "switch-out": off[thread] = e["why"]
    elif kind == "switch-in": back[thread] = t if off.pop(thread, 0) == "blocked" else back.get(thread, 0)
    elif kind == "wait-enter": size[seat] = e["maxevents"] if e["call"].startswith("epoll") else 0  # poll's array proves nothing
    elif kind == "wait-exit" and seat[0] is not None:
        looked = min(max(back.get(thread, t), entered.pop(seat, t)), t)  # the kernel, and not before
        if e["n"] == 0 and not e["call"].startswith(("epoll", "poll", "ppoll", "select", "pselect")): asks[thread] = seat[0]
        wake[seat], batch[seat], all_of_it = t, [], (e["n"], 0 if late else size.get(seat, 0))
        if e["n"] == 0 < size.pop(seat, 0) and not late: room[seat[0]] = max(room.get(seat[0], -1), looked)
    elif kind == "ready" and not e.get("merged", True):
        known, edge = proofs[file].setdefault((*key[:2], file is None and e["data"]), {}), "ET" in e["interest"]
        if file is None and e["fd"] is not None and e["fd"] >= 0: known = {}  # it has ended
        before, unread, begun = known.get("told", -1), [], -1
        lo = max(room.get(seat[0], -1), before, known.get("set", -1), known.get("empty", -1) if "OUT" not in e["masks"] else -1)
        e.update({"key": key, "told": t, "span": (min(lo, looked), t) if lo >= 0 else None, "bounded": lo >= 0})
        sent = account(e["addresses"])
        if sent["file"] not in (None, file): sent.update({"sent": 0, "sends": [], "begun": {}})
        sent["file"] = file
        if "IN" in e["masks"] and not sent["doubt"]:
            unread = [s for s in sent["sends"] if s[0] > read[file] and not (edge and s[2] <= before)]
            begun = min(sent["begun"].values(), default=-1)
        if unread and (before if edge else -1) <= unread[0][1] <= t: measured(e, *unread[0][1:])
        elif not unread and max(lo, 0) <= begun <= t: measured(e, begun, t)
        batch.setdefault(seat, []).append(e)
        known["told"] = t
        latest[key] = e
    elif kind == "run-begin":
        marked.add(seat[0])
        same = lambda i: i["data"] == e["data"] if e["named_fd"] is None else i["key"] == key
        item = next((i for i in batch.get(seat, ()) if i["index"] == e["index"] and same(i)), None)
        item = item or next((i for i in batch.get(seat, ()) if i["state"] in ("told", "stale") and same(i)), None)
        if not item and key in latest and latest[key]["state"] == "told" and latest[key]["thread"] != thread:
            item = latest[key]  # another thread was told
        runs[thread].append((seat, key, t, item or {"told": wake.get(seat, t), "span": None}))
    elif kind == "run-end" and e["left"]:
        for item in batch.get(seat, ()): item["state"] = "skipped" if item["state"] == "told" else item["state"]
    elif kind == "piece":  # of an inferred run
        item, start, t = e["item"], e["from_ns"], e["to_ns"]
        if not any(item is i for i in batch.setdefault(seat, [])):  # carried over into this turn
            for items in batch.values(): items[:] = [i for i in items if i is not item]
            batch[seat].append(item)
        if "waited" not in item: item.update({"waited": waited(seat, item["key"], start, item), "bounded": False, "run": 0})
        item["run"] += t - start
        stretch(item, item["key"], start, t)
        served[seat].append((item["key"], start, t))
    elif kind == "on-behalf" and not late and ("item" in e or runs[thread]):
        key, start, item = (e["item"]["key"], e["from_ns"], e["item"]) if "item" in e else runs[thread][-1][1:]
        whom = (e["whose_loop"], e["fd"], e["generation"])
        if whom == item.get("for", (0,))[0]: continue
        stretch(item, key, start, t)
        if whom != key:
            for of in (key, "for_others"), (whom, "on_its_behalf"): behalf[of][0] += 1
        if whom != key or "for" in item: item["for"] = (whom if whom != key else None, t if "for" in item else 0)
    elif kind == "tail": add(e["item"]["key"], "tail_ns", e["to_ns"] - e["from_ns"])
    elif kind == "ctl-begin" and e["op"] == "add":  # it may be told of before its ADD has returned
        proofs[file].setdefault((*key[:2], False), {"set": t})
        adds[thread] = t
    elif kind == "ctl-end" and e["result"] == 0:
        known = proofs[file].get((*key[:2], False), {})
        if e["op"] != "add" or "told" not in known or known.get("set") != adds.get(thread):  # told before, an ADD's end proves nothing
            if e["op"] != "mod": proofs[file].pop((*key[:2], False), 0)
            if e["op"] != "del": proofs[file].setdefault((*key[:2], False), {})["set"] = t
    elif kind == "reg-seen": proofs[file].setdefault((*key[:2], False), {})
    elif kind == "io" and e["op"] in ("read", "recv", "accept"):
        n = 0 if e["op"] == "accept" else e["result"] or 0
        if thread in asks: proofs[file].setdefault((asks.pop(thread), e["fd"], False), {})
        read[file] += n
        short = n > 0 and (e["what"] in ("eventfd", "timerfd") or e["what"] not in ("udp", "unix-dgram", "file") and n < e["asked"])
        if e.get("error") == "EAGAIN" or short:
            for known in proofs[file].values(): known["empty"] = max(known.get("empty", -1), t - e["duration_ns"])
            for sent in (s for s in accounts.values() if s["doubt"] and s["file"] == file):
                sent.update({"sent": read[file], "sends": [], "begun": {}, "doubt": False})
    elif kind in ("supply-begin", "supplied") and e["to"]:
        sent = account(e["to"])
        sent["begun"].pop(thread, 0)
        if kind == "supply-begin" and not late: sent["begun"][thread] = t
        if not e.get("bytes"): continue
        sent["sent"] += e["bytes"]
        sent["doubt"] |= bool(late)  # when it was sent is not known, nor what has been since
        sends = [s for s in sent["sends"] if s[0] > read[sent["file"]]] + [(sent["sent"], e["from_ns"], e["to_ns"])]
        sent["sends"] = [] if sent["doubt"] else sends
        if sent["doubt"] or sent["file"] is None: continue
        for item in (i for b in batch.values() for i in b if i["addresses"] == e["to"] and i["bounded"] and latest[i["key"]] is i):
            if item["state"] in ("told", "running") and e["from_ns"] <= item["told"] and e["to_ns"] >= item["span"][0]: measured(item, e["from_ns"], e["to_ns"])
    for one in e.get("closes", ()):
        for pair in [pair for pair, sent in accounts.items() if one["last"] and sent["file"] == one["file"]]: del accounts[pair]
    if "merged" in e and all_of_it[0] == e["index"] + 1 < all_of_it[1]: room[seat[0]] = max(room.get(seat[0], -1), looked)  # the whole batch, and room for more
    if late and kind in ("ready", "run-begin"): proofs[file][(*key[:2], file is None and e["data"])] = {}
    if late and kind in ("io", "ctl-begin", "ctl-end", "fd-open", "dup-begin", "dup-end"): proofs[file] = {of: {} for of in proofs[file]}
report, wrong, rows = json.load(open(sys.argv[2])), [], collections.defaultdict(list)
for f in report["fds"]: rows[f["loop"], f["fd"], f["generation"]].append(f)
for key, same in rows.items():  # registered again after a DEL it has a row of its own
    for name in ("lo", "hi", "queue_ns", "run_ns", "tail_ns"):
        want = [w for w in ((f["notice_ns"] or {}).get(name) if name in ("lo", "hi") else f[name] for f in same) if w]
        want = [sum(w["count"] for w in want), sum(w["sum"] for w in want), max((w["max"] for w in want), default=0)]
        wrong += [(key, name, table[key, name], want)] * (table[key, name] != want)
    for name in ("for_others", "on_its_behalf"):
        want = [sum(f[name][of] for f in same if f[name]) for of in ("count", "ns")]
        wrong += [(key, name, behalf[key, name], want)] * (behalf[key, name] != want)
    want = [f["caused_wait_ns"] for f in same if f["caused_wait_ns"]]
    wrong += [(key, "caused", k, caused[key, k]) for k in ("lo", "hi") if want and caused[key, k] != sum(w[k] for w in want)]
found = sum(count for (_, name), (count, _, _) in table.items() if name == "run_ns")
print(*wrong, f"{len(report['fds'])} descriptors, {found} runs, {len(wrong)} differences", sep="\n")
sys.exit(bool(wrong) or not report["fds"])
