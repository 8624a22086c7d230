//! Unmodified programs: what the preload shim makes of their calls, against what the program is known to do.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use loopscope::record::event::{Arming, Kind, Space};
use preload::{compiled, events, lines, record};

fn recorded(name: &str, arguments: &[&str]) -> Vec<preload::Seen> {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), name, arguments);
    let file = dir.path().join("x.lscope");
    let output = record(&file, &program, &[]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    events(&file)
}

#[test]
fn a_loop_is_recorded_call_by_call() {
    let all = recorded("loop", &[]);
    let want = "fork = 0
open epoll 3 flags 2
open eventfd 4 flags 1
add 4 to 3 mask 0x1 data 77
= 0
add 4 to 3 mask 0x1 data 77
= -17
mod 4 to 3 mask 0x80000001 data 77
= 0
epoll_wait(3, room 8) 1 ms
= 0
write(4, 8) = 8
epoll_pwait(3, room 8) for ever
= 1
  0: data 77 mask 0x1
read(4, 8) = 8
read(4, 8) = -11
write(4, 8) = 8
write(4, 8) = 8
write(4, 8) = -22
read(4, 8) = 8
read(4, 8) = -11
epoll_wait(3, room 0) 0 ms
= -22
del 4 to 3 mask 0x0 data 0
= 0
open unix 5 flags 0
open unix 6 flags 0
send(5, 4) = 4
poll(-1, room 2) 1000 ms
= 1
  0: data 6 mask 0x1
select(-1, room 7) for ever
= 2
  0: data 6 mask 0x1
  1: data 6 mask 0x4
peek(6, 16) = 4
recv(6, 16) = 4
send(5, 4) = 4
open pipe 7 flags 0
open pipe 8 flags 0
splice(8, 4) = 4
close(7)
= 0
close(8)
= 0
dup(6 over -1)
= 7
dup(5 over 7)
= 7
close(7)
= 0
close(7)
= -9
close(5)
= 0
close(6)
= 0
close(4)
= 0
close(3)
= 0";
    assert_eq!(lines(&all).join("\n"), want);
    // Every call has its caller, and every caller was told before, with the module it lies in.
    let mut told = std::collections::HashSet::new();
    let mut modules = std::collections::HashSet::new();
    for seen in &all {
        let e = seen.event;
        match e.kind {
            Kind::Name if e.aux == Space::Module.code() => {
                modules.insert(String::from_utf8_lossy(&seen.text).into_owned());
            }
            Kind::Name if e.aux == Space::Site.code() => {
                told.insert(e.x);
                let text = String::from_utf8_lossy(&seen.text);
                assert!(text.starts_with("loop+0x"), "{text}");
                assert!(modules.iter().any(|module| module.ends_with("/loop")));
            }
            Kind::Io | Kind::CtlBegin | Kind::WaitEnter => {
                assert!(e.site != 0 && told.contains(&i32::from(e.site)), "{e:?}");
            }
            _ => {}
        }
    }
}

#[test]
fn what_cannot_be_read_before_the_call_is_told_after_it() {
    let all = recorded("elsewhere", &[]);
    let want = "fork = 0
open epoll 3 flags 0
open eventfd 4 flags 1
open timerfd 5 flags 0
mod 4 to 3 mask 0x0 data 0 unread
mod 4 to 3 mask 0x80000001 data 77 in full
= -2
add 4 to 3 mask 0x0 data 0 unread
add 4 to 3 mask 0x80000001 data 77 in full
= 0
add -1 to 3 mask 0x0 data 0 unread
= -9
epoll_pwait2(3, room 4) unknown
= 1
  0: data 77 mask 0x1
epoll_pwait2(3, room 4) unknown
= 0
epoll_pwait2(3, room 4) 7 ms
= 0
epoll_pwait2(-1, room 4) for ever
= -9
select(-1, room 0) unknown
= 0
close(4)
= 0
select(-1, room 0) unknown
= 0
pselect(-1, room 0) 0 ms
= 0
open unix-dgram 4 flags 0
open unix-dgram 6 flags 0
send(4, 8) = 8
recv(6, 8) = 8";
    assert_eq!(lines(&all).join("\n"), want);
    let timers: Vec<(u16, u64, u64)> = all
        .iter()
        .filter(|seen| seen.event.kind == Kind::TimerfdSet)
        .map(|seen| (seen.event.aux, seen.event.arg, seen.event.y))
        .collect();
    let (armed, unknown) = (Arming::In.code(), Arming::Unknown.code());
    let want = [(armed, 1_000_000_000, 100_000_000_000), (unknown, 0, 0)];
    assert_eq!(timers, want);
}
