//! `export --anon`: the same figures, and nothing of whose they are.
#![cfg(feature = "cli")]

mod common;

use common::{Ended, Place, loopscope, run};
use serde_json::Value;

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&run(args).exits(0).stdout).unwrap()
}

#[test]
fn a_recording_to_hand_on_tells_what_happened_and_not_to_whom() {
    let place = Place::new();
    let script = place.file(
        "secret-script.py",
        include_str!("programs/stalls.py").replace(
            "epoll = select.epoll()",
            "epoll = select.epoll()\nkept = open(sys.argv[0])\nos.read(kept.fileno(), 3)\n\
             path = os.path.join(os.path.dirname(sys.argv[0]), 'secret.sock')\n\
             listener = socket.socket(socket.AF_UNIX)\nlistener.bind(path)\nlistener.listen()",
        ),
    );
    let (whole, anon) = (place.path("whole.lscope"), place.path("anon.lscope"));
    let (whole, anon) = (whole.to_str().unwrap(), anon.to_str().unwrap());
    let mut command = loopscope();
    command.args(["record", "-o", whole, "--", "python3", &script, "0", "20"]);
    command
        .args(["secret-argument"])
        .current_dir(place.path(""));
    Ended::of(command.output().unwrap()).exits(0);
    run(&["export", whole, "--to", "lscope", "--anon", "-o", anon]).exits(0);

    let told = |file: &str| {
        let outputs = [
            run(&["export", file, "--to", "ndjson"]).exits(0).stdout,
            run(&["info", file]).exits(0).stdout,
            run(&["report", file]).exits(0).stdout,
        ];
        outputs.concat()
    };
    let folder = place.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    // All of it is there to be hidden.
    let open = told(whole);
    for secret in ["secret-script", "secret-argument", "secret.sock", folder] {
        assert!(open.contains(secret), "{secret}: {open}");
    }
    // The file's own name is the reader's.
    let hidden = told(anon).replace(anon, "");
    for secret in ["secret-", "secret.", folder] {
        assert!(!hidden.contains(secret), "{secret}: {hidden}");
    }
    // What happened is the same to the nanosecond.
    let (before, after) = (
        json(&["report", whole, "--json"]),
        json(&["report", anon, "--json"]),
    );
    assert_eq!(before["recording"]["events"], after["recording"]["events"]);
    for (a, b) in before["loops"]
        .as_array()
        .unwrap()
        .iter()
        .zip(after["loops"].as_array().unwrap())
    {
        assert_eq!(a, b);
    }
    let codes = |r: &Value| -> Vec<String> {
        let all = r["findings"].as_array().unwrap().iter();
        all.map(|f| f["code"].to_string()).collect()
    };
    assert_eq!(codes(&before), codes(&after));
    assert!(!codes(&before).is_empty(), "{before:#}");
}

#[test]
fn other_formats_are_made_from_the_hidden_recording() {
    let file = format!("{}/recordings/greedy-fd.lscope", env!("CARGO_MANIFEST_DIR"));
    let ended = run(&["export", &file, "--to", "ndjson", "--anon"]).exits(2);
    assert!(ended.stderr.contains("--to lscope"), "{}", ended.stderr);
}
