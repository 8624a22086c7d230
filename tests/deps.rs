//! What we depend on: the lean library stays lean, every licence is one we may ship, and nothing is fetched from
//! outside the registry.
#![cfg(feature = "cli")]

use std::process::Command;

/// Everything `default-features = false` may pull in.
const LEAN: &[&str] = &[
    "loopscope",
    "cfg-if",
    "crc32fast",
    "foldhash",
    "libc",
    "lz4_flex",
];

/// What the mirror of mio adds.
const MIO: &[&str] = &["mio", "log"];

const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSL-1.0",
    "Zlib",
    "Unlicense",
    "MPL-2.0",
    "Unicode-3.0",
    "ISC",
    "BSD-3-Clause",
];

fn cargo(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(args).args([
        "--locked",
        "--manifest-path",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ]);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "cargo {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn tree(features: &[&str]) -> Vec<String> {
    let base = [
        "tree",
        "--no-default-features",
        "-e",
        "normal",
        "--prefix",
        "none",
    ];
    let text = cargo(&[&base[..], features].concat());
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|l| Some(l.split(' ').next()?.to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_lean_library_has_few_dependencies() {
    let mut want: Vec<&str> = LEAN.to_vec();
    want.sort_unstable();
    assert_eq!(tree(&[]), want);
    want.extend(MIO);
    want.sort_unstable();
    assert_eq!(tree(&["--features", "mio"]), want);
}

#[test]
fn every_dependency_may_be_shipped() {
    let text = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]);
    let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 10);
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"]
            .as_str()
            .unwrap_or_else(|| panic!("{name} names no licence"));
        // Each part of an AND must offer at least one licence we know.
        for part in licence.split(" AND ") {
            let offers = part.trim_matches(['(', ')']).replace('/', " OR ");
            let known = offers.split(" OR ").any(|l| LICENCES.contains(&l.trim()));
            assert!(known, "{name}: {licence}");
        }
        let source = package["source"].as_str();
        let registry =
            source.is_none_or(|s| s == "registry+https://github.com/rust-lang/crates.io-index");
        assert!(registry, "{name} comes from {source:?}");
    }
}
