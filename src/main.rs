//! The command: parse, dispatch, print one error chain, exit code. Everything else is in the library's `cli`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(loopscope::cli::main().0)
}
