//! The text report, drawn from figures made by hand: what a person reads, 80 columns wide, with the unknown said.
#![cfg(feature = "cli")]

use loopscope::report::summary::{
    Behind, Bounds, Fd, Loop, Process, Recording, Setup, Summary, Times, Worst,
};
use loopscope::report::text::{Options, to_text};
use loopscope::text::names::Ending;
use unicode_width::UnicodeWidthStr;

const MS: u64 = 1_000_000;

fn times(count: u64, sum: u64, max: u64) -> Times {
    Times {
        count,
        sum,
        p50: max / 8,
        p90: max / 4,
        p99: max / 2,
        max,
    }
}

fn fd(number: i32, name: &str, run_ms: u64, wait_ms: u64, caused: (u64, u64)) -> Fd {
    let hi = times(330, wait_ms * MS, 4 * MS);
    Fd {
        fd: number,
        generation: 1,
        name: name.into(),
        interest: 1,
        state: "armed",
        fidelity: "measured",
        ready: 330,
        dispatched: 330,
        share: Some(run_ms as f64 / 3_550.0),
        notice: Some(Bounds { lo: hi, hi }),
        queue: Some(times(330, 40 * MS, 5 * MS)),
        run: Some(times(330, run_ms * MS, 6 * MS)),
        waited: wait_ms * MS,
        waited_max: 7 * MS,
        caused: Some(caused),
        ..Fd::default()
    }
}

fn summary() -> Summary {
    Summary {
        recording: Recording {
            title: "greedy-fd broken".into(),
            source: "library".into(),
            command: vec!["loopscope".into(), "demo".into(), "greedy-fd".into()],
            started_ns: 1_767_225_600_000_000_000,
            duration_ns: 5_000 * MS,
            events: 152_310,
            complete: true,
            kernel_ready: "measured".into(),
            handlers: "measured".into(),
            ..Recording::default()
        },
        processes: vec![Process {
            id: 0,
            pid: 4242,
            parent: None,
            name: "greedy-fd".into(),
            ended: None,
        }],
        loops: vec![Loop {
            pid: 4242,
            kind: "epoll",
            epfds: vec![4],
            threads: vec![4242],
            waits: 3_301,
            wakeups: 3_300,
            timeouts: 1,
            ready: 9_911,
            max_batch: 5,
            wait_ns: 1_450 * MS,
            busy_ns: 3_550 * MS,
            fairness: Some(0.214),
            iteration: times(3_301, 3_550 * MS, 6 * MS),
            notice: Some(Bounds {
                lo: times(9_911, 900 * MS, 6 * MS),
                hi: times(9_911, 900 * MS, 6 * MS),
            }),
            queue: Some(times(9_911, 700 * MS, 6 * MS)),
            run: Some(times(9_911, 3_500 * MS, 6 * MS)),
            ..Loop::default()
        }],
        fds: vec![
            fd(5, "ann", 24, 900, (0, 2 * MS)),
            fd(
                7,
                "a very long name of a connection that says far too much",
                32,
                800,
                (MS, MS),
            ),
            fd(6, "flood", 3_490, 12, (3_000 * MS, 3_100 * MS)),
        ],
        fds_total: 3,
        worst: Some(Worst {
            fd: 5,
            name: "ann".into(),
            ready_ns: 90_160_000,
            wakeup_ns: 94_220_000,
            start_ns: 94_290_000,
            run_ns: 10_000,
            waited: 4_130_000,
            notice: Some((4_060_000, 4_060_000)),
            behind: vec![
                Behind {
                    who: "flood".into(),
                    fd: Some(6),
                    ns: 4_070_000,
                    times: 2,
                },
                Behind {
                    who: "the loop itself".into(),
                    fd: None,
                    ns: 60_000,
                    times: 1,
                },
            ],
            ..Worst::default()
        }),
        quantile_error: (1.0 / 64.0, 1.0 / 8.0),
        ..Summary::default()
    }
}

fn report(s: &Summary) -> String {
    let text = to_text(
        s,
        &Options {
            top: 10,
            file: Some("my file.lscope"),
        },
    );
    for line in text.lines() {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
        assert_eq!(line, line.trim_end());
    }
    text
}

#[test]
fn the_verdict_comes_first_and_names_who_waited_behind_whom() {
    let text = report(&summary());
    let verdict: String = text
        .lines()
        .take_while(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(
        verdict,
        "greedy-fd broken: the longest wait was 4.13 ms, of ann (fd 5); flood (fd 6) had 98 % of the run time and 99.9 % of \
         the waiting was behind it."
    );
}

#[test]
fn the_longest_wait_is_told_with_what_ran_meanwhile() {
    let text = report(&summary()).replace("\n  ", " ");
    assert!(
        text.contains("became ready at 90.2 ms, the program was told 4.06 ms later"),
        "{text}"
    );
    assert!(
        text.contains("Meanwhile: flood (fd 6) 4.07 ms in 2 pieces, the loop itself 60.0 us."),
        "{text}"
    );
    assert!(
        text.contains("loopscope replay 'my file.lscope' --at 94.29ms --view timeline"),
        "{text}"
    );
}

#[test]
fn who_failed_is_named_and_who_did_not_is_counted() {
    let mut s = summary();
    let ends = |s: &Summary| {
        let text = report(s);
        let lines = text.lines().skip_while(|l| !l.starts_with("processes"));
        let rest: Vec<&str> = (lines.enumerate())
            .take_while(|(at, line)| *at == 0 || line.starts_with("           "))
            .map(|(_, line)| line.trim_start_matches("processes").trim())
            .collect();
        rest.join(" ")
    };
    assert_eq!(ends(&s), "", "one that did not fail");
    s.processes[0].ended = Some((MS, Ending::of(0)));
    assert_eq!(ends(&s), "");
    s.processes[0].ended = Some((MS, Ending::of(11)));
    assert_eq!(ends(&s), "1: 1 killed by SIGSEGV (greedy-fd 4242)");
    for (at, status) in [0, 0, -1, 256, 256, 256, 256].into_iter().enumerate() {
        s.processes.push(Process {
            id: at as u32 + 1,
            pid: 5000 + at as i64,
            parent: Some(0),
            name: "/usr/bin/worker".into(),
            ended: Some((MS, Ending::of(status))),
        });
    }
    s.processes.push(Process::default());
    assert_eq!(
        ends(&s),
        "9: 1 ran on, 1 ended, nobody told how, 2 exited 0, 4 exited 1 (worker 5003, worker 5004, worker 5005, …), \
         1 killed by SIGSEGV (greedy-fd 4242)"
    );
}

#[test]
fn a_bounded_wait_is_told_as_one() {
    let mut s = summary();
    s.recording.kernel_ready = "bounded".into();
    s.worst.as_mut().unwrap().notice = Some((0, 4_060_000));
    for f in &mut s.fds {
        f.notice.as_mut().unwrap().lo = times(330, 0, 0);
    }
    let text = report(&s);
    assert!(
        text.contains("the longest wait was at most 4.13 ms"),
        "{text}"
    );
    assert!(text.contains("<= times are upper bounds"), "{text}");
}

#[test]
fn what_is_not_known_is_said() {
    let mut s = summary();
    s.recording.lost = 1_234;
    s.recording.lost_by_cause = vec![("ring-full", 1_234)];
    s.recording.complete = false;
    s.problems = vec!["damaged page at bytes 100 to 200; 64 events from number 7 are lost".into()];
    s.setup = vec![Setup {
        missing: "switch records".into(),
        because: "perf_event_paranoid is 3".into(),
        advice: "run as root".into(),
    }];
    s.loops[0].notice = None;
    s.loops[0].queue = None;
    let drawn = report(&s);
    let text = drawn.replace("\n  ", " ");
    for piece in [
        "1,234 lost",
        "ring-full",
        "NOT COMPLETE",
        "damaged page",
        "no switch records",
        "are unknown and not counted",
    ] {
        assert!(text.contains(piece), "{piece}: {text}");
    }
    assert!(
        drawn
            .lines()
            .any(|l| l.trim_start().starts_with("queue") && l.ends_with('–')),
        "{text}"
    );
}

#[test]
fn recordings_without_loops_or_events_have_their_own_verdict() {
    let nothing = Summary::default();
    assert!(report(&nothing).starts_with("the program: nothing was recorded.\n"));
    let mut no_loop = Summary::default();
    no_loop.recording.events = 3;
    assert!(report(&no_loop).starts_with("the program: no event loop was seen"));
}

#[test]
fn hostile_names_are_shown_not_obeyed() {
    let mut s = summary();
    s.recording.title = "\u{1b}]0;evil\u{7}".into();
    s.fds[0].name = "\u{202e}nna".into();
    s.worst.as_mut().unwrap().behind[0].who = "a\rb".into();
    let text = report(&s);
    assert!(
        !text
            .chars()
            .any(|c| c != '\n' && loopscope::text::is_hidden(c))
    );
    assert!(
        text.contains("\\x1b]0;evil\\x07")
            && text.contains("\\u{202e}nna")
            && text.contains("a\\rb"),
        "{text}"
    );
}

#[test]
fn a_recording_that_was_not_kept_is_not_advised_to_be_opened() {
    let options = Options {
        top: 10,
        file: None,
    };
    let text = to_text(&summary(), &options);
    assert!(!text.contains("loopscope replay"), "{text}");
    assert!(
        text.contains("at 94.29ms; to look at it, keep the recording with -o"),
        "{text}"
    );
}

#[test]
fn a_program_is_called_by_its_name_not_by_its_folders() {
    let mut s = summary();
    s.recording.title = String::new();
    s.recording.command = vec!["/a/long/way/to/the/very/server".into(), "--fast".into()];
    assert!(report(&s).starts_with("server --fast: the longest wait"));
}

#[test]
fn a_return_that_may_be_lost_is_not_called_missing() {
    let mut s = summary();
    s.loops[0].unfinished = 6;
    assert!(report(&s).contains("6 never returned"));
    s.recording.lost = 200;
    assert!(report(&s).contains("6 not seen to return"));
}

#[test]
fn what_rests_on_inferred_handlers_is_marked_and_what_is_marked_by_the_program_is_not() {
    let exact = report(&summary());
    assert!(!exact.contains('~'), "{exact}");
    let mut s = summary();
    for l in &mut s.loops {
        l.handlers = Some("inferred");
    }
    let text = report(&s);
    let line = |start: &str| text.lines().find(|l| l.starts_with(start)).unwrap();
    assert!(line("  queue ~").len() < 80 && line("  run ~").len() < 80);
    assert!(text.replace('\n', " ").contains("had ~98 %"), "{text}");
    assert!(text.contains("~ is inferred"), "{text}");
    // No share and no cost of a handler without it.
    let tables = text.split("who waited most").nth(1).unwrap();
    let rows: Vec<&str> = tables.lines().filter(|l| l.ends_with(" %")).collect();
    assert!(
        !rows.is_empty() && rows.iter().all(|l| l.matches('~').count() == 2),
        "{rows:?}"
    );
    assert!(text.contains("the longest wait was ~4.13 ms"), "{text}");
}

fn short_report(s: &Summary, top: usize) -> String {
    to_text(s, &Options { top, file: None })
}

#[test]
fn what_is_lost_is_told_beside_the_verdict() {
    let mut s = summary();
    s.recording.lost = 200_000;
    s.recording.lost_by_cause = vec![("ring-full", 100_000), ("dropped", 100_000)];
    let first = |s: &Summary| {
        let text = report(s);
        text.split("\n\n").next().unwrap().replace('\n', " ")
    };
    let told = "100,000 of 252,310 events are lost: counts are at least so high";
    assert!(first(&s).contains(told), "{}", first(&s));
    // One in a hundred is told where what is unknown is told.
    s.recording.lost_by_cause = vec![("ring-full", 1_000), ("dropped", 199_000)];
    assert!(!first(&s).contains("are lost"));
    // What was lost stands below what was recorded.
    let text = report(&s);
    let below = text
        .split_once("\nevents")
        .unwrap()
        .1
        .lines()
        .nth(1)
        .unwrap();
    assert_eq!(below, "           lost 1,000: ring-full");
}

#[test]
fn of_many_loops_the_busiest_are_told() {
    let mut s = summary();
    let one = s.loops[0].clone();
    s.loops = (0..300)
        .map(|id| Loop {
            id,
            ready: u64::from(id),
            ..one.clone()
        })
        .collect();
    let told = short_report(&s, 5);
    let loops: Vec<&str> = told.lines().filter(|l| l.starts_with("loop ")).collect();
    assert_eq!(loops.len(), 5);
    assert!(loops[0].starts_with("loop 295") && loops[4].starts_with("loop 299"));
    assert!(told.contains("and 295 quieter loops; --top 300 shows all"));
}
