//! One failure, told once: what failed, why, and what to do next; and the exit codes the manual promises.
//!
//! A library error's text is `what failed on what; what to do`, so the part behind the last `; ` of a line becomes the
//! hint. Step: none of the pipeline; it ends every command.

use crate::text::visible;
use std::fmt;
use std::io::Write;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// All went well.
    pub const OK: Exit = Exit(0);
    /// The command line made no sense.
    pub const USAGE: Exit = Exit(2);
    /// We failed: disk full, unreadable recording, nothing recorded.
    pub const FAILURE: Exit = Exit(125);
    /// The program to launch is not executable.
    pub const NOT_EXECUTABLE: Exit = Exit(126);
    /// The program to launch was not found.
    pub const NOT_FOUND: Exit = Exit(127);

    /// A child's wait status: its code, or 128 + the signal that ended it.
    pub fn of_child(status: std::process::ExitStatus) -> Exit {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => Exit(code as u8),
            (None, Some(signal)) => Exit(128 + signal as u8),
            (None, None) => Exit::FAILURE,
        }
    }
}

/// What every command returns.
pub type Outcome = anyhow::Result<Exit>;

/// An error of a command's own, with the exit code and the advice that belong to it.
#[derive(Debug)]
pub struct Failure {
    message: String,
    hint: Option<String>,
    exit: Option<Exit>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    /// We failed (125).
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Failure {
            message,
            hint: None,
            exit: None,
            source: None,
        }
    }

    /// The command line is wrong in a way clap cannot know (2).
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(message).exit(Exit::USAGE)
    }

    /// What to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Another exit code than 125.
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = Some(exit);
        self
    }

    /// What it was caused by.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|e| &**e as &(dyn std::error::Error + 'static))
    }
}

/// The exit code an error asks for: the outermost [`Failure`] that names one, else 125.
/// A reader of our output that went away (`report | head`) is no failure.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    if is_broken_pipe(error) {
        return Exit::OK;
    }
    (error.chain())
        .find_map(|cause| cause.downcast_ref::<Failure>()?.exit)
        .unwrap_or(Exit::FAILURE)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        (cause.downcast_ref::<std::io::Error>())
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Prints the chain: `error:` once, `cause:` for each further reason, `hint:` for each advice.
pub fn print(error: &anyhow::Error, to: &mut dyn Write) {
    if is_broken_pipe(error) {
        return;
    }
    // Nobody is left to tell when stderr fails.
    let _ = to.write_all(render(error).as_bytes());
}

fn render(error: &anyhow::Error) -> String {
    let mut out = String::new();
    let mut hints: Vec<String> = Vec::new();
    let mut said = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let text = cause.to_string();
        let (what, advice) = match text.rsplit_once("; ") {
            Some((what, advice)) => (what.to_owned(), Some(advice.to_owned())),
            None => (text, None),
        };
        hints.extend(cause.downcast_ref::<Failure>().and_then(|f| f.hint.clone()));
        hints.extend(advice);
        // Some errors already say their source in their own text; say nothing twice.
        if depth > 0 && said.contains(&what) {
            continue;
        }
        let label = if depth == 0 { "error" } else { "cause" };
        out.push_str(&format!("{label}: {}\n", visible(&what)));
        said.push_str(&what);
    }
    hints.dedup();
    for hint in hints {
        out.push_str(&format!("hint: {}\n", visible(&hint)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_chain_is_told_once_with_its_advice() {
        let source = io::Error::other("page 3 is damaged; copy it again");
        let failure = Failure::new("cannot read x.lscope")
            .because(source)
            .hint("try another file");
        let text = render(&anyhow::Error::new(failure));
        let want = "error: cannot read x.lscope\ncause: page 3 is damaged\nhint: try another file\nhint: copy it again\n";
        assert_eq!(text, want);
    }

    #[test]
    fn a_hostile_file_name_does_not_reach_the_terminal() {
        let text = render(&anyhow::Error::new(Failure::new(
            "cannot open \x1b]0;evil\x07",
        )));
        assert_eq!(text, "error: cannot open \\x1b]0;evil\\x07\n");
    }

    #[test]
    fn exit_codes() {
        assert_eq!(exit_of(&anyhow::anyhow!("anything")), Exit(125));
        assert_eq!(exit_of(&Failure::usage("no such view").into()), Exit(2));
        let nested = anyhow::Error::new(Failure::usage("inner")).context("outer");
        assert_eq!(exit_of(&nested), Exit(2));
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        let pipe = anyhow::Error::new(Failure::new("cannot write").because(pipe));
        assert_eq!(exit_of(&pipe), Exit(0));
        assert_eq!(render(&anyhow::anyhow!("x")), "error: x\n");
    }
}
