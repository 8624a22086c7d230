//! What `replay` and `snapshot` share: which screen, which instant, which descriptor. Everything typed is checked here,
//! before a terminal is touched. Step: model → **view**.

use super::Failure;
use super::drawn::Drawn;
use crate::export::svg;
use crate::query::Query;
use crate::tui::{self, App, Source, View};
use crate::when::When;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::path::{Path, PathBuf};

/// Where to look.
#[derive(clap::Args, Debug)]
pub struct Look {
    /// Stand at this instant: 1.25s, 310ms, 50%, -10s (before the end), event:N, iteration:LOOP:N, mark:NAME [default:
    /// the worst wait of the recording, or of --fd]
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub at: Option<When>,
    /// The screen
    #[arg(long, value_name = "NAME", value_parser = views())]
    pub view: Option<View>,
    /// The descriptor to look at
    #[arg(long, value_name = "N", value_parser = descriptor)]
    pub fd: Option<i32>,
    /// Mark the fds that this holds for, such as 'queue > 5ms'; n and N go from one such run to the next
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// Another recording on the timeline's clock, below this one: the same instant after its start, the same columns
    #[arg(long, value_name = "FILE")]
    pub beside: Option<PathBuf>,
    #[command(flatten)]
    pub drawn: Drawn,
}

fn descriptor(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| {
        "a descriptor is a number, like 7; `loopscope report` tells which there are".to_owned()
    })
}

/// The screens there are.
fn views() -> impl TypedValueParser<Value = View> {
    PossibleValuesParser::new(View::ALL.map(|(view, _)| view.name()))
        .map(|name| View::from_name(&name).unwrap_or_default())
}

impl Look {
    /// The same as the UI takes it.
    pub fn options(&self, file: &Path) -> tui::Options {
        tui::Options {
            name: file.display().to_string(),
            at: self.at.clone(),
            view: self.view.unwrap_or_default(),
            fd: self.fd,
            filter: self.filter.clone(),
            ascii: self.drawn.ascii,
            theme: self.drawn.theme,
            beside: self.beside.as_ref().map(|path| tui::Other {
                name: path.display().to_string(),
                path: path.clone(),
                above: false,
                shown: true,
                keep: None,
            }),
            picture: Some(svg::to_svg),
            ..tui::Options::default()
        }
    }

    /// The filter is none in any recording.
    fn is_misspelt(&self) -> bool {
        let filter = self.filter.as_deref();
        filter.is_some_and(|text| text.parse::<Query>().is_err())
    }

    /// Opens the recording at the instant asked for. What the recording cannot show is wrong usage.
    pub fn app(&self, file: &Path, options: tui::Options, look: tui::Look) -> anyhow::Result<App> {
        if let Some(view) = self.view.filter(|v| *v != View::Timeline)
            && self.beside.is_some()
        {
            let told = format!(
                "--beside is for the timeline, not for --view {}",
                view.name()
            );
            return Err(Failure::usage(told).hint("leave one of them out").into());
        }
        let source = Source::Replay {
            path: file.to_owned(),
            follow: false,
        };
        let app = App::open(&source, options, look)?;
        Ok(app.map_err(|why| {
            // Who says himself what to do needs no other advice.
            match why.contains("; ") {
                true => Failure::usage(why),
                false if self.is_misspelt() => Failure::usage(why)
                    .hint("a filter is `queue > 5ms`, `fd == 7 && run > 1ms`, `name ~ tcp`"),
                false => Failure::usage(why).hint("loopscope info shows what the recording holds"),
            }
        })?)
    }
}
