//! One side of a demo, broken or repaired, with its knobs where somebody wants them: its process started under a session, and inside
//! that process the knobs listened to. Step: **event** → ring.

use super::error::Failure;
use super::place::Place;
use super::record;
use crate::capture::launch::Streams;
use crate::capture::live::{self, Live};
use crate::capture::perf::Sampling;
use crate::capture::pty::Size;
use crate::capture::session::{Plan, Target};
use crate::demos::{Demo, Dial, Dials};
use crate::lesson;
use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

/// A demo that is stuck is ended.
const STUCK: Duration = Duration::from_secs(30);

/// One side of a demo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    /// The demo.
    pub demo: &'static Demo,
    /// The repaired program.
    pub fixed: bool,
    /// Where the load's random numbers start.
    pub seed: u64,
    /// Knobs turned from the start, `name=value`.
    pub set: &'a [String],
}

impl Side<'_> {
    /// What it is called.
    pub fn title(&self) -> String {
        let side = if self.fixed { "fixed" } else { "broken" };
        format!("{} {side}", self.demo.name)
    }

    /// What follows the demo's name, as a person would type it.
    fn options(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.fixed {
            out.push("--fixed".to_owned());
        }
        out.extend(["--seed".to_owned(), self.seed.to_string()]);
        for set in self.set {
            out.extend(["--set".to_owned(), set.clone()]);
        }
        out
    }

    /// Launches the demo's process under a session. `place` is for what it writes, and outlives it.
    pub fn start(
        &self,
        target: Target,
        place: &Place,
        time: Duration,
        size: Size,
    ) -> anyhow::Result<Live> {
        let demo = self.demo;
        let program = std::env::current_exe()
            .map_err(|e| Failure::new("cannot find the loopscope program itself").because(e))?;
        let mut argv: Vec<OsString> = vec![program.into(), "demo-program".into(), demo.name.into()];
        argv.extend(self.options().into_iter().map(OsString::from));
        argv.extend(["--ms".into(), time.as_millis().to_string().into()]);
        argv.push("--listen".into());
        argv.extend(["--place".into(), place.path().into()]);
        let mut command = ["loopscope", "demo", demo.name].map(str::to_owned).to_vec();
        command.extend(self.options());
        let plan = Plan {
            target,
            command,
            title: self.title(),
            // A demo says of itself all that its lesson is about, and shall show nothing else; but programs of others that it starts say
            // nothing.
            preload: demo.drives,
            drives: demo.drives,
            stacks: Sampling::Off,
            blind: false,
            warn: None,
            stamped: !demo.drives,
            attachments: vec![
                (demo.file.to_owned(), demo.source.as_bytes().to_vec()),
                ("lesson.md".to_owned(), demo.lesson.as_bytes().to_vec()),
            ],
        };
        let live = record::start(plan, &argv, Streams::Pty(size), true)?;
        live::end_after(time + STUCK, live.control().clone(), live.teller())?;
        Ok(live)
    }
}

/// The knobs that a demo's lesson lists, where this side has them, and those turned that `set` names.
pub(super) fn dials(demo: &Demo, fixed: bool, set: &[String]) -> anyhow::Result<Dials> {
    let knobs = lesson::knobs(demo.lesson)
        .map_err(|why| Failure::new(format!("the lesson of {} is wrong: {why}", demo.name)))?;
    let dial = |knob: &lesson::Knob| {
        let at = knob.start[usize::from(fixed)];
        Dial::new(knob.name.clone(), knob.values.clone(), at)
    };
    let dials = Dials(knobs.iter().map(dial).collect());
    for one in set {
        if !dials.set(one) {
            let there = knobs
                .iter()
                .map(|k| format!("{}={}", k.name, k.values.join("|")));
            let there = there.collect::<Vec<_>>().join(", ");
            let hint = match there.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has {there}"),
            };
            let failure = Failure::usage(format!("{} has no knob for {one}", demo.name));
            return Err(failure.hint(hint).into());
        }
    }
    Ok(dials)
}

/// Turns what is typed to the demo, on a thread of its own that ends with the process. A demo without knobs has none.
pub(super) fn listen(dials: &'static Dials) -> anyhow::Result<()> {
    if dials.0.is_empty() {
        return Ok(());
    }
    let listener = std::thread::Builder::new().name("knobs".to_owned());
    let listening = listener.spawn(|| {
        if let Err(error) = dials.listen() {
            // The demo goes on as it is; stderr is its terminal.
            let _ = writeln!(std::io::stderr(), "nobody listens to the knobs: {error}");
        }
    });
    listening.map_err(|e| Failure::new("cannot start a thread").because(e))?;
    Ok(())
}
