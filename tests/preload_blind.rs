//! Programs whose calls the shim cannot see are named as such while they run, those that only look like it are not, and a
//! recording that holds nothing says which reason it has.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use preload::{compiled, record};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines of warning on stderr, and all of it.
fn warned(output: &Output) -> (Vec<String>, String) {
    let all = text(&output.stderr);
    let lines = all.lines().filter(|line| line.starts_with("warning: "));
    (lines.map(str::to_owned).collect(), all)
}

/// Runs a recorder until it names a process that it does not see, and ends that one: however late the recorder looks, there is
/// something to look at.
fn until_named(recorder: &mut Command) -> Output {
    let recorder = recorder.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut recorder = recorder.spawn().unwrap();
    let mut errors = BufReader::new(recorder.stderr.take().unwrap());
    let (mut said, mut named) = (Vec::new(), None);
    while named.is_none() {
        let before = said.len();
        if errors.read_until(b'\n', &mut said).unwrap() == 0 {
            break;
        }
        named = process(&text(&said[before..]));
    }
    if let Some(pid) = named {
        // SAFETY: two integers; who has been named runs until this.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
    errors.read_to_end(&mut said).unwrap();
    Output {
        stderr: said,
        ..recorder.wait_with_output().unwrap()
    }
}

/// Whom a line of warning is about.
fn process(line: &str) -> Option<i32> {
    let (_, pid) = line.strip_prefix("warning: ")?.split_once(" process ")?;
    pid.split(' ').next()?.parse().ok()
}

fn recorder(file: &Path, command: &[&str]) -> Command {
    let mut recorder = common::loopscope();
    recorder.args(["record", "-o"]).arg(file).arg("--");
    recorder.args(command);
    recorder
}

#[test]
fn what_is_not_seen_is_named_once_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "blind", &[]);
    for (how, why) in [
        ("raw", "calls epoll_wait without libc"),
        ("ring", "waits for an io_uring"),
        ("strict", "strict seccomp mode"),
        ("cleaned", "its environment was cleaned"),
        ("replaced", "its LD_PRELOAD was replaced"),
    ] {
        let program = program.to_str().unwrap();
        let output = until_named(&mut recorder(&dir.path().join(how), &[program, how]));
        assert_eq!(
            text(&output.stdout),
            "",
            "{how}: the kernel lets nobody do it here"
        );
        let (lines, all) = warned(&output);
        assert_eq!(lines.len(), 1, "{how}: {all}");
        assert!(
            lines[0].contains(why) && lines[0].contains("(blind)"),
            "{all}"
        );
        // It is why there is nothing, too.
        let error = all
            .lines()
            .find(|line| line.starts_with("error: "))
            .unwrap();
        assert!(error.contains(why), "{all}");
    }
}

#[test]
fn a_loop_whose_waits_never_came_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "blind", &[]);
    for (how, why) in [
        ("polls", "it calls poll or select without libc"),
        ("never", "blind registered with an epoll, and no wait on it"),
    ] {
        let mut recorder = recorder(&dir.path().join(how), &[program.to_str().unwrap(), how]);
        let output = match how {
            "polls" => until_named(&mut recorder),
            // It ends by itself, and is named then.
            _ => recorder.output().unwrap(),
        };
        let (lines, all) = warned(&output);
        assert_eq!(lines.len(), 1, "{how}: {all}");
        assert!(lines[0].contains(why), "{how}: {all}");
        // What it has registered is recorded all the same.
        assert_eq!(output.status.code(), Some(0), "{how}: {all}");
        assert!(dir.path().join(how).exists(), "{how}: {all}");
    }
}

#[test]
fn a_child_that_is_not_seen_is_named_and_its_parent_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let seen = compiled(dir.path(), "blind", &[]);
    let fixed = dir.path().join("fixed");
    std::fs::create_dir(&fixed).unwrap();
    let fixed = compiled(&fixed, "blind", &["-static"]);
    let script = format!("{} stays & {} waits; wait", fixed.display(), seen.display());
    let file = dir.path().join("x.lscope");
    let output = until_named(&mut recorder(&file, &["sh", "-c", &script]));
    let (lines, all) = warned(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    assert!(
        matches!(&lines[..], [one] if one.contains("statically linked")),
        "{all}"
    );
    // It stands in the recording as well.
    let report = common::loopscope()
        .arg("report")
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        text(&report.stdout).contains("statically linked"),
        "{}",
        text(&report.stdout)
    );
}

#[test]
fn a_program_whose_file_says_it_is_named_before_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go.h");
    std::fs::write(
        &go,
        r#"static char go[16] __attribute__((used, section(".go.buildinfo")));"#,
    )
    .unwrap();
    let go = ["-include", go.to_str().unwrap()];
    for (flags, why) in [
        (&["-static"][..], "statically linked"),
        (&go, "Go"),
        // Its loader is not there, so it does not start; why nothing would be seen of it is said all the same.
        (&["-Wl,--dynamic-linker=/lib/ld-musl-x.so.1"], "musl"),
    ] {
        let program = compiled(dir.path(), "blind", flags);
        let output = record(&dir.path().join("x.lscope"), &program, &["asleep"]);
        let _ = std::fs::remove_file(dir.path().join("x.lscope"));
        let (lines, all) = warned(&output);
        assert!(lines.iter().any(|line| line.contains(why)), "{why}: {all}");
    }
}

#[test]
#[ignore = "root"]
fn a_program_that_gets_other_rights_is_named_before_it_starts() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = compiled(dir.path(), "blind", &[]);
    const NOBODY: u32 = 65534;
    for (user, group, mode) in [(Some(NOBODY), None, 0o4755), (None, Some(NOBODY), 0o2755)] {
        std::os::unix::fs::chown(&program, user.or(Some(0)), group.or(Some(0))).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = record(&dir.path().join("x.lscope"), &program, &["asleep"]);
        let (lines, all) = warned(&output);
        assert!(
            lines.iter().any(|line| line.contains("other rights")),
            "{mode:o}: {all}"
        );
        assert_eq!(output.status.code(), Some(125), "{mode:o}: {all}");
    }
}

#[test]
fn what_only_looks_like_it_raises_no_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "blind", &[]);
    for how in ["waits", "forked", "asleep"] {
        let output = record(&dir.path().join(how), &program, &[how]);
        let (lines, all) = warned(&output);
        assert!(lines.is_empty() && output.status.success(), "{how}: {all}");
    }
}

#[test]
fn a_server_nobody_talked_to_is_told_as_that() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "lonely", &[]);
    let mut child = common::loopscope()
        .args(["record", "-o"])
        .arg(dir.path().join("x.lscope"))
        .arg("--")
        .arg(&program)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let port = first_line(&mut child);
    // It is inside of accept by now, or will be: it does nothing else.
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let (lines, all) = warned(&output);
    assert!(lines.is_empty(), "{all}");
    assert!(
        all.contains(&format!("listened on 127.0.0.1:{port} and nobody came")),
        "{all}"
    );
    assert!(all.contains(&format!("nc 127.0.0.1 {port}")), "{all}");
    assert!(!Path::new(&dir.path().join("x.lscope")).exists());
}

fn first_line(child: &mut std::process::Child) -> String {
    let mut line = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    line.trim().to_owned()
}
