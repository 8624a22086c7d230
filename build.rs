//! Compiles the preload shim (src/preload) for the tool to embed, and checks what came out.
//!
//! The shim is a library of its own without std, so it cannot be a target of this package: rustc is called for it here,
//! with the compiler, target and linker that cargo uses. A build of the library alone (without the feature `cli`) has
//! no use for it and skips all this.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "src/capture/elf.rs"]
#[allow(dead_code)] // the session's part of it
mod elf;

/// What the shim may expect of the libraries in the program: every libc has these, in every version.
const IMPORTS: &[&str] = &[
    "__errno_location",
    "bcmp",
    "clock_gettime",
    "dlsym",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "strlen",
];

/// Targets whose calling convention and system calls the shim knows.
const TARGETS: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CLI").is_none() {
        return;
    }
    for path in ["src/preload", "src/record", "src/capture/elf.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let target = variable("TARGET");
    let shim = Path::new(&variable("OUT_DIR")).join("loopscope.so");
    if !TARGETS.contains(&target.as_str()) {
        println!(
            "cargo::warning=there is no preload shim for {target} (only for {}): the loopscope command built here \
             records programs that link the library, no others",
            TARGETS.join(", ")
        );
        write(&shim, &[]);
        return;
    }
    compile(&target, &shim);
    let bytes =
        std::fs::read(&shim).unwrap_or_else(|e| fail(&format!("cannot read the shim: {e}")));
    check(&bytes);
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| fail(&format!("cargo sets no {name}; build with cargo")))
}

fn fail(why: &str) -> ! {
    println!("cargo::error={why}");
    std::process::exit(1);
}

fn write(path: &Path, bytes: &[u8]) {
    if let Err(e) = std::fs::write(path, bytes) {
        fail(&format!("cannot write {}: {e}", path.display()));
    }
}

fn compile(target: &str, to: &Path) {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["--edition", "2024", "--crate-type", "cdylib"])
        .args([
            "--crate-name",
            "loopscope_preload",
            "--cfg",
            "loopscope_shim",
        ])
        .args(["--target", target])
        .args([
            "-C",
            "opt-level=3",
            "-C",
            "codegen-units=1",
            "-C",
            "lto=fat",
        ])
        // A cancelled thread is unwound through the hooks, so they have unwind tables although nothing here unwinds.
        .args(["-C", "panic=abort", "-C", "force-unwind-tables=yes"])
        // All of it bound before the first hook runs; ours is the first constructor; nobody unloads it.
        .args(["-C", "relro-level=full", "-C", "strip=symbols"])
        .args(["-C", "link-arg=-nostartfiles"])
        .args(["-C", "link-arg=-Wl,-z,now,-z,initfirst,-z,nodelete"])
        .arg(format!("--remap-path-prefix={}=.", root.display()))
        // Each has its own tests and lints as part of the package.
        .args(["--cap-lints", "allow"])
        .arg("-o")
        .arg(to)
        .arg(root.join("src/preload/lib.rs"))
        .current_dir(&root);
    if target.starts_with("aarch64") {
        // Atomics as they are, not through helpers that ask libc for the machine's abilities from a constructor.
        rustc.args(["-C", "target-feature=-outline-atomics"]);
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut flag = std::ffi::OsString::from("linker=");
        flag.push(linker);
        rustc.arg("-C").arg(flag);
    }
    match rustc.status() {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!(
            "rustc could not build the preload shim for {target} ({status}); its messages are above"
        )),
        Err(e) => fail(&format!("cannot run {}: {e}", variable("RUSTC"))),
    }
}

/// One symbol too many, and a program somewhere would not start.
fn check(bytes: &[u8]) {
    let Some(elf) = elf::Elf::parse(bytes) else {
        fail("the preload shim is no 64-bit ELF file");
    };
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    for import in elf.imports().iter().map(|name| text(name)) {
        if !IMPORTS.contains(&import.as_str()) {
            fail(&format!(
                "the preload shim imports {import}, which not every program has; see IMPORTS in build.rs"
            ));
        }
    }
    if let Some(library) = elf.needed().first() {
        fail(&format!(
            "the preload shim needs {}, but must need nothing",
            text(library)
        ));
    }
    let exports: Vec<String> = elf.exports().iter().map(|name| text(name)).collect();
    for hook in [
        "epoll_wait",
        "epoll_ctl",
        "read",
        "close",
        "loopscope_handler_begin",
    ] {
        if !exports.iter().any(|export| export == hook) {
            fail(&format!("the preload shim does not export {hook}"));
        }
    }
    if let Some(import) = IMPORTS.iter().find(|i| exports.iter().any(|e| e == *i)) {
        fail(&format!(
            "the preload shim exports {import}, which is everybody's"
        ));
    }
}
