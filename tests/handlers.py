"""Handlers of programs that mark none, inferred from their calls as docs/MODEL.md says. Passes the lines of `export --to ndjson` on,
with lines of its own between them: `piece` (of a run), `tail` (what follows the last one up to the wait), `turn-over`. A `ready`
line gets a `state`: told, running, served, stale, handed; an `on-behalf` line the `item` of the inferred run it stands in."""
GONE = {"ERR", "HUP", "RDHUP"}
IN, OUT = {"IN", "PRI"} | GONE, {"OUT"} | GONE
ANSWERS = {"read": IN, "recv": IN, "peek": IN, "accept": IN, "write": OUT, "send": OUT, "sendfile": OUT, "connect": OUT, "shutdown": GONE}
def handlers(events):
    infers, marks, turn, since, last, latest, open_runs, batch, owner, lay_down, closing = set(), set(), {}, {}, {}, {}, {}, {}, {}, {}, {}
    out = []
    def line(kind, seat, **more): out.append({"kind": kind, "at_ns": t, "loop": seat[0], "thread": seat[1], **more})
    def stop(run, at):  # a piece of a run ends; it may be come back to until the turn ends
        run["item"]["state"], since[run["seat"]] = "served", at
        line("piece", run["seat"], item=run["item"], from_ns=run["from"], to_ns=at)
    def leave(depth, at):  # nothing more is served there: each ended with its last own call
        while len(stack) > depth:
            run = stack.pop()
            if run["item"] is None: continue
            own = min(max(run["own"], run["from"]), at)
            stop(run, own)
            line("tail", run["seat"], item=run["item"], from_ns=own, to_ns=at)
            since[run["seat"]] = at
    def stale(ended):  # what was told of a registration when that had ended
        for item in (i for told in batch.values() for i in told):
            if item["state"] == "told" and ended(item): item["state"] = "stale"
    def depth_of(seat): return next((n for n, run in enumerate(stack) if run["seat"] == seat), len(stack))
    def serves(fd, file, start, at, answers, inside):  # does this call start a handler, or carry one on?
        seats = [last[thread]] if thread in last else []
        for seat in seats + [run["seat"] for run in reversed(stack)]:
            if seat not in turn: continue
            if stack and stack[-1]["item"] is None and stack[-1]["from"] > turn[seat]: return True  # the program marks that one
            run = next((run for run in stack if run["seat"] == seat), None)
            item = latest.get((seat[0], fd, file))
            again = run and item and item["at_ns"] > run["item"]["at_ns"]  # told again since, another thread perhaps
            if run and (run["item"]["fd"], run["item"]["file"]) == (fd, file) and not again:
                run.update({"own": max(run["own"], at), "inside": run["inside"] or inside})
                return True
            if not item: continue
            here = item.get("now", (item["thread"], item["at_ns"])) == (seat[1], turn[seat])
            parked = False
            if not here:  # told earlier or to another thread, and not slept on since: carried over
                if item["state"] != "told" or not item["guess"] or not item["masks"] & answers & IN: continue
                if item["at_ns"] < min(lay_down.get(of, 0) for of in (seat, (seat[0], item["thread"]))): continue
                item["now"], parked = (seat[1], turn[seat]), item["at_ns"] > turn[seat]
            if item["state"] != "served" and not (item["state"] == "told" and (not run or item["masks"] & answers)): return False
            start = max(start, since[seat])
            leave(depth_of(seat) + (not parked), start)  # who was parked unseen served nothing then
            if run and not parked: stop(stack.pop(), start)
            item["state"], since[seat] = "running", start
            stack.append({"seat": seat, "item": item, "from": start, "own": max(at, start), "inside": inside})
            return True
        return False
    for e in events:
        kind, t, thread, seat = e["kind"], e["at_ns"], e["thread"], (e.get("loop"), e["thread"])
        stack, wait = open_runs.setdefault(thread, []), seat[0] is not None
        if kind == "exec" and e["source"]: infers.discard(e["process"])
        if kind in ("process-start", "exec") and e["source"] == "preload": infers.add(e["process"])
        guess = e["process"] in infers
        if kind == "ready" and wait:
            over = e["file"] is None and (e["fd"] or -1) >= 0  # its registration ended before its thread could say what it was told
            e["state"], e["masks"], e["guess"] = "stale" if over else "told", set(e["mask"].split("|")), guess and seat not in marks
            before = latest.get((seat[0], e["fd"], e["file"]))
            e["merged"] = polls and before is not None and before["thread"] == thread and before["at_ns"] == woke
            if e["merged"]: before["masks"] |= e["masks"]  # a select tells of each of its sets
            else:
                latest[seat[0], e["fd"], e["file"]] = e
                batch[seat].append(e)
            e["owner"] = owner.get((seat[0], e["fd"], e["file"]), e["process"])
        elif kind == "wait-enter" and wait:
            if guess and e["epfd"] >= 0:  # a loop nested in another's handler
                known = [key for key in latest if key[1] == e["epfd"] and key[0] != seat[0] and key[2] is not None]
                if known: serves(*max(known)[1:], t, t, IN - {"RDHUP"}, True)
            leave(next((n for n, run in enumerate(stack) if run["item"] and run["item"]["fd"] != e["epfd"]), len(stack)), t)
            leave(depth_of(seat), t)
            line("turn-over", seat, inferred=seat in turn)
            turn.pop(seat, 0)
            last[thread] = seat
            if e["timeout_ns"] != 0: lay_down[seat] = t
        elif kind in ("wait-exit", "ctl-end", "close-end", "dup-end") and stack and stack[-1].get("inside") and (wait or kind != "wait-exit"):
            stack[-1].update({"own": max(stack[-1]["own"], t), "inside": False})
        elif kind == "io" and guess and e.get("file") is not None:
            answers = ANSWERS.get(e["op"], IN | OUT)
            if not serves(e["fd"], e["file"], t - e["duration_ns"], t, answers, False):
                for item in latest.values():  # a worker takes over what another thread was told
                    if item["file"] == e["file"] and item["thread"] != thread and item["state"] == "told" and item["masks"] & answers: item["state"] = "handed"
        elif kind in ("ctl-begin", "close-begin", "dup-begin") and guess and e.get("file") is not None:
            serves(e["fd"], e["file"], t, t, GONE, True)
        elif kind == "on-behalf" and stack and not e.get("late"):  # the program says that this handler has not ended
            stack[-1]["own"] = max(stack[-1]["own"], t)
            e["item"], e["from_ns"] = stack[-1]["item"], stack[-1]["from"]
        elif kind == "run-begin":
            leave(depth_of(seat), t)
            marks.add(seat)
            turn.pop(seat, 0)
        elif kind == "lost" and e["cause"] not in ("newer", "samples", "switches"):  # those are of no event of the program
            e["all"] = e["cause"] not in ("ring-full", "torn", "rejected")
            for of in [of for of in open_runs if e["all"] or of == thread]: open_runs[of].clear()
            for of in [of for of in turn if e["all"] or of[1] == thread]: turn.pop(of)
        elif kind == "thread-end":
            leave(0, t)
            for of in [of for of in since if of[1] == thread]:
                line("turn-over", of, inferred=of in turn)
                turn.pop(of, 0)
        if kind == "wait-exit" and wait:
            batch[seat], woke, polls, since[seat] = [], t, not e["call"].startswith("epoll"), t
            if guess and seat not in marks: turn[seat] = t
        if kind == "ctl-end" and e["op"] == "add" and e["result"] == 0: owner[e["loop"], e["fd"], e["file"]] = e["process"]
        if kind == "ctl-begin" and e["op"] == "del":
            stale(lambda i: (i["loop"], i["fd"], i["file"]) == (e["loop"], e["fd"], e.get("file")))
        gone = [one["loop"] for one in e.get("closes", ()) if one["last"] and one["loop"] is not None]
        if kind in ("close-begin", "dup-begin"): closing[thread] = gone
        elif kind in ("close-end", "dup-end"): gone += closing.pop(thread, [])
        for seat in [of for of in turn if of[0] in gone and of not in marks and not kind.endswith("-begin")]:  # the loop is no more
            thread, stack = seat[1], open_runs[seat[1]]
            leave(depth_of(seat), t)
            line("turn-over", seat, inferred=True)
            turn.pop(seat)
        thread, stack = e["thread"], open_runs[e["thread"]]
        for one in e.get("closes", ()):
            number = lambda i: (i["owner"], i["fd"], i["file"]) == (e["process"], one["fd"], one["file"])
            stale(lambda i: number(i) or one["last"] and (i["file"] == one["file"] or i["loop"] == one["loop"]))
        yield from out
        out.clear()
        yield e
