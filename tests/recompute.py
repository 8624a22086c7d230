"""recompute.py EVENTS.ndjson REPORT.json: notice, queue, run, tail and blame of every descriptor computed again from `export --to
ndjson`, knowing nothing but docs/EXPORT.md, and compared with the report, exactly. Exit 1 if any figure differs."""
import collections, itertools, json, sys
table, caused, served = collections.defaultdict(lambda: [0, 0, 0]), collections.Counter(), collections.defaultdict(list)
size, wake, coming, batch, now, room, ctl, told, fds, sends, sending, last, infer, pids, ending = ({} for _ in range(15))
fresh, marks, gone = {"since": 0, "read": 0, "empty": -1, "pair": None, "item": None, "what": ""}, set(), {"ERR", "HUP", "RDHUP"}
answers = {"read": {"IN", "PRI"} | gone, "recv": {"IN", "PRI"} | gone, "accept": {"IN", "PRI"} | gone, "write": {"OUT"} | gone, "send": {"OUT"} | gone}
def add(key, name, ns):
    table[key, name] = [table[key, name][0] + 1, table[key, name][1] + ns, max(table[key, name][2], ns)]
def waited(seat, key, start, item):  # from ready to start, and whose runs lie between them
    told = wake.get(seat, start)
    lo, hi = item["ready"] or (told, told)
    for bound, since in ("lo", hi), ("hi", lo):
        for other, a, b in itertools.takewhile(lambda s: s[2] > since, reversed(served[seat])):
            caused[other, bound] += (b - max(a, since)) * (other != key)
    notice = [("lo", told - hi), ("hi", told - lo)] if item["ready"] else []
    return [*notice, ("queue_ns", start - told)]
def end(seat, t):  # the marked run under way on this loop and thread ends
    key, start, item = now.pop(seat)
    batch[seat] = [i for i in batch.get(seat, ()) if i is not item]
    for name, ns in [*waited(seat, key, start, item), ("run_ns", t - start)]: add(key, name, ns)
    served[seat].append((key, start, t))
def pause(seat, t):  # the inferred run under way there ends, or is left and may be come back to
    item = now.pop(seat)
    if item["run"] is None: item["waited"] = waited(seat, item["key"], item["piece"], item)
    item.update({"run": (item["run"] or 0) + t - item["piece"], "bounded": False})
    served[seat].append((item["key"], item["piece"], t))
def call(seat, fd, t0, t1, says, begins):  # a call of a thread that marks nothing: does it start a handler, or carry one on?
    open, item = now.get(seat), fd["item"]
    if open and open["fd"] is fd: open.update({"own": t1, "inside": begins})
    elif any(i is item for i in batch.get(seat, ())) and (item["run"] is not None or not open or says & set(item["mask"].split("|"))):
        if open: pause(seat, t0)
        now[seat] = item
        item.update({"piece": t0, "own": t1, "inside": begins})
def bracket(item, _, t0, t1):  # it became ready while the sender's call lasted
    lo = min(max(t0, item["ready"][0] if item["ready"] else 0), item["told"])
    item["ready"], item["bounded"] = (lo, max(min(t1, item["told"]), lo)), False
for e in map(json.loads, open(sys.argv[1])):
    kind, t, seat, key, place = e["kind"], e["at_ns"], (e.get("loop"), e["thread"]), (e.get("loop"), e.get("fd"), e.get("generation")), (e["process"], e.get("fd"))
    fd = fds.setdefault(place, {**fresh, "opened": 1})
    if kind == "process-start":
        infer[e["number"]], pids[e["new_pid"]] = e["source"] == "preload", e["number"]
        forked = [(number, f) for (process, number), f in fds.items() if process == pids.get(e["parent_pid"], -1)]
        for number, f in forked: fds[e["number"], number] = {**fresh, "opened": f["opened"]}
    if kind == "run-begin": marks.add(seat)
    here = last.get(e["thread"])
    guess = infer.get(e["process"]) and here not in marks
    if guess and kind in ("io", "ctl-begin", "close-begin", "dup-begin"):
        call(here, fd, t - e.get("duration_ns", 0), t, answers.get(e.get("op"), gone), kind != "io")
    if guess and kind in ("ctl-end", "close-end", "dup-end") and here in now and now[here]["inside"]: now[here].update({"own": t, "inside": False})
    if guess and kind in ("wait-enter", "thread-end") and here in now:  # what follows its last call is the last one's tail
        add(now[here]["key"], "tail_ns", t - now[here]["own"])
        pause(here, now[here]["own"])
    if guess and (kind == "close-begin" or e.get("op") == "del") and fd["item"] and fd["item"]["run"] is None and now.get(here) is not fd["item"]: fd["item"]["stale"] = True
    for i in batch.get(here, ()) if kind in ("wait-enter", "thread-end") and guess else ():  # the turn is over: its runs are complete
        if i["run"] is not None: [add(i["key"], name, ns) for name, ns in [*i["waited"], ("run_ns", i["run"])]]
        elif i["ready"] and "stale" not in i: [add(i["key"], name, i["told"] - at) for name, at in zip(("lo", "hi"), i["ready"][::-1])]
    if seat in now and kind in ("wait-enter", "run-begin", "run-end"): end(seat, t)
    if kind == "wait-enter": size[seat], batch[seat] = e["maxevents"], []
    elif kind == "wait-exit": wake[seat], coming[seat], last[e["thread"]] = t, e["n"], seat
    elif kind == "ready":
        lo = max(ctl.get((e["epfd"], place, e["generation"]), -1), told.get(key, -1), room.get(key[0], -1), fd["empty"] if "OUT" not in e["mask"] else -1)
        item = {"data": e["data"], "told": t, "ready": None if lo < 0 else (min(lo, t), t), "bounded": lo >= 0, "key": key, "mask": e["mask"], "run": None, "fd": fd}
        if e["generation"] == fd["opened"]: fd["item"] = item  # else it is not what has the number here and now
        unread = [s for s in sends.get(fd["pair"], []) if s[0] > fd["read"] and not ("ET" in e["interest"] and s[2] <= told.get(key, -1))]
        begun = [min(sending[fd["pair"]].values())] if not unread and sending.get(fd["pair"]) else []
        edge = told.get(key, -1) if "ET" in e["interest"] else -1
        if "IN" in e["mask"] and unread and edge <= unread[0][1] <= t: bracket(item, *unread[0])
        if "IN" in e["mask"] and begun and max(lo, 0) <= begun[0]: bracket(item, None, begun[0], t)
        batch[seat], told[key] = batch[seat] + [item], t
    elif kind == "run-begin": now[seat] = key, t, next((i for i in batch.get(seat, ()) if (i["data"] == e["data"] if e["named_fd"] is None else i["key"] == key)), {"ready": None})
    elif kind == "ctl-end" and e["op"] != "del" and e["result"] == 0: ctl[e["epfd"], place, fd["opened"]] = t
    elif kind in ("fd-open", "fd-addr"):
        if kind == "fd-open" and fd["what"]: fd = fds[place] = {**fresh, "opened": fd["opened"] + 1}  # a close nobody saw
        fd.update({"since": t, "what": e["what"], "pair": e.get("addresses"), "opened": e.get("generation", fd["opened"])})
    elif kind == "close-begin" or kind == "dup-begin" and e["target"] is not None:
        number = place[0], e["target"] if kind == "dup-begin" else place[1]
        ending[e["thread"]] = number, fds.get(number, fd)
        fds[number] = {**fresh, "since": t, "opened": fds.get(number, fd)["opened"] + 1}
    elif kind in ("close-end", "dup-end") and e["thread"] in ending:
        number, before = ending.pop(e["thread"])
        if e.get("error"): fds[number] = before
        else: sends.pop(before["pair"], None)
    elif kind == "fd-gone" and fd["since"] < t - e["ago_ns"]: fds[place] = {**fresh, "since": t, "opened": fd["opened"] + 1}
    elif kind == "fd-seen" and fd["since"] <= t - e["ago_ns"]: fd["what"] = fd["what"] or e["what"]  # else the number means something else by now
    elif kind == "run-end" and e["left"]: batch[seat] = []
    elif kind == "io" and e["op"] in ("read", "recv", "accept"):
        n, fd["read"] = (0 if e["op"] == "accept" else e["result"] or 0), fd["read"] + (0 if e["op"] == "accept" else e["result"] or 0)
        short = 0 < n < e["asked"] and fd["what"] not in ("udp", "unix-dgram", "file") or n and fd["what"] in ("eventfd", "timerfd")
        if e.get("error") == "EAGAIN" or short: fd["empty"] = max(fd["empty"], t - e["duration_ns"])
    elif kind in ("supply-begin", "supplied") and e["pair"]:
        pair = "{0} {2}>{1}".format(*e["pair"].replace(">", " ").split(" "))
        sending.setdefault(pair, {}).pop(e["thread"], None)
        if kind == "supply-begin": sending[pair][e["thread"]] = t
        if not e.get("bytes"): continue
        to = next((f for f in fds.values() if f["pair"] == pair), {"read": 0, "item": None})
        sends[pair] = [s for s in sends.get(pair, []) if s[0] > to["read"]] + [(sends.get(pair, [[0]])[-1][0] + e["bytes"], e["from_ns"], e["to_ns"])]
        for i in (i for b in batch.values() for i in b if i is to["item"] and i["bounded"] and e["from_ns"] <= i["told"] and e["to_ns"] >= i["ready"][0]):
            bracket(i, *sends[pair][-1])
    if kind in ("wait-exit", "ready") and coming[seat] == len(batch[seat]) < size[seat]: room[key[0]] = t  # the whole batch, and room for more
    if e.get("late") and kind in ("wait-exit", "ready", "run-begin", "run-end"): room.pop(key[0], 0)
    if e.get("late") and e.get("fd") is not None and kind != "run-end":  # what was known of it is in doubt
        known, fd["empty"] = (e["fd"], e.get("generation") or fd["opened"]), -1
        told, ctl = {k: v for k, v in told.items() if k[1:] != known}, {k: v for k, v in ctl.items() if (k[1], k[2]) != (place, known[1])}
report, wrong, rows = json.load(open(sys.argv[2])), [], collections.defaultdict(list)
for f in report["fds"]: rows[f["loop"], f["fd"], f["generation"]].append(f)
for key, same in rows.items():  # registered again after a DEL it has a row of its own
    for name in ("lo", "hi", "queue_ns", "run_ns", "tail_ns"):
        want = [w for w in ((f["notice_ns"] or {}).get(name) if name in ("lo", "hi") else f[name] for f in same) if w]
        want = [sum(w["count"] for w in want), sum(w["sum"] for w in want), max((w["max"] for w in want), default=0)]
        wrong += [(key, name, table[key, name], want)] * (table[key, name] != want)
    want = [f["caused_wait_ns"] for f in same if f["caused_wait_ns"]]
    wrong += [(key, "caused", k, caused[key, k]) for k in ("lo", "hi") if want and caused[key, k] != sum(w[k] for w in want)]
print(*wrong, f"{len(report['fds'])} descriptors, {sum(map(len, served.values()))} runs, {len(wrong)} differences", sep="\n")
sys.exit(bool(wrong) or not report["fds"])
