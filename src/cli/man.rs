//! `loopscope man`: the manual page, made from the same definitions that parse commands and keys.

use super::output::Output;
use super::{EXIT_CODES, Exit, Outcome, definition};
use std::fmt::Write;

/// Print the manual page (loopscope man | man -l -)
#[derive(clap::Args, Debug)]
pub struct Args {}

pub(super) fn run(_: Args) -> Outcome {
    let mut out = Output::stdout();
    out.text(&page()?)?;
    out.finish()?;
    Ok(Exit::OK)
}

const DESCRIPTION: &str = "loopscope records every registration, wakeup, ready batch and handler run of an epoll event \
loop, and shows, live or replayed, who was served, who waited, behind whom, and why. What is only bounded or inferred is \
shown as such; what is not known is shown as unknown.";

const INSTANTS: &str = "Where an option takes T, an instant of a recording, it may be written as";

const ENVIRONMENT: &[(&str, &str)] = &[
    ("NO_COLOR", "When set, no colours."),
    (
        "TMPDIR",
        "Where a recording without -o is kept until it is saved or forgotten.",
    ),
    (
        "LOOPSCOPE_SESSION",
        "Set for a launched program: where it finds the collector.",
    ),
];

fn page() -> anyhow::Result<String> {
    let root = definition();
    let man = clap_mangen::Man::new(root.clone()).section("1");
    let mut head = Vec::new();
    man.render_title(&mut head)?;
    man.render_name_section(&mut head)?;
    man.render_synopsis_section(&mut head)?;
    let mut page = String::from_utf8(head)?;
    section(&mut page, "DESCRIPTION", DESCRIPTION);
    section(&mut page, "COMMANDS", "");
    for command in root.get_subcommands().filter(|c| !c.is_hide_set()) {
        describe(&mut page, command)?;
    }
    section(
        &mut page,
        "INSTANTS",
        &format!("{INSTANTS} {}.", crate::when::FORMS),
    );
    section(
        &mut page,
        "EXIT STATUS",
        EXIT_CODES.trim_start_matches("Exit codes: "),
    );
    section(&mut page, "ENVIRONMENT", "");
    for (name, text) in ENVIRONMENT {
        item(&mut page, name, text);
    }
    Ok(page)
}

fn section(page: &mut String, title: &str, text: &str) {
    push(page, format_args!(".SH \"{title}\"\n"));
    if !text.is_empty() {
        push(page, format_args!("{}\n", roff(text)));
    }
}

fn item(page: &mut String, name: &str, text: &str) {
    push(
        page,
        format_args!(".TP\n\\fB{}\\fR\n{}\n", roff(name), roff(text)),
    );
}

/// One command: how it is called, what it does, its options.
fn describe(page: &mut String, command: &clap::Command) -> anyhow::Result<()> {
    let name = format!("loopscope {}", command.get_name());
    let mut command = command.clone().bin_name(&name).disable_help_flag(true);
    let usage = command.render_usage().to_string();
    push(
        page,
        format_args!(".SS \"{}\"\n", roff(usage.trim_start_matches("Usage: "))),
    );
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        push(page, format_args!("{}\n", roff(&about.to_string())));
    }
    let man = clap_mangen::Man::new(command);
    let mut options = Vec::new();
    man.render_options_section(&mut options)?;
    let options = String::from_utf8(options)?;
    // The command's own heading stands already.
    for line in options
        .lines()
        .filter(|l| !l.starts_with(".SH") && !l.starts_with(".ie") && !l.starts_with(".el"))
    {
        push(page, format_args!("{line}\n"));
    }
    Ok(())
}

/// Text as roff takes it: backslashes and hyphens escaped, no line that starts like a request.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let guarded = escaped.lines().map(|l| {
        if l.starts_with(['.', '\'']) {
            format!("\\&{l}")
        } else {
            l.to_owned()
        }
    });
    // A blank line in the source is a paragraph, which roff writes as a request.
    let lines: Vec<String> = guarded
        .map(|l| if l.is_empty() { ".PP".to_owned() } else { l })
        .collect();
    lines.join("\n")
}

fn push(page: &mut String, piece: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = page.write_fmt(piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_place() {
        let page = page().unwrap();
        for command in definition().get_subcommands().filter(|c| !c.is_hide_set()) {
            assert!(
                page.contains(&format!(".SS \"loopscope {}", command.get_name())),
                "{}",
                command.get_name()
            );
        }
        assert!(page.contains(".SH \"EXIT STATUS\"") && page.contains("event:N"));
    }

    #[test]
    fn no_line_is_taken_for_a_request() {
        assert_eq!(
            roff(".lscope\n'x' a-b\\c\n\nd"),
            "\\&.lscope\n\\&'x' a\\-b\\ec\n.PP\nd"
        );
    }
}
