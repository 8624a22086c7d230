//! What the shim's tests share: C programs compiled on the spot, recorded, and read back as lines.
#![allow(dead_code)] // each test binary uses its own part

use super::common::loopscope;
use loopscope::record::event::{Cause, Ctl, Event, FdKind, IN_FULL, Kind, Op, UNREAD, Wait};
use loopscope::trace::{Events, Reader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Compiles tests/programs/NAME.c with these extra arguments.
pub fn compiled(dir: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/programs/{name}.c"));
    let program = dir.join(name);
    let output = Command::new("cc")
        .args([
            "-std=gnu11",
            "-O2",
            "-Wall",
            "-Wno-unused-result",
            "-pthread",
            "-o",
        ])
        .arg(&program)
        .arg(&source)
        .args(arguments)
        .output()
        .expect("a C compiler, which the linker of every Rust program is");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    program
}

/// Records a program.
pub fn record(file: &Path, program: &Path, arguments: &[&str]) -> Output {
    loopscope()
        .args(["record", "-o"])
        .arg(file)
        .arg("--")
        .arg(program)
        .args(arguments)
        .output()
        .unwrap()
}

/// One event of a recording.
pub struct Seen {
    pub event: Event,
    pub text: Vec<u8>,
}

/// All events of a recording.
pub fn events(file: &Path) -> Vec<Seen> {
    let mut reader = Reader::open(file).unwrap();
    assert!(reader.complete() && reader.problems().is_empty());
    let (mut all, mut events) = (Vec::new(), Events::default());
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events).unwrap();
        all.extend(events.iter().map(|(_, event, text)| Seen {
            event: *event,
            text: text.to_vec(),
        }));
    }
    all
}

/// What the program did, a line a call or end of one, without numbers that differ from run to run.
pub fn lines(all: &[Seen]) -> Vec<String> {
    all.iter().filter_map(|seen| line(&seen.event)).collect()
}

fn line(e: &Event) -> Option<String> {
    let (fd, x, arg) = (e.fd, e.x, e.arg);
    let wait = || Wait::from_code(e.aux).map_or("?", Wait::name);
    Some(match e.kind {
        Kind::WaitEnter if arg == u64::MAX => format!("{}({fd}, room {x}) for ever", wait()),
        Kind::WaitEnter if arg == u64::MAX - 1 => format!("{}({fd}, room {x}) unknown", wait()),
        Kind::WaitEnter => format!("{}({fd}, room {x}) {} ms", wait(), arg / 1_000_000),
        Kind::WaitExit => format!("= {x}"),
        Kind::Ready => format!("  {}: data {arg} mask {x:#x}", e.aux),
        Kind::CtlBegin => {
            let op = Ctl::from_code(e.aux).map_or("?", Ctl::name);
            let said = match e.said() {
                UNREAD => " unread",
                IN_FULL => " in full",
                _ => "",
            };
            format!(
                "{op} {fd} to {} mask {:#x} data {arg}{said}",
                e.y as i32, x as u32
            )
        }
        Kind::CtlEnd | Kind::FdCloseEnd | Kind::DupEnd => format!("= {x}"),
        Kind::Io => {
            let op = Op::from_code(e.aux).map_or("?", Op::name);
            format!("{op}({fd}, {arg}) = {x}")
        }
        Kind::FdOpen => {
            let kind = FdKind::from_code(e.aux).map_or("?", FdKind::name);
            format!("open {kind} {fd} flags {}", arg & 3)
        }
        Kind::FdCloseBegin => format!("close({fd})"),
        Kind::DupBegin => format!("dup({fd} over {x})"),
        Kind::Fork => format!("fork = {}", if x == 0 { "0" } else { "pid" }),
        // What a busy machine's kernel has no room for is no call of the program's.
        Kind::Lost if Cause::from_code(e.aux).is_some_and(Cause::is_the_kernels) => return None,
        Kind::Lost => format!("LOST {arg}"),
        _ => return None,
    })
}
