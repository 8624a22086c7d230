//! "What you see": the Loop screen in sentences, each from a fact the model holds, the most telling first.
//! What is inferred says so, what is bounded says "at most", what is not known is not told. Step: model → **view**.

use super::program::{in_call, inside, late_ones};
use super::theatre::age;
use super::unheard::{at_end, ghosts, ignored, left_out, left_over, unheard};
use super::{behalf, fairness, kernel, marks, which};
use crate::model::{ItemState, LoopKind, Phase, Registration, ThreadState, Word};
use crate::record::event::Space;
use crate::text::{visible, visit};
use crate::tui::app::App;
use crate::tui::app::known::mark_of;
use crate::tui::widget::text::{self, bytes, list, plural, time};

/// What happened less long ago than this has just happened.
const JUST: u64 = 50_000;
/// A sleep in nothing that is recorded is told from here on.
const WORTH: u64 = 1_000_000;

/// The sentences, most telling first.
pub fn tell(app: &App) -> Vec<String> {
    let mut out = Vec::new();
    if app.player.reader().is_empty() {
        return vec![waiting_for_events(app)];
    }
    if let Some(held) = &app.held {
        let length = time(held.turn.end - held.turn.start);
        out.push(format!(
            "Held: the worst turn of the last second ({length}); Space keeps it."
        ));
    }
    if let Some(ended) = app
        .live
        .as_ref()
        .and_then(|l| super::super::run::child_state(&l.control))
        && app.player.at_end()
    {
        out.push(format!("The program has {ended}; this is its last moment."));
    }
    ignored(app, &mut out);
    ghosts(app, &mut out);
    let Some(thread) = kernel::thread(app) else {
        if app.player.next() <= app.player.reader().first() {
            out.push("The recording begins here. Space plays it, x goes to the worst wait, ? shows all keys.".to_owned());
        }
        let others = app.model().loops().iter();
        let other = others
            .filter(|l| !l.threads.is_empty())
            .map(|l| l.id + 1)
            .next();
        out.push(match other {
            Some(n) => {
                format!("Nobody has waited on this loop yet; loop {n} is waited on (l shows it).")
            }
            None => {
                "No loop has waited yet: the program has not called epoll_wait, poll or select."
                    .to_owned()
            }
        });
        let threads = app.model().threads().iter();
        out.extend(
            threads
                .filter_map(|t| inside(app, t))
                .take(3)
                .map(|call| format!("It is {call}.")),
        );
        lonely(app, &mut out);
        unseen(app, &mut out);
        return out;
    };
    let sleeps = matches!(thread.phase, Phase::Waiting { .. });
    if sleeps {
        // What will never wake it is the first thing to know of a sleep.
        left_over(app, &mut out);
        unheard(app, &mut out);
    }
    match thread.phase {
        Phase::Running { reg, since } => running(app, thread, reg, since, &mut out),
        Phase::Waiting { since, timeout } => asleep(app, since, timeout, &mut out),
        Phase::Timer { name, since } => callback(app, thread, "timer", name, since, &mut out),
        Phase::Task { name, since } => callback(app, thread, "task", name, since, &mut out),
        Phase::Rest { since } | Phase::Elsewhere { since } => rest(app, thread, since, &mut out),
        Phase::Ended => out.push("The loop's thread has ended.".to_owned()),
        Phase::Closed => out.push("The loop is closed: its epoll descriptor is.".to_owned()),
        Phase::Unknown if app.player.left_out().is_some() => {
            out.push(
                "What the thread does just now is not known: events were left out.".to_owned(),
            );
        }
        Phase::Unknown => {
            out.push("Events were lost here: what the thread does is not known.".to_owned())
        }
    }
    // What the program itself says of this moment.
    out.extend(
        marks::here(app)
            .into_iter()
            .take(2)
            .map(|told| match told.strip_prefix("in ") {
                Some(span) => format!("The program is in {span}."),
                None => format!("It has just made a {told}."),
            }),
    );
    if !sleeps {
        left_over(app, &mut out);
    }
    at_end(app, &mut out);
    left_out(app, &mut out);
    stolen(app, &mut out);
    unseen(app, &mut out);
    outlook(app, thread, &mut out);
    out
}

fn waiting_for_events(app: &App) -> String {
    match app.is_live() {
        true => "No event has arrived yet. If the program runs its loop and nothing comes, it does not record: \
                 it must be built with loopscope and call Recorder::from_env."
            .to_owned(),
        false => "This recording holds no event.".to_owned(),
    }
}

/// A server without a client waits for its first one.
fn lonely(app: &App, out: &mut Vec<String>) {
    if !(app.is_live() && app.player.at_end()) {
        return;
    }
    if let Some(address) = app.model().lonely() {
        out.push(format!(
            "It listens on {} and nobody has connected yet. From another terminal: {}",
            visible(&address),
            visit::command(&address)
        ));
    }
}

/// What the hypervisor took, where it is more than a trace.
fn stolen(app: &App, out: &mut Vec<String>) {
    let steal = app.model().steal();
    if let Some(share) = steal.share(app.t()).filter(|share| *share >= MUCH_STOLEN) {
        out.push(format!(
            "The hypervisor has taken about {} until now, {:.1} % of the CPUs' time: while it has a CPU, who runs there \
             only seems to.",
            time(steal.counted()),
            share * 100.0
        ));
    }
}

/// The hypervisor's part of the CPUs' time, from which on the story has it.
const MUCH_STOLEN: f64 = 0.01;

/// What the capture cannot see; the newest says it for all.
fn unseen(app: &App, out: &mut Vec<String>) {
    if let Some(said) = app.model().setup().last() {
        let mut parts = said.splitn(3, '\0').map(visible);
        let mut part = || parts.next().unwrap_or_default();
        let (missing, because, advice) = (part(), part(), part());
        out.push(format!(
            "Not seen: {missing}: {because}. To see it: {advice}."
        ));
    }
}

fn cap(name: &str) -> String {
    name.to_owned()
}

fn running(app: &App, thread: &ThreadState, reg: Option<u32>, since: u64, out: &mut Vec<String>) {
    let ran = time(app.t().saturating_sub(since));
    let Some(reg) = reg.and_then(|id| app.model().reg(id)) else {
        out.push(format!(
            "A handler has run for {ran}; which fd it serves is not known."
        ));
        return;
    };
    let name = cap(app.names.told(reg.id));
    let guess = match thread.open_run().map_or(app.mark(), mark_of) {
        "" => "",
        _ => " (inferred from its calls)",
    };
    let mut sentence = format!("{name}'s handler has run for {ran}{guess}");
    if let Some(whom) = thread.open_run().and_then(|run| behalf::of_run(app, run)) {
        sentence.push_str(&format!(", {whom}"));
    }
    if let Some(open) = thread.open_run()
        && open.ios > 0
    {
        let moved = match (open.bytes_in, open.bytes_out) {
            (0, 0) => String::new(),
            (n, 0) => format!(" ({} in)", bytes(n)),
            (0, n) => format!(" ({} out)", bytes(n)),
            (a, b) => format!(" ({} in, {} out)", bytes(a), bytes(b)),
        };
        sentence.push_str(&format!(": {}{moved}", plural(u64::from(open.ios), "call")));
        if open.bytes_in > 0 {
            sentence.push_str(match open.drained {
                true => ", and the fd is drained",
                false => ", and it has not met EAGAIN yet",
            });
        }
    }
    sentence.push('.');
    out.push(sentence);
    if let Some(call) = in_call(app, thread) {
        out.push(format!("It is {call}: nobody else is served meanwhile."));
    } else if let Some(slept) = asleep_for(app, thread) {
        out.push(format!(
            "Its thread has been asleep for {}, in no call that is recorded, most often for a lock: nobody is served meanwhile.",
            time(slept)
        ));
    }
    let queued: Vec<String> = names_in(app, thread, ItemState::Fetched);
    if !queued.is_empty() {
        let verb = if queued.len() == 1 { "waits" } else { "wait" };
        out.push(format!(
            "{} {verb} behind it in this batch.",
            list(&queued, 4)
        ));
    }
    late(app, thread, out);
    let open = thread.batch.iter().any(|i| i.state == ItemState::Fetched);
    let stuck = in_call(app, thread).is_some();
    if open && reg.word == Word::Running && !stuck {
        out.push(
            "Nothing is wrong with those that wait: one loop serves one fd at a time.".to_owned(),
        );
    }
}

/// For how long a thread has been asleep in what is not recorded, if that is worth a word.
fn asleep_for(app: &App, thread: &ThreadState) -> Option<u64> {
    let since = app.model().asleep_since(thread.thread)?;
    Some(app.t().saturating_sub(since)).filter(|slept| *slept >= WORTH)
}

fn names_in(app: &App, thread: &ThreadState, state: ItemState) -> Vec<String> {
    let items = thread.batch.iter().filter(|i| i.state == state);
    items.map(|i| app.names.told(i.reg).to_owned()).collect()
}

/// Who is ready and not in the batch: it came after the batch was made, or the batch was full.
fn late(app: &App, thread: &ThreadState, out: &mut Vec<String>) {
    let late = late_ones(app, thread);
    let Some(first) = late.first() else { return };
    let name = app.names.told(first.reg);
    let since = first
        .age
        .map_or(String::new(), |since| format!(" {} ago", age(since)));
    let why = match first.full {
        true => "this batch was full",
        false => "too late for this batch",
    };
    out.push(format!(
        "{name} became ready{since}, {why}: it waits in the kernel until the next wait."
    ));
    let rest: Vec<String> = late[1..]
        .iter()
        .map(|l| app.names.told(l.reg).to_owned())
        .collect();
    if !rest.is_empty() {
        let verb = if rest.len() == 1 { "does" } else { "do" };
        out.push(format!("So {verb} {}.", list(&rest, 3)));
    }
}

fn asleep(app: &App, since: u64, timeout: i64, out: &mut Vec<String>) {
    let live: Vec<&Registration> = kernel::shown(app);
    let slept = time(app.t().saturating_sub(since));
    let wakers = live.iter().filter(|r| kernel::will_wake(app, r).1).count() as u64;
    let clock = match timeout {
        -2 => "and perhaps a time-out, which is not known".to_owned(),
        ..0 => "and no time-out".to_owned(),
        0 => "and only looks (time-out 0)".to_owned(),
        ns => format!("or its time-out of {}", time(ns as u64)),
    };
    let kind = app.the_loop().map(|l| l.kind).unwrap_or_default();
    out.push(match kind {
        LoopKind::Epoll => format!(
            "The loop has slept in its wait for {slept}: {} could wake it, {clock}.",
            match wakers {
                0 => "no fd".to_owned(),
                n => plural(n, "fd"),
            }
        ),
        LoopKind::Threads => {
            let on = kernel::thread(app).and_then(|ts| ts.on);
            let one = live.iter().find(|r| Some(r.fd) == on).map(|r| r.id);
            let one = one.map_or("one fd", |id| app.names.told(id));
            format!("The thread has slept in a call on {one} for {slept}: only that wakes it.")
        }
        // The array of fds is an argument of every call and stands in no record.
        other => format!(
            "The loop has slept in its {} for {slept}, {}. Which fds it waits for is not recorded.",
            other.name(),
            clock
                .replace("or its", "with a")
                .replace("and perhaps", "perhaps with")
                .replace("and no", "with no")
        ),
    });
    lonely(app, out);
    if let Some(timer) = app.the_loop().and_then(|l| l.timers.next()) {
        let name = app.word(timer.process, Space::Timer, timer.name);
        out.push(match timer.due.checked_sub(app.t()) {
            Some(left) => format!("The timer {name} is due in {}.", time(left)),
            None => format!(
                "The timer {name} was due {} ago.",
                time(app.t() - timer.due)
            ),
        });
    }
    if let Some((reg, due)) = kernel::next_expiry(app) {
        let name = kernel::timer_name(app, reg);
        let set = app.model().timerfd(reg.id).map_or(0, |timer| timer.set);
        let armed = time(app.t().saturating_sub(set));
        out.push(match due.checked_sub(app.t()) {
            Some(left) => format!(
                "The timer {name} (armed {armed} ago) expires in {}.",
                time(left)
            ),
            None => format!("The timer {name} expired {} ago.", time(app.t() - due)),
        });
    }
    for reg in live.iter().filter(|r| r.word == Word::Ready) {
        let Some(since) = reg.ready_since else {
            continue;
        };
        let lo = app.t().saturating_sub(since.hi);
        let hi = app.t().saturating_sub(since.lo);
        out.push(format!(
            "{} became ready {} ago: the wakeup is on its way.",
            app.names.told(reg.id),
            age(crate::model::Range { lo, hi })
        ));
        break;
    }
}

fn callback(
    app: &App,
    thread: &ThreadState,
    what: &str,
    name: u32,
    since: u64,
    out: &mut Vec<String>,
) {
    let process = app
        .model()
        .threads()
        .get(thread.thread as usize)
        .map_or(0, |t| t.process);
    let space = if what == "timer" {
        Space::Timer
    } else {
        Space::Task
    };
    let name = app.word(process, space, name);
    let ran = time(app.t().saturating_sub(since));
    out.push(format!(
        "The loop runs the {what} {name}, for {ran} so far; no fd is served meanwhile."
    ));
    let queued = names_in(app, thread, ItemState::Fetched);
    if !queued.is_empty() {
        out.push(format!("{} queued behind it.", list(&queued, 4)));
    }
}

fn rest(app: &App, thread: &ThreadState, since: u64, out: &mut Vec<String>) {
    let ran = time(app.t().saturating_sub(since));
    let queued = names_in(app, thread, ItemState::Fetched);
    if let Some((id, since)) = which::sleeps_elsewhere(app, thread) {
        let kind = app
            .model()
            .loops()
            .get(id as usize)
            .map_or("", |l| l.kind.name());
        out.push(format!(
            "The thread sleeps in the {kind} of loop {} (l shows it), for {}; it takes what this loop has after that.",
            id + 1,
            time(app.t().saturating_sub(since))
        ));
        return late(app, thread, out);
    }
    let woken = app.t() == thread.wakeup || since == thread.wakeup;
    let (not_yet, served) = match app.infers() {
        true => (
            "no call on it has been made yet",
            "has been served, as far as its calls tell",
        ),
        false => ("no handler has started yet", "has been served"),
    };
    let ago = app.t().saturating_sub(thread.wakeup);
    let told = match ago {
        0..JUST => format!(
            "The loop has just been told of {}",
            plural(u64::from(thread.batch_len), "event")
        ),
        _ => format!(
            "The loop was told of {} {} ago",
            plural(u64::from(thread.batch_len), "event"),
            time(ago)
        ),
    };
    match (woken, queued.is_empty()) {
        (true, false) if queued.len() == thread.batch_len as usize => {
            let not_yet = match queued.len() {
                1 => not_yet.to_owned(),
                _ => not_yet.replace("on it", "on them"),
            };
            out.push(format!("{told}, {}: {not_yet}.", list(&queued, 4)));
        }
        (true, false) => out.push(format!("{told}; {} still queued.", list(&queued, 4))),
        (_, false) => out.push(format!(
            "Between two handlers, for {ran}; {} still queued.",
            list(&queued, 4)
        )),
        (_, true) if thread.batch_len == 0 => out.push(format!(
            "The wait returned no event; the loop itself runs, for {ran} so far, and will wait again."
        )),
        (_, true) => out.push(format!(
            "Every event of this batch {served}; the loop itself runs, for {ran} so far, and will wait again."
        )),
    }
    if let Some(call) = in_call(app, thread) {
        out.push(format!("It is {call}: nobody is served meanwhile."));
    }
    let skipped = names_in(app, thread, ItemState::Skipped);
    if !skipped.is_empty() {
        out.push(format!(
            "The program left the batch early: {} not served.",
            list(&skipped, 4)
        ));
    }
    late(app, thread, out);
}

/// What the whole recording up to here says about this moment.
fn outlook(app: &App, thread: &ThreadState, out: &mut Vec<String>) {
    let Some(l) = app.the_loop() else { return };
    let regs = app.regs();
    if let Some(worst) = regs
        .iter()
        .max_by_key(|r| r.waited_max.hi)
        .filter(|r| r.waited_max.hi > 1_000_000)
    {
        out.push(format!(
            "So far {} has waited longest for one event: {}.",
            app.names.told(worst.id),
            fairness::longest(app, worst).replace("<=", "at most ")
        ));
    }
    if let Some(causer) = regs
        .iter()
        .max_by_key(|r| r.caused_hi)
        .filter(|r| r.caused_hi > 1_000_000)
    {
        let range = crate::model::Range {
            lo: causer.caused_lo,
            hi: causer.caused_hi,
        };
        let text = text::range(range);
        out.push(format!(
            "{} has cost others {}{text} of waiting.",
            app.names.told(causer.id),
            app.mark()
        ));
    }
    // The next wait has looked again: while it sleeps, nobody was left over. Nor is there anybody else to be ready where
    // the batch could hold all that are registered.
    let sleeps = matches!(thread.phase, Phase::Waiting { .. });
    let others = kernel::shown(app).len() > thread.maxevents as usize;
    if l.saturated > 0 && kernel::is_full(app, thread) && others && !sleeps {
        out.push(format!(
            "This batch is full ({}): more may be ready than it could hold.",
            plural(u64::from(thread.maxevents), "event")
        ));
    }
    if app.model().lost() > 0 {
        out.push(format!(
            "{} were lost: what they may have touched shows as ? until known again.",
            plural(app.model().lost(), "event")
        ));
    }
}
