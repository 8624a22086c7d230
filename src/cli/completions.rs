//! `loopscope completions SHELL`: the shell's completion script, made from the same definition that parses.

use super::output::Output;
use super::{Exit, Outcome, definition};

/// Print a completion script for a shell
///
/// bash: loopscope completions bash > ~/.local/share/bash-completion/completions/loopscope
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Which shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut shown(), "loopscope", &mut script);
    let mut out = Output::stdout();
    out.text(&String::from_utf8_lossy(&script))?;
    out.finish()?;
    Ok(Exit::OK)
}

/// The definition without the commands that are only for ourselves: some shells' scripts would offer them.
fn shown() -> clap::Command {
    let all = definition();
    let shown = clap::Command::new("loopscope")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(all.get_subcommands().filter(|c| !c.is_hide_set()).cloned());
    match all.get_about() {
        Some(about) => shown.about(about.clone()),
        None => shown,
    }
}
