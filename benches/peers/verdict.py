"""The goals, what the figures say of each, and the table."""

from percall import CALLS
from servers import NOISE

READ_NS, WAIT_NS = 45, 75
OF_LTTNG, OF_STRACE = 0.35, 1 / 400
MARK_OFF_NS = 1
SERVER, ECHO_ALONE, ECHO_TOGETHER, ECHO_NOISE = 1.05, 1.04, 1.08, 0.005
PACE = 3_000_000
OURS, LTTNG, STRACE, DIAL9 = "loopscope", "LTTng-UST", "strace", "dial9 wake"

HOLDS, SHORT, UNKNOWN = "holds", "falls short", "not measured"


def number(row, field):
    return None if row is None else row.get(field)


def at_most(goal, value, limit, shown):
    if value is None or limit is None:
        return {"goal": goal, "verdict": UNKNOWN, "figure": None}
    return {"goal": goal, "verdict": HOLDS if value <= limit else SHORT, "figure": shown(value, limit)}


def goals(figures):
    """One entry for each goal, from whatever was measured."""
    return [*of_calls(figures.get("calls", {})), *of_marks(figures.get("marks", {})), *of_servers(figures.get("servers", {})), *of_losses(figures)]


def of_calls(calls):
    for which, limit in zip(CALLS, (READ_NS, WAIT_NS)):
        rows = calls.get(which, {}).get("tools", {})
        added = {tool: number(rows.get(tool), "added_ns") for tool in (OURS, LTTNG, STRACE)}
        yield at_most(
            f"{which}: at most +{limit} ns", added[OURS], limit, lambda value, _: f"+{value:.1f} ns"
        )
        for tool, ratio, text in ((LTTNG, OF_LTTNG, "0.35"), (STRACE, OF_STRACE, "1/400")):
            there = added[tool]
            yield at_most(
                f"{which}: at most {text} of {tool}",
                added[OURS],
                there * ratio if there else None,
                lambda value, most, ratio=ratio: share(value / (most / ratio)),
            )


def of_marks(marks):
    off = marks.get("rows", {}).get("mark, off")
    goal = f"a mark while nobody records: at most +{MARK_OFF_NS} ns"
    yield at_most(goal, number(off, "added_ns"), MARK_OFF_NS, lambda value, _: f"+{value:.2f} ns")
    yield at_most("marks: nothing lost", number(marks, "lost"), 0, lambda value, _: f"{value:,} lost")


def share(ratio):
    return f"{ratio:.2f}" if ratio >= 0.01 else f"1/{1 / max(ratio, 1e-9):.0f}"


def of_servers(servers):
    for workload, rows in servers.items():
        noise, ours = rows.get(NOISE), rows.get(OURS)
        alone = number(ours, "cpu")

        def shown(value, _, noise=noise):
            return f"{value:.3f}, A against A {number(noise, 'cpu') or 0:.3f}"

        if workload == "Tokio echo":
            still = number(noise, "cpu")
            if still is not None and abs(still - 1) > ECHO_NOISE:
                yield {
                    "goal": f"{workload}: the program alone, with the collector, and beside dial9",
                    "verdict": UNKNOWN,
                    "figure": f"A against A {still:.3f}: the machine is too noisy, it has to be within 0.5 %",
                }
                continue
            together, dial9 = number(ours, "cpu_with_tool"), number(rows.get(DIAL9), "cpu_with_tool")
            yield at_most(f"{workload}: the program alone at most {ECHO_ALONE}", alone, ECHO_ALONE, shown)
            yield at_most(f"{workload}: with the collector at most {ECHO_TOGETHER}", together, ECHO_TOGETHER, shown)
            yield at_most(
                f"{workload}: with the collector below {DIAL9}",
                together,
                None if dial9 is None else dial9 - 1e-9,
                lambda value, most: f"{value:.3f}, {DIAL9} {most:.3f}",
            )
            continue
        yield at_most(f"{workload}: server CPU a request at most {SERVER}", alone, SERVER, shown)
        yield at_most(
            f"{workload}: not above {LTTNG}",
            alone,
            number(rows.get(LTTNG), "cpu"),
            lambda value, most: f"{value:.3f}, {LTTNG} {most:.3f}",
        )


def of_losses(figures):
    for workload, rows in figures.get("servers", {}).items():
        lost = number(rows.get(OURS), "lost")
        yield at_most(f"{workload}: nothing lost", lost, 0, lambda value, _: f"{value:,} lost")
    paced = figures.get("paced", {})
    goal = f"{PACE / 1e6:g} million calls a second on one thread: nothing lost"
    if not paced or paced.get("not_measured"):
        yield {"goal": goal, "verdict": UNKNOWN, "figure": paced.get("not_measured")}
    elif paced["lost"] == 0 and paced["reached"] < 0.98 * paced["wanted"]:
        figure = f"the program reached only {paced['reached'] / 1e6:.2f} million"
        yield {"goal": goal, "verdict": UNKNOWN, "figure": figure}
    else:
        figure = f"{paced['lost']:,} of {paced['events']:,} lost at {paced['reached'] / 1e6:.2f} million"
        yield {"goal": goal, "verdict": HOLDS if paced["lost"] == 0 else SHORT, "figure": figure}


def table(figures, names):
    """Markdown: a row for each tool, a column for each measurement; then the goals."""
    calls, servers = figures.get("calls", {}), figures.get("servers", {})
    head = ["tool", *(f"{which}, ns added" for which in calls), *(f"{load}, CPU a request" for load in servers)]
    untraced = ["untraced", *(cell(calls[which], "untraced_ns", "{:.0f} ns") for which in calls)]
    for rows in servers.values():
        untraced.append(cell(rows.get(NOISE) or rows.get(OURS) or {}, "untraced_ns", "{:,.0f} ns"))
    lines = [head, ["---"] * len(head), untraced]
    for name in [*names, NOISE]:
        row = [name]
        for which in calls:
            measured = calls[which]["tools"].get(name, {})
            row.append(cell(measured, "added_ns", "+{:,.1f}") + times(measured, calls[which]["tools"].get(OURS, {})))
        for rows in servers.values():
            row.append(compared_cell(rows.get(name, {})))
        lines.append(row)
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n" if len(head) > 1 else ""
    marks = figures.get("marks", {}).get("rows", {})
    if marks:
        text += "| docs/loopscope.h | ns added | least to most |\n| --- | --- | --- |\n"
    for name, row in marks.items():
        text += f"| {name} | {row['added_ns']:+.2f} | {row['least']:+.2f} to {row['most']:+.2f} |\n"
    verdicts = figures["goals"]
    width = max(len(goal["goal"]) for goal in verdicts)
    text += "\n" * bool(marks) + "\n".join(
        f"{goal['verdict']:12}  {goal['goal']:{width}}  {goal['figure'] or ''}".rstrip() for goal in verdicts
    )
    return text


def cell(row, field, shape):
    value = number(row, field)
    return "–" if value is None else shape.format(value)


def times(row, ours):
    """How many times ours, and what was lost."""
    value, unit = number(row, "added_ns"), number(ours, "added_ns")
    text = "" if value is None or not unit or value == unit else f" (× {value / unit:,.1f})"
    return text + (f", {row['lost']:,} lost" if row.get("lost") else "")


def compared_cell(row):
    if row.get("cpu") is None:
        return "–"
    text = f"{row['cpu']:.3f}"
    if row.get("cpu_interval"):
        text += " [{:.2f}–{:.2f}]".format(*row["cpu_interval"])
    if row["cpu_with_tool"] - row["cpu"] > 0.0005:
        text += f"; {row['cpu_with_tool']:.3f} with its own"
    return text + (f"; {row['lost']:,} lost" if row.get("lost") else "")
