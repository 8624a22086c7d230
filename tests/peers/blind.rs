//! Programs the shim cannot see are named as such before they start, and programs it can see are not.

use super::common::{Ended, loopscope};
use super::site::{Site, programs};
use std::path::Path;
use std::process::Command;

/// What stands on stderr when this is recorded.
fn warned(site: &Site, command: &[&str]) -> String {
    let recording = site.path("blind.lscope");
    // A recorder that is told to end ends its program.
    let mut record = Command::new("timeout");
    record.arg("1").arg(loopscope().get_program());
    record.args(["record", "--force", "-o"]).arg(recording);
    let output = record.arg("--").args(command).output();
    let said = Ended::of(output.unwrap()).stderr;
    let warnings = said.lines().filter(|line| line.starts_with("warning: "));
    warnings.collect::<Vec<_>>().join("\n")
}

fn compiled(site: &Site, compiler: &str, args: &[&str], name: &str) -> String {
    let program = site.path(name);
    let output = Command::new(compiler)
        .args(args)
        .arg(programs().join("poll_echo.c"))
        .arg("-o")
        .arg(&program)
        .output();
    let output = output.unwrap_or_else(|e| panic!("{compiler}: {e}; install gcc and musl-tools"));
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler}: {wrong}");
    program.to_str().unwrap().to_owned()
}

fn sh(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(status.success(), "{command}");
}

#[test]
#[ignore = "root"]
fn blind_programs_are_named() {
    let site = Site::new();
    let port = site.port.to_string();
    let fixed = compiled(&site, "gcc", &["-static"], "fixed");
    let musl = compiled(&site, "musl-gcc", &[], "musl");
    let raised = compiled(&site, "gcc", &[], "raised");
    // Somebody else's, whose rights it takes; the script shows that what counts is what a script runs.
    sh(&format!("chown nobody {raised} && chmod u+s {raised}"));
    let script = site.path("script");
    std::fs::write(&script, format!("#!{fixed}\n")).unwrap();
    sh(&format!("chmod +x {}", script.display()));
    assert!(
        Path::new("/usr/bin/webhook").exists(),
        "a Go program is missing: install webhook"
    );
    let hooks = site.path("hooks.json");
    std::fs::write(&hooks, "[]").unwrap();
    let go = [
        "webhook",
        "-ip",
        "127.0.0.1",
        "-port",
        &port,
        "-hooks",
        hooks.to_str().unwrap(),
    ];
    for (command, why) in [
        (&[fixed.as_str(), &port][..], "statically linked"),
        (&[script.to_str().unwrap()], "statically linked"),
        (&[&musl, &port], "musl"),
        (&[&raised, &port], "setuid"),
        (&go, "a Go program"),
    ] {
        let said = warned(&site, command);
        assert!(said.contains(why), "{command:?}: {why} is not in: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
#[ignore = "root"]
fn normal_programs_raise_no_alarm() {
    let site = Site::new();
    let commands = "redis-server --version; nginx -v; memcached -V; haproxy -v; lighttpd -v; node --version; \
                    /usr/bin/python3 -V; ruby -v; java -version; curl -V; trial3 --version; sh -c true";
    for command in commands.split("; ") {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(warned(&site, &words), "", "{command}");
    }
}
