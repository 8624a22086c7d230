//! What is found in each of the rules' programs at default thresholds, and why nothing else is. They are programs that check
//! the kernel, not servers: most run for a tenth of a second, and rates say nothing of the first second of a process.

use crate::common::loopscope;
use std::collections::BTreeSet;
use std::path::Path;

/// What may be found, and whether it always is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Always,
    /// How long the program runs, or sleeps, decides.
    Perhaps,
}
use Found::{Always, Perhaps};

/// Why a program that does what a rule says is not told of.
const SHORT: &str = "it is over before any count or time-out is reached";
const CHECKS: &str = "what it does on purpose it does once or twice, and handles";

type Row = (&'static str, &'static [(&'static str, Found)], &'static str);

/// The program, the codes that are a warning or worse, and why the others are silent.
const TABLE: &[Row] = &[
    (
        "01_key_dup",
        &[("registration-failed", Always)],
        "R1: the second ADD is EEXIST, and nothing follows it",
    ),
    (
        "02_ghost_dup",
        &[],
        "R4: fewer than 20 reports of the ghost are worth knowing, and no more",
    ),
    ("03_ghost_reuse", &[], "R5: as above"),
    ("04_fork_keeps_alive", &[], "R7: as above"),
    (
        "05_fork_shared_epoll",
        &[("fork-shared-epoll", Always)],
        "R8: the child changes its parent's list",
    ),
    ("06_lt_rotation", &[], SHORT),
    ("07_add_ready_order", &[], SHORT),
    (
        "08_et_edges",
        &[],
        "R14: what stays behind is read before 200 ms have passed",
    ),
    ("09_et_inout_merge", &[], SHORT),
    (
        "11_oneshot",
        &[],
        "R17: it is armed again before 5 s have passed",
    ),
    (
        "12_exclusive_rules",
        &[("registration-failed", Always)],
        "R19: thirteen argument cases, most of them EINVAL",
    ),
    (
        "13_hup_err_rdhup",
        &[],
        "R23: fewer than 20 hang-ups in a row",
    ),
    (
        "14_args",
        &[("registration-failed", Always)],
        "R29: EPERM, EINVAL, EBADF, ENOENT on purpose",
    ),
    (
        "16_nested",
        &[("registration-failed", Always)],
        "R31: ELOOP and EINVAL on purpose",
    ),
    ("18_timeouts", &[], "R32: the kernel's lateness is nobody's"),
    ("19_eintr", &[], CHECKS),
    ("20_udp_checksum", &[], "R34: fewer than 100 reports"),
    (
        "22_thundering",
        &[("thundering-herd", Perhaps)],
        "R20, R21: how many of those that are woken get a CPU in time",
    ),
    ("23_mt_one_epfd", &[], "R22: fewer than 100 wakeups"),
    (
        "24_close_range_exec",
        &[("exec-inherited-epoll", Perhaps)],
        "R41: the started program ends within a second, or nearly",
    ),
    ("25_scm_rights", &[], CHECKS),
    (
        "26_signalfd_fork",
        &[],
        "R42: the child only waits, as pre-forked workers do",
    ),
    (
        "27_timerfd",
        &[
            ("periodic-timerfd-unread", Always),
            ("blocking-handler", Perhaps),
        ],
        "R43: never read, it fires once; and the program sleeps between its waits while the timer is ready",
    ),
    (
        "28_eventfd",
        &[],
        "R44: an edge-triggered waker need not be read",
    ),
    (
        "29_stale_in_batch",
        &[],
        "R37: it does nothing on the number that was used again",
    ),
    (
        "31_errqueue",
        &[("blocking-handler", Perhaps)],
        "R26: it sleeps between its waits; fewer than 20 errors in a row",
    ),
    (
        "32_out_storm",
        &[("writable-spin", Always)],
        "R36: a storm of room that nobody uses",
    ),
    ("33_fdinfo_kcmp", &[], CHECKS),
    ("34_napi_params", &[], SHORT),
    (
        "35_uring_epoll",
        &[],
        "R46: what io_uring does is not seen, so what is not done is in doubt",
    ),
    (
        "37_accept_emfile",
        &[("fd-limit-spin", Always)],
        "R36: EMFILE, and the listener stays armed",
    ),
    ("40_cancel", &[], CHECKS),
    (
        "42_tcp_out_threshold",
        &[],
        "R27: the sleeps are few and nobody waits for long",
    ),
    (
        "45_ring_kill9",
        &[],
        "no rule: its children are killed, over and over",
    ),
];

/// Holds what is found in a recording of the program against the table.
pub fn check(name: &str, file: &Path) {
    let Some((_, expected, why)) = TABLE.iter().find(|(program, ..)| *program == name) else {
        panic!("{name} is not in the table");
    };
    let report = loopscope()
        .args(["report", "--json"])
        .arg(file)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let all = report["findings"].as_array().unwrap().iter();
    let matter = all.filter(|f| f["severity"] != "info");
    let found: BTreeSet<&str> = matter.filter_map(|f| f["code"].as_str()).collect();
    let always = expected.iter().filter(|(_, how)| *how == Always);
    for (code, _) in always {
        assert!(found.contains(code), "{name} ({why}): {code} was not found");
    }
    let known = |code: &&&str| expected.iter().any(|(c, _)| *c == **code);
    let more: Vec<&&str> = found.iter().filter(|code| !known(code)).collect();
    assert!(more.is_empty(), "{name} ({why}): found as well: {more:?}");
}
