//! Programs that do what no program should have to, run without and with the shim: what they print, how they end and what
//! they can see of themselves (descriptors, threads, signals, errno, environment) is the same.
//!
//! Each is one file in programs/, made for one way in which interposing has broken programs. probe.h prints what shows of
//! a process, calls.h makes one of every call. With LOOPSCOPE_FULL=1 the storms are as large as the promise.
#![cfg(feature = "cli")]

#[path = "../common/mod.rs"]
mod common;
mod run;

use loopscope::record::event::Kind;
use run::{Torture, rounds};
use std::collections::HashSet;

#[test]
fn calls_before_every_constructor() {
    // The shim is initialised first unless a library that the program links asks for that too.
    for flags in [&[][..], &["-Wl,-z,initfirst"]] {
        let mut torture = Torture::new("start");
        let library = torture.library("early", flags);
        torture.links(&library).runs(&["a", "b"]).same(3);
    }
}

#[test]
fn what_is_ignored_blocked_or_missing_stays_so() {
    let torture = Torture::new("start");
    let mut torture = torture;
    let library = torture.library("early", &[]);
    torture.links(&library);
    for before in ["trap '' HUP PIPE USR1 TERM;", "trap '' INT QUIT;"] {
        torture.outside(before).runs(&[]).same(3);
    }
    torture.outside("").inside("<&-").runs(&[]).same(3);
    torture.outside("exec <&-;").inside("").runs(&[]).same(3);
}

#[test]
fn bad_pointers_are_the_kernels_to_refuse() {
    Torture::new("errnos").runs(&[]).same(4);
}

#[test]
fn addresses_where_nothing_is_in_every_call() {
    Torture::new("pointers").runs(&[]).same(6);
}

#[test]
fn the_environment_between_fork_and_exec() {
    Torture::new("execs").runs(&[]).same(0);
}

#[test]
fn storms_of_processes_while_threads_push() {
    let torture = &mut Torture::new("forks");
    torture.runs(&[&rounds(250, 10_000).to_string()]).same(0);
    // All children close the descriptor that the parent keeps to its end, some of them on the parent's memory.
    const KEPT: i32 = 3;
    let all = torture.events();
    let begins = all
        .iter()
        .position(|e| e.kind == Kind::Exec && e.thread == 1);
    let parents: HashSet<u32> = (all.iter())
        .filter(|e| e.kind == Kind::ThreadStart && e.arg == 0)
        .map(|e| e.thread)
        .collect();
    let of_parent = |kind: Kind| {
        let after = all.iter().skip(begins.unwrap());
        let these = after.filter(|e| e.kind == kind && e.fd == KEPT);
        these.filter(|e| parents.contains(&e.thread)).count()
    };
    // Its number is used three times more, by what shows how the program is at its end.
    let (opened, closed) = (of_parent(Kind::FdOpen), of_parent(Kind::FdCloseBegin));
    if all.iter().any(|e| e.kind == Kind::Lost) {
        // A machine that is too busy to drain the rings of eight threads may lose some of them, and makes none up.
        assert!(
            opened <= 4 && closed <= 4,
            "{opened} opened, {closed} closed"
        );
        return;
    }
    assert_eq!((opened, closed), (4, 4));
    // Nor did /proc ever show it otherwise than recorded.
    assert_eq!((of_parent(Kind::FdSeen), of_parent(Kind::FdGone)), (0, 0));
}

#[test]
fn threads_cancelled_in_every_call() {
    // 48 places to be cancelled in.
    Torture::new("cancels")
        .runs(&[&rounds(3, 25).to_string()])
        .same(0);
}

#[test]
fn destructors_of_thread_locals_that_call() {
    Torture::new("keys")
        .runs(&[&rounds(600, 10_000).to_string()])
        .same(0);
}

#[test]
fn handlers_at_20_khz_that_jump_out_of_calls() {
    Torture::new("alarms")
        .runs(&[&rounds(300, 20_000).to_string()])
        .same(0);
}

#[test]
fn everything_closed_and_put_over() {
    Torture::new("closes").runs(&[]).same(0);
}

#[test]
fn filters_and_forbidden_clocks() {
    Torture::new("filters").runs(&[]).same(0);
}

#[test]
fn every_way_to_end() {
    Torture::new("exits").runs(&[]).same(0);
}

#[test]
fn libraries_loaded_late() {
    let mut torture = Torture::new("deep");
    let library = torture.library("early", &[]);
    let path = library.to_str().unwrap().to_owned();
    torture.flags(&["-ldl"]).runs(&[&path]).same(0);
}

#[test]
fn little_stacks_and_coroutines() {
    Torture::new("stacks").runs(&[]).same(0);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn clones_that_share_memory() {
    Torture::new("clones").runs(&[]).same(0);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_traced_child_makes_no_call_more() {
    Torture::new("traced").runs(&[]).same(0);
}

#[test]
fn very_many_threads() {
    Torture::new("threads")
        .runs(&[&rounds(2_000, 10_000).to_string()])
        .same(0);
}

#[test]
fn limits_of_memory_and_of_descriptors() {
    let torture = &mut Torture::new("privileges");
    for (limit, code) in [
        ("memory", 15),
        ("data", 15),
        ("locked", 15),
        ("stack", 15),
        ("file", 128 + libc::SIGXFSZ),
        // exec'd with room for one descriptor more than a program is started with.
        ("numbers", 15),
    ] {
        // With so few numbers, and without a file to write to, nothing can be recorded.
        let unseen = matches!(limit, "numbers" | "file");
        torture.unseen(unseen).runs(&[limit, "again"]).same(code);
    }
}

#[test]
#[ignore = "root"]
fn another_user_or_root_directory() {
    let torture = &mut Torture::new("privileges");
    // Where nobody else may look for the shim, what is exec'd there runs without it, and without a word.
    torture.runs(&["user", "again"]).same(15);
    torture.unseen(true).rooted().same(15);
}

#[test]
#[ignore = "root"]
fn shared_memory_that_is_full() {
    // The rings' is nobody's file there.
    let fill = "mount -t tmpfs -o size=8k none /dev/shm && ! head -c 99999 /dev/zero 2>/dev/null >/dev/shm/full || exit 9;";
    Torture::new("plain")
        .under(&["unshare", "--mount"])
        .outside(fill)
        .runs(&[])
        .same(5);
}

#[test]
#[ignore = "root"]
fn the_first_process_of_a_pid_namespace() {
    let apart = "unshare --pid --fork";
    // The program alone is its first process, the recorder is, and the program again in one of its own.
    for (under, inside) in [(false, true), (true, false), (true, true)] {
        let torture = &mut Torture::new("plain");
        if under {
            torture.under(&apart.split(' ').collect::<Vec<_>>());
        }
        if inside {
            torture.inside(apart);
        }
        torture.runs(&[]).same(5);
    }
}

#[test]
#[ignore = "root"]
fn a_limit_on_the_memory_of_a_control_group() {
    // Where the machine has them and lets us make one.
    let Some(group) = run::Group::limited(96 << 20) else {
        eprintln!("no control group for memory can be made here");
        return;
    };
    let join = format!("echo $$ >{}/cgroup.procs || exit 9;", group.path());
    Torture::new("plain").outside(&join).runs(&[]).same(5);
    Torture::new("forks").outside(&join).runs(&["50"]).same(0);
    // Where the rings alone are more than is allowed, nothing is started and nobody is killed.
    drop(group);
    let group = run::Group::limited(12 << 20).unwrap();
    let script = format!(
        "echo $$ >{}/cgroup.procs && exec {} record -o /dev/null --force -- true",
        group.path(),
        common::loopscope().get_program().display()
    );
    let refused = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    common::Ended::of(refused).fails(125, "raise its memory limit");
}

#[test]
fn daemons() {
    for how in [&[][..], &["by hand"]] {
        let torture = &mut Torture::new("daemon");
        torture.daemon(how).same(0);
    }
}

#[test]
fn other_preloaded_libraries_and_auditors() {
    let torture = &mut Torture::new("plain");
    let other = torture.library("other", &["-ldl"]).display().to_string();
    let audit = torture.library("audit", &[]).display().to_string();
    let mut preloaded = vec![other];
    // An allocator, where one is installed: it allocates when it is asked for a function.
    for path in ["libjemalloc.so.2", "libtcmalloc.so.4", "libmimalloc.so.2"] {
        let path = format!("/usr/lib/{}-linux-gnu/{path}", std::env::consts::ARCH);
        if std::path::Path::new(&path).exists() {
            preloaded.push(path);
        }
    }
    for path in &preloaded {
        for (order, unseen) in [
            (format!("env LD_PRELOAD={path}:$LD_PRELOAD"), false),
            (format!("env LD_PRELOAD=$LD_PRELOAD:{path}"), false),
            // Who sets it means it.
            (format!("env LD_PRELOAD={path}"), true),
        ] {
            torture.inside(&order).unseen(unseen).runs(&[]).same(5);
        }
        torture
            .unseen(false)
            .inside("")
            .outside(&format!("export LD_PRELOAD={path};"))
            .runs(&[])
            .same(5);
        torture.outside("");
    }
    torture
        .inside(&format!("env LD_AUDIT={audit}"))
        .runs(&[])
        .same(5);
}

#[test]
fn programs_that_no_library_gets_into() {
    for flag in ["-static", "-static-pie"] {
        Torture::new("plain")
            .flags(&[flag])
            .unseen(true)
            .runs(&[])
            .same(5);
    }
}

#[test]
fn sanitizers_come_first_also_behind_a_shell() {
    let torture = &mut Torture::new("wrong");
    for (sanitizer, wrong, code) in [
        ("address", "right", 9),
        ("address", "overflow", 1),
        ("thread", "right", 9),
        ("thread", "race", 66),
        ("undefined", "undefined", 9),
        ("leak", "right", 9),
    ] {
        let flag = format!("-fsanitize={sanitizer}");
        torture.flags(&[&flag, "-g"]).runs(&[wrong]).same(code);
    }
}

#[test]
fn programs_linked_in_every_other_way() {
    for flags in [
        &["-no-pie"][..],
        &["-fsanitize=undefined"],
        &["-D_FORTIFY_SOURCE=2", "-D_FILE_OFFSET_BITS=64"],
        &["-Wl,-z,now", "-Wl,-z,relro"],
        &["-Wl,-z,lazy", "-rdynamic"],
    ] {
        Torture::new("plain").flags(flags).runs(&[]).same(5);
    }
}

#[test]
fn programs_of_another_compiler() {
    // Where there is one; CI installs it where it can.
    if std::process::Command::new("clang")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("no clang here");
        return;
    }
    for (name, code) in [("plain", 5), ("pointers", 6), ("cancels", 0)] {
        Torture::new(name).compiler("clang").runs(&[]).same(code);
    }
}
