//! `loopscope man`: the manual page, made from the same definitions that parse commands and keys.

use super::output::Output;
use super::{Exit, Outcome, definition};

/// Print the manual page (loopscope man | man -l -)
#[derive(clap::Args, Debug)]
pub struct Args {}

pub(super) fn run(_: Args) -> Outcome {
    let mut page = Vec::new();
    let root = definition();
    clap_mangen::Man::new(root.clone()).render(&mut page)?;
    for command in root.get_subcommands().filter(|c| !c.is_hide_set()) {
        section(command, &mut page)?;
    }
    let mut out = Output::stdout();
    out.text(&String::from_utf8_lossy(&page))?;
    out.finish()?;
    Ok(Exit::OK)
}

/// One command's part of the page, its headings one level down: how it is called, what it does, its options.
fn section(command: &clap::Command, page: &mut Vec<u8>) -> anyhow::Result<()> {
    use std::io::Write;
    let name = format!("loopscope {}", command.get_name());
    let man = clap_mangen::Man::new(command.clone().bin_name(&name));
    let mut body = Vec::new();
    man.render_synopsis_section(&mut body)?;
    man.render_description_section(&mut body)?;
    man.render_options_section(&mut body)?;
    let body = String::from_utf8_lossy(&body).replace("\n.SH ", "\n.SS ");
    writeln!(page, ".SH \"{}\"", name.to_uppercase())?;
    page.extend_from_slice(
        body.strip_prefix(".SH ")
            .map_or(body.clone(), |rest| format!(".SS {rest}"))
            .as_bytes(),
    );
    Ok(())
}
