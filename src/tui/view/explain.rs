//! `i`: what is this? The chosen fd's state and the screen's words, each in one sentence. Step: model → **view**.

use super::popup;
use crate::model::{Fidelity, LoopKind, Registration, Word};
use crate::teach::epoll::{Rule, bits};
use crate::tui::app::App;
use crate::tui::message::View;
use crate::tui::theme;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::time;

/// A state in one sentence.
pub fn state(word: Word) -> &'static str {
    match word {
        Word::Stale => {
            "stale: it was reported, but its registration ended before its turn; serving it would serve the wrong file."
        }
        Word::Running => {
            "runs: its handler is at work now; nobody else on this thread is served meanwhile."
        }
        Word::Fetched => {
            "queued: epoll_wait has told the program of it, its handler has not started; that is queue time."
        }
        Word::Ghost => {
            "ghost: its descriptor is closed, but a dup or a fork keeps the file open, so epoll keeps reporting it."
        }
        Word::Residual => {
            "left over: edge-triggered, and its handler stopped before EAGAIN; the bytes lie there and no event will come for them."
        }
        Word::Ready => {
            "ready: the kernel has something for it, the program does not know yet; that is notice time."
        }
        Word::BlockedOut => "no room: a write met EAGAIN; it waits until the other side has read.",
        Word::Disarmed => {
            "off (one-shot): it was reported once; nothing more comes until the program re-arms it with MOD."
        }
        Word::Muted => "muted: it asks for no events; only errors and hang-ups are reported.",
        Word::Armed => "armed: registered, and nothing to do.",
        Word::Gone => "gone: removed, or its last descriptor was closed.",
        Word::Unknown => {
            "unknown: events were lost or came late, so its state is not known until it is seen again."
        }
    }
}

/// The rule of epoll that brought a registration into its state.
fn rule(reg: &Registration) -> Option<Rule> {
    let (edge, oneshot) = (
        reg.interest & bits::ET != 0,
        reg.interest & bits::ONESHOT != 0,
    );
    Some(match reg.word {
        Word::Stale => Rule::FetchedStays,
        Word::Running | Word::Fetched if oneshot => Rule::Oneshot,
        Word::Running | Word::Fetched if edge => Rule::Edge,
        Word::Running | Word::Fetched => Rule::Level,
        Word::Ghost => Rule::Ghost,
        Word::Residual => Rule::Edge,
        Word::Ready | Word::Armed => Rule::Queued,
        Word::Disarmed => Rule::Disarmed,
        Word::Muted => Rule::ErrHupUnasked,
        Word::BlockedOut | Word::Gone | Word::Unknown => return None,
    })
}

const WORDS: [(&str, &str); 14] = [
    (
        "loop",
        "one epoll description and the threads that wait on it; or one thread's poll or select loop.",
    ),
    (
        "turn",
        "the busy part of the loop: from one wakeup to the next wait; handler runs + timers + tasks + the loop's own rest.",
    ),
    (
        "batch",
        "the events one wakeup returned, in the kernel's order; they are served one after the other.",
    ),
    ("run", "user code serving one event of the batch."),
    (
        "interest list",
        "every fd the program asked epoll to watch, with what it wants to hear of.",
    ),
    (
        "ready list",
        "fds that have something for the program; the next wait takes from its head.",
    ),
    (
        "level",
        "reported again at every wait as long as something is there (the default).",
    ),
    (
        "edge",
        "reported once per change: the handler must read until EAGAIN or the rest lies there.",
    ),
    (
        "notice",
        "from the moment the kernel has something until the wakeup that tells the program.",
    ),
    (
        "queue",
        "from the wakeup until the handler starts: the runs before it, timers, tasks, the loop itself.",
    ),
    (
        "fairness",
        "Jain's index over run ÷ (run + queue): 1 when nobody waits more than others, 1/n when one of n has it all.",
    ),
    (
        "bypassed",
        "how often others were served while this one was ready.",
    ),
    (
        "unread",
        "bytes in the receive queue that nobody has read yet.",
    ),
    (
        "cost others",
        "waiting of other fds that this one's handler runs caused.",
    ),
];

const MARKS: &str = "~ inferred: follows from a rule, not from a record.   <= bounded: between two known instants.   – not known.";

/// Draws the box.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let mut lines = Vec::new();
    if let Some(reg) = app.chosen() {
        let name = app.names.told(reg.id);
        lines.push(match app.state(reg) {
            (word, Some(ago)) => format!(
                "{name}: it was {} {} ago; what changed it since is left out, to show now.",
                theme::word(word),
                time(ago)
            ),
            (word, None) => format!("{name}: {}", state(word)),
        });
        lines.push(match reg.fidelity {
            Fidelity::Measured => "This is measured: a record shows it.".to_owned(),
            Fidelity::Bounded => {
                "This is bounded: it happened between two known instants.".to_owned()
            }
            Fidelity::Inferred if reg.word == Word::Running => {
                "This is inferred (~): its handler is taken to start at the first call on the fd."
                    .to_owned()
            }
            Fidelity::Inferred => {
                "This is inferred (~): it follows from epoll's rules, no record shows it."
                    .to_owned()
            }
            Fidelity::Absent => "Nobody can know this from what was recorded.".to_owned(),
        });
        let epoll = app.the_loop().is_some_and(|l| l.kind == LoopKind::Epoll);
        if let Some(rule) = rule(reg).filter(|_| epoll) {
            let source = format!("{}; {}", rule.page(), rule.function());
            lines.push(format!("The rule: {} ({source}).", rule.sentence()));
        }
        lines.push(String::new());
    } else if matches!(app.view, View::Loop | View::Timeline | View::Fairness) {
        lines.push("Choose an fd (↑ ↓) and press i again to have its state explained.".to_owned());
        lines.push(String::new());
    }
    let screen: &[&str] = match app.view {
        View::Loop => &[
            "interest list",
            "ready list",
            "batch",
            "turn",
            "level",
            "edge",
            "unread",
            "fairness",
        ],
        View::Timeline => &["notice", "queue", "run", "turn"],
        View::Fairness => &["fairness", "notice", "queue", "bypassed", "cost others"],
        View::Latency => &["notice", "queue", "run"],
        View::Fd => &[
            "notice",
            "queue",
            "run",
            "bypassed",
            "cost others",
            "unread",
        ],
        View::Findings => &["left over", "turn", "run"],
        View::Events => &["batch", "turn", "run"],
        View::Code => &["run", "loop"],
    };
    for (word, sentence) in WORDS.iter().filter(|w| screen.contains(&w.0)) {
        lines.push(format!("{word}: {sentence}"));
    }
    lines.push(String::new());
    lines.push(MARKS.to_owned());
    popup::text(pen, app, "what is this?", &lines);
}
