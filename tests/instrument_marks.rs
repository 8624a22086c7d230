//! What a program says in its own words: marks, spans, timers, tasks, calls, the `tracing` layer.

use loopscope::record::event::{Kind, Space};
use loopscope::record::fields::decode;
use loopscope::{Value, call, call_on, task, timer};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

mod recorded;
use recorded::{Recorded, record};

fn fields(bytes: &[u8]) -> Vec<(&str, Value<'_>)> {
    decode(bytes).collect()
}

fn name(r: &Recorded, space: Space, id: i32) -> String {
    r.names(space)[&(id as u32)].clone()
}

#[test]
fn marks_carry_typed_fields() {
    let ((), r) = record(|| {
        loopscope::mark!(
            "request",
            id = 12_u64,
            delta = -3_i32,
            load = 0.5,
            hit = true,
            path = "/x"
        );
        loopscope::mark!("plain");
        let long = "long ".repeat(100);
        loopscope::mark("cut", &[("text", long.as_str().into())]);
    });
    let texts = r.text_bytes(Kind::Mark);
    assert_eq!(
        fields(texts[0]),
        [
            ("id", Value::U64(12)),
            ("delta", Value::I64(-3)),
            ("load", Value::F64(0.5)),
            ("hit", Value::Bool(true)),
            ("path", Value::Str("/x")),
        ]
    );
    assert_eq!(fields(texts[1]), []);
    let names: Vec<_> = r
        .all(Kind::Mark)
        .map(|e| name(&r, Space::Mark, e.x))
        .collect();
    assert_eq!(names, ["request", "plain", "cut"]);
    let cut: Vec<_> = r
        .all(Kind::Mark)
        .map(|e| e.flags & loopscope::record::flags::CUT != 0)
        .collect();
    assert_eq!(cut, [false, false, true]);
    assert!(r.all(Kind::Mark).all(|e| e.fd == -1));
}

#[test]
fn a_handler_says_whom_it_works_for_and_where() {
    let (ann, bob) = std::os::unix::net::UnixStream::pair().unwrap();
    let ((), r) = record(|| {
        for client in [&ann, &bob] {
            loopscope::on_behalf_of(client);
        }
    });
    let said: Vec<_> = r.all(Kind::OnBehalf).collect();
    assert_eq!(
        said.iter().map(|e| e.fd).collect::<Vec<_>>(),
        [ann.as_raw_fd(), bob.as_raw_fd()]
    );
    let site = name(&r, Space::Site, i32::from(said[0].site));
    assert!(site.contains("instrument_marks.rs"), "{site}");
    assert_eq!(said[0].site, said[1].site);
}

#[test]
fn fields_are_not_evaluated_while_nobody_records() {
    let _turn = recorded::turn();
    let mut evaluated = 0;
    let mut count = || {
        evaluated += 1;
        evaluated
    };
    loopscope::mark!("off", n = count());
    drop(loopscope::span!("off", n = count()));
    assert_eq!(evaluated, 0);
}

#[test]
fn spans_nest() {
    let ((), r) = record(|| {
        let _outer = loopscope::span!("outer", id = 1_u8);
        drop(loopscope::span!("first"));
        drop(loopscope::span!("second"));
    });
    let begun: Vec<_> = r
        .all(Kind::SpanBegin)
        .map(|e| (name(&r, Space::Mark, e.x), e.arg, e.y))
        .collect();
    let outer = begun[0].1;
    assert_eq!(begun[0], ("outer".into(), outer, 0));
    assert_eq!((begun[1].0.as_str(), begun[1].2), ("first", outer));
    assert_eq!((begun[2].0.as_str(), begun[2].2), ("second", outer));
    let ended: Vec<u64> = r.all(Kind::SpanEnd).map(|e| e.arg).collect();
    assert_eq!(ended, [begun[1].1, begun[2].1, outer]);
}

#[test]
fn timers_tasks_and_calls_say_what_runs() {
    let file = tempfile::tempfile().unwrap();
    let ((), r) = record(|| {
        timer::armed("heartbeat", 7, Instant::now() + Duration::from_secs(3600));
        timer::cancelled(7);
        drop(timer::fired("heartbeat", 8));
        task::queued("flush", 1);
        drop(task::begin("flush", 1));
        assert_eq!(call("compute", || 42), 42);
        call_on(&file, "fsync", || file.sync_all()).unwrap();
        let unwound =
            std::panic::catch_unwind(|| call("panics", || std::panic::resume_unwind(Box::new(()))));
        assert!(unwound.is_err());
    });
    let armed = r.all(Kind::TimerArm).next().unwrap();
    assert_eq!(
        (
            name(&r, Space::Timer, armed.x).as_str(),
            armed.arg,
            armed.fd
        ),
        ("heartbeat", 7, -1)
    );
    assert!(armed.y <= 3_600_000_000_000 && armed.y > 1_800_000_000_000);
    assert_eq!(
        r.all(Kind::TimerCancel).map(|e| e.arg).collect::<Vec<_>>(),
        [7]
    );
    let kinds = [
        Kind::TimerBegin,
        Kind::TimerEnd,
        Kind::TaskQueued,
        Kind::TaskBegin,
        Kind::TaskEnd,
    ];
    assert_eq!(kinds.map(|kind| r.count(kind)), [1; 5]);
    let calls: Vec<_> = r
        .events
        .iter()
        .filter(|e| matches!(e.kind, Kind::CallBegin | Kind::CallEnd))
        .map(|e| (e.kind, name(&r, Space::Call, e.x), e.fd))
        .collect();
    let fsync = file.as_raw_fd();
    let both = |name: &str, fd| {
        [
            (Kind::CallBegin, name.to_owned(), fd),
            (Kind::CallEnd, name.to_owned(), fd),
        ]
    };
    assert_eq!(
        calls,
        [
            both("compute", -1),
            both("fsync", fsync),
            both("panics", -1)
        ]
        .concat()
    );
}

#[test]
fn the_same_name_has_one_id_wherever_it_stands() {
    let ((), r) = record(|| {
        // Two copies of one text at different addresses.
        let copies: [&'static str; 2] = [
            Box::leak(String::from("copied").into_boxed_str()),
            Box::leak(String::from("copied").into_boxed_str()),
        ];
        for name in copies {
            loopscope::mark(name, &[]);
        }
    });
    let ids: Vec<i32> = r.all(Kind::Mark).map(|e| e.x).collect();
    assert_eq!(ids[0], ids[1]);
}

#[cfg(feature = "tracing")]
#[test]
fn tracing_spans_and_events_stand_on_the_timeline() {
    use tracing_subscriber::layer::SubscriberExt;
    let ((), r) = record(|| {
        let subscriber = tracing_subscriber::registry().with(loopscope::TracingLayer::new());
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!("request", id = 12, status = tracing::field::Empty);
            request.in_scope(|| {
                let _parse = tracing::info_span!("parse").entered();
                tracing::info!(bytes = 512, ok = true, "parsed {}", "it");
            });
            request.record("status", 200);
        });
    });
    let begun: Vec<_> = r
        .all(Kind::SpanBegin)
        .map(|e| (name(&r, Space::Mark, e.x), e.y))
        .collect();
    let request = r.all(Kind::SpanBegin).next().unwrap().arg;
    assert_eq!(
        begun,
        [("request".to_owned(), 0), ("parse".to_owned(), request)]
    );
    assert_eq!(
        fields(r.text_bytes(Kind::SpanBegin)[0]),
        [("id", Value::I64(12))]
    );
    let marks = r.text_bytes(Kind::Mark);
    assert_eq!(
        fields(marks[0]),
        [
            ("message", Value::Str("parsed it")),
            ("bytes", Value::I64(512)),
            ("ok", Value::Bool(true))
        ]
    );
    assert_eq!(fields(marks[1]), [("status", Value::I64(200))]);
    let names: Vec<_> = r
        .all(Kind::Mark)
        .map(|e| name(&r, Space::Mark, e.x))
        .collect();
    assert_eq!(names, ["instrument_marks", "request"]);
    assert_eq!(r.all(Kind::SpanEnd).last().unwrap().arg, request);
}
