//! The rules of epoll as small programs, recorded: at each of their checks the model is held against what the kernel itself
//! says of every epoll descriptor, and nothing it claims as measured is wrong.
//!
//! Every figure of the report is computed again outside, from its export.
//!
//! Each program checks one rule by what the kernel answers (`ok`, `FAIL`). At each check it also writes down, unseen by the
//! shim, the kernel's own list of items (fdinfo, kcmp, poll), and makes a mark; the model is folded up to that mark.
#![cfg(all(feature = "cli", target_arch = "x86_64"))]

#[path = "../common/mod.rs"]
mod common;
mod found;
mod truth;

use common::{Place, loopscope, recompute};
use loopscope::model::registration::{ERR, HUP, MODES, ONESHOT, WAKEUP};
use loopscope::model::{Fidelity, Model, Registration, Sink, Transition, Word};
use loopscope::record::event::Kind;
use loopscope::trace::{Events, Reader};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use truth::{Item, Truth};

/// Where the programs are.
fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/semantics/programs")
}

/// Storms outrun a collector that was built without optimisation; the loss is told, and with it may go a check.
const STORM: &str = "32_out_storm";

/// Nothing is recorded of a program that waits nowhere.
const WAITS_NOWHERE: &str = "38_wipeonfork";

/// Records a program and folds the recording up to each of its checks.
fn checks(name: &str, mut each: impl FnMut(&Truth, &Model)) -> Words {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if let Some(words) = tried(name, &mut each) {
            return words;
        }
        assert!(name == STORM, "{name}: events were lost");
        assert!(
            std::time::Instant::now() < patience,
            "{name}: each try lost a check"
        );
    }
}

/// Nothing if events were lost, and a check with them.
fn tried(name: &str, mut each: impl FnMut(&Truth, &Model)) -> Option<Words> {
    let place = Place::new();
    let [program, file, truths] = ["p", "x.lscope", "truth"].map(|n| place.path(n));
    let compiled = Command::new("cc")
        .args(["-O1", "-w", "-pthread", "-I"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"))
        .arg("-o")
        .arg(&program)
        .arg(source().join(format!("{name}.c")))
        .status()
        .unwrap();
    assert!(compiled.success());
    std::fs::write(&truths, "").unwrap();
    let output = loopscope()
        .env("LOOPSCOPE_TRUTH", &truths)
        .args(["record", "-o"])
        .arg(&file)
        .arg("--")
        .arg(&program)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = said.contains("FAIL") || !output.status.success();
    assert!(
        !failed || TIMED.contains(&name),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let truths = truth::parse(&std::fs::read_to_string(&truths).unwrap());
    let first = truths.first().unwrap().pid;
    let mut truths = truths.iter().filter(|t| t.pid == first);

    let mut reader = Reader::open(&file).unwrap();
    let (mut model, mut events) = (Model::default(), Events::default());
    let mut words = Words::default();
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events).unwrap();
        for (number, event, text) in events.iter() {
            model.apply(number, event, text, &mut words);
            let its = |m: &Model| {
                let id = m.process_of_thread(event.thread);
                m.processes().get(id as usize).map(|p| p.pid)
            };
            if event.kind == Kind::Mark && its(&model) == Some(first) {
                each(truths.next().expect("a truth for each mark"), &model);
            }
        }
    }
    if !UNCOMPARED.contains(&name) {
        // The figures, too: computed again from the events outside.
        let said = recompute(&place, file.to_str().unwrap());
        assert!(said.contains(" 0 differences"), "{said}");
    }
    if model.lost() == 0 && name != WAITS_NOWHERE {
        found::check(name, &file);
    }
    match (truths.count(), model.lost()) {
        (0, _) => Some(words),
        (missing, 0) => panic!("{missing} marks are missing"),
        _ => None,
    }
}

/// The states that registrations went through.
#[derive(Default)]
struct Words(BTreeMap<u32, Vec<Word>>);

impl Sink for Words {
    fn transition(&mut self, t: &Transition) {
        self.0.entry(t.reg).or_default().push(t.to);
    }
}

impl Words {
    /// Whether some registration went through these, others in between.
    fn went_through(&self, words: &[Word]) -> bool {
        words.is_empty()
            || self.0.values().any(|all| {
                let mut all = all.iter();
                words.iter().all(|word| all.any(|w| w == word))
            })
    }
}

/// The model's loop that this descriptor stands for.
fn loop_of(model: &Model, truth: &Truth, epfd: i32) -> Option<u32> {
    let own = process(model, truth);
    let of = model
        .loops()
        .iter()
        .filter(|l| l.ended.is_none() && Some(l.process) == own && l.epfds.contains(&epfd));
    of.map(|l| l.id).max()
}

fn process(model: &Model, truth: &Truth) -> Option<u32> {
    let its = model.processes().iter().find(|p| p.pid == truth.pid);
    its.map(|p| p.id)
}

/// What the model says that the kernel does not, where the model says it has measured it. Counts what it compares.
fn differences(truth: &Truth, model: &Model, compared: &mut usize) -> Vec<String> {
    let mut all = Vec::new();
    for (epfd, items) in &truth.epolls {
        let of_loop = loop_of(model, truth, *epfd);
        if of_loop.is_none() {
            // Nothing is claimed of what nobody has told of (an epoll that io_uring alone has added to).
            continue;
        }
        *compared += items.len();
        let regs = |live: bool| {
            let its = move |r: &&Registration| {
                Some(r.loop_id) == of_loop
                    && (r.word == Word::Gone || r.closed_ns.is_some()) != live
            };
            model.regs().filter(its)
        };
        let mut left = items.clone();
        for reg in regs(true) {
            let said = format!(
                "ep {epfd} fd {} {:x} data {:x}: {:?} ({:?})",
                reg.fd, reg.interest, reg.data, reg.word, reg.fidelity
            );
            // Only its data word may be known, and by its number it may be in another process's table.
            let near = |i: &Item| (reg.fd == i.fd || reg.fd == -1) && i.data == reg.data;
            let exact = |i: &Item| near(i) && i.ghost == (reg.word == Word::Ghost);
            let here = Some(reg.process) == process(model, truth) && reg.fd != -1;
            let at = (left.iter().position(exact)).or_else(|| left.iter().position(near));
            match at.map(|at| left.remove(at)) {
                Some(item) => {
                    all.extend(contradicts(reg, &item, here).map(|why| format!("{said}: {why}")))
                }
                // It has ended, and an event of its was told before: that is what the word says.
                None if reg.word == Word::Stale => {}
                None if here && reg.fidelity == Fidelity::Measured => {
                    all.push(format!("{said}, but the kernel has no such item"));
                }
                // Not sure, or somebody else's whose end is noticed a moment later.
                None => {}
            }
        }
        for item in left {
            let unsure = |r: &Registration| {
                r.fd == item.fd && r.data == item.data && r.fidelity != Fidelity::Measured
            };
            if !regs(false).any(unsure) {
                all.push(format!("ep {epfd}: the model lacks {item:?}"));
            }
        }
    }
    all
}

/// What of an item is not as the registration has it. `here`: its number is one of the program's own.
fn contradicts(reg: &Registration, item: &Item, here: bool) -> Option<String> {
    if reg.fidelity != Fidelity::Measured {
        return None;
    }
    // One-shot and reported: the kernel keeps the modes only.
    let off = item.mask & !MODES == 0 && item.mask & ONESHOT != 0;
    // Added without being asked for, and taken back from who may not keep the machine awake.
    let not_asked = ERR | HUP | WAKEUP;
    if here && !off && (item.mask ^ reg.interest) & !not_asked != 0 {
        return Some(format!("the kernel's mask is {:x}", item.mask));
    }
    let under_way = matches!(reg.word, Word::Fetched | Word::Running | Word::Stale);
    if !under_way && off != (reg.word == Word::Disarmed) {
        let state = if off { "off" } else { "on" };
        return Some(format!("the kernel has it {state}"));
    }
    if here && !under_way && item.ghost != (reg.word == Word::Ghost) {
        let whose = if item.ghost {
            "another file"
        } else {
            "its own"
        };
        return Some(format!("its number is {whose}"));
    }
    let ready = item.revents != 0 || item.ghost;
    let says_ready = matches!(reg.word, Word::Ready | Word::Residual);
    (says_ready && !ready).then(|| "poll(2) says that it is not ready".to_owned())
}

/// Those that also check how long something takes or how often it happens, which a busy machine changes.
const TIMED: &[&str] = &["18_timeouts", "22_thundering", "27_timerfd", "32_out_storm"];

/// Those whose checks stand where no epoll descriptor has items, or none is theirs.
const UNCOMPARED: &[&str] = &[
    "18_timeouts",
    "19_eintr",
    "22_thundering",
    "38_wipeonfork",
    "40_cancel",
    "45_ring_kill9",
];

// Of the rules' programs one is not here: 15 (ENOSPC at fs.epoll.max_user_watches) sets that limit to 3 for the whole machine,
// as root, while other tests register. What the model makes of a failed ADD, 12 and 14 hold.

macro_rules! rules {
    ($($name:ident $file:literal goes through [$($word:ident)*];)*) => {
        $(
            #[test]
            fn $name() {
                let mut wrong = Vec::new();
                let mut compared = 0;
                let words = checks($file, |truth, model| {
                    let all = differences(truth, model, &mut compared).into_iter();
                    wrong.extend(all.map(|d| format!("check {}: {d}", truth.number)));
                });
                assert!(wrong.is_empty(), "{wrong:#?}");
                let want: Vec<Word> = vec![$(Word::$word),*];
                assert!(compared > 0 || UNCOMPARED.contains(&$file), "nothing was compared");
                assert!(words.went_through(&want), "{:?}", words.0);
            }
        )*

        #[test]
        fn every_program_is_run() {
            let mut run = vec![$(concat!($file, ".c")),*];
            let files = std::fs::read_dir(source()).unwrap();
            let mut files: Vec<String> =
                files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
            files.retain(|f| f.ends_with(".c"));
            files.sort();
            run.sort_unstable();
            assert_eq!(run, files);
        }
    };
}

rules! {
    a_dup_is_a_second_item "01_key_dup" goes through [Armed Fetched Ready Fetched Ready];
    a_closed_number_with_a_dup_is_a_ghost "02_ghost_dup" goes through [Armed Ghost Fetched Ghost Fetched Gone];
    a_ghost_beside_a_new_item "03_ghost_reuse" goes through [Armed Ghost Fetched Ghost Fetched Ghost];
    copies_in_a_child_keep_an_item "04_fork_keeps_alive" goes through [Armed Fetched Gone];
    a_child_changes_the_parents_list "05_fork_shared_epoll" goes through [Armed Fetched Gone];
    level_items_rotate "06_lt_rotation" goes through [Fetched Ready Fetched Ready Fetched Ready Armed Fetched];
    added_ready "07_add_ready_order" goes through [Fetched Ready Fetched Ready];
    edges "08_et_edges" goes through [Armed Fetched Running Residual Fetched Armed];
    whole_masks "09_et_inout_merge" goes through [Residual Fetched BlockedOut Fetched Armed];
    one_shot "11_oneshot" goes through [Armed Fetched Disarmed Armed Fetched Disarmed];
    exclusive "12_exclusive_rules" goes through [Armed Gone];
    hang_ups_unasked "13_hup_err_rdhup" goes through [Muted Fetched Running Ready Fetched];
    arguments "14_args" goes through [Armed Fetched Ready];
    nested "16_nested" goes through [Armed Fetched Running Ready Fetched Ready Armed];
    timeouts "18_timeouts" goes through [];
    interruptions "19_eintr" goes through [];
    bad_checksums "20_udp_checksum" goes through [Armed Fetched Running Armed];
    herds "22_thundering" goes through [Fetched Running Armed Fetched Running];
    threads_on_one_epoll "23_mt_one_epfd" goes through [Armed Fetched Disarmed];
    closed_by_range_and_exec "24_close_range_exec" goes through [Armed Fetched Ready Fetched Gone];
    passed_through_a_socket "25_scm_rights" goes through [Armed Gone];
    signals "26_signalfd_fork" goes through [Armed Fetched Running];
    timers "27_timerfd" goes through [Fetched Ready Fetched Ready Fetched Running];
    wakers "28_eventfd" goes through [Armed Fetched Running Residual Fetched Running Residual Fetched];
    stale_events "29_stale_in_batch" goes through [Armed Fetched Running Gone];
    error_queues "31_errqueue" goes through [Fetched Running Ready];
    writable_storms "32_out_storm" goes through [Fetched Ready Fetched Ready Fetched];
    late_looks "33_fdinfo_kcmp" goes through [Armed Ghost];
    busy_polls "34_napi_params" goes through [Armed];
    around_by_io_uring "35_uring_epoll" goes through [];
    no_number_left "37_accept_emfile" goes through [Fetched Running Ready Fetched Running Ready];
    forks_seen_without_a_hook "38_wipeonfork" goes through [];
    cancelled "40_cancel" goes through [];
    thresholds "42_tcp_out_threshold" goes through [Fetched Running BlockedOut Fetched];
    killed_over_and_over "45_ring_kill9" goes through [];
}
