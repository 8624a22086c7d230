//! `loopscope explain CODE`: what a finding means, how to see it, how to cure it. Step: model → **view**.

use super::output::Output;
use super::{Exit, Outcome};
use crate::findings::{Code, Thresholds, explained};

/// Tell what a finding means, how to see it and how to cure it
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A code, or `thresholds` for what it takes to be a finding; without it, all codes
    #[arg(value_parser = What::parse)]
    what: Option<What>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Code(Code),
    Thresholds,
}

impl What {
    fn parse(text: &str) -> Result<What, String> {
        match text {
            "thresholds" => Ok(What::Thresholds),
            code => code
                .parse()
                .map(What::Code)
                .map_err(|e: crate::findings::NoSuchCode| e.to_string()),
        }
    }
}

pub(super) fn run(args: Args) -> Outcome {
    let mut out = Output::stdout();
    let text = match args.what {
        None => Code::ALL
            .iter()
            .map(|code| format!("{:<26}{}\n", code.name(), code.title()))
            .collect(),
        Some(What::Thresholds) => Thresholds::default().to_toml(),
        Some(What::Code(code)) => {
            let section = explained(code).replace("**", "");
            format!("{} ({code})\n\n{section}\n", code.title())
        }
    };
    out.text(&text)?;
    out.finish()?;
    Ok(Exit::OK)
}
