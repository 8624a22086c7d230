//! What a frame costs at 200x60, every screen, cursor stepped between frames: `cargo bench --bench frame`.
//!
//! The aim is 5 ms (docs/PERFORMANCE.md). A step folds one event, so this is what a held arrow key costs.

#[path = "common/synth.rs"]
#[allow(dead_code)]
mod synth;

use loopscope::trace::{Meta, Options as Write, Writer};
use loopscope::tui::{self, App, Look, Message, Options, Source, View};
use std::time::{Duration, Instant};
use synth::Synth;

const FRAMES: usize = 60;

fn main() {
    let place = std::env::temp_dir().join(format!("loopscope-frame-{}", std::process::id()));
    for fds in [20, 1_000] {
        let mut writer = Writer::create(
            &place,
            &Meta::default(),
            Write {
                force: true,
                ..Write::default()
            },
        )
        .expect("a temporary file can be created");
        let mut synth = Synth::new(1, fds);
        let mut emit = |event: &_, text: &[u8]| writer.write(event, text);
        synth.start(&mut emit);
        while synth.emitted() < 400_000 {
            synth.turn(&mut emit);
        }
        writer.finish().expect("the temporary file can be written");
        for (view, _) in View::ALL {
            let source = Source::Replay {
                path: place.clone(),
                follow: false,
            };
            let options = Options {
                view,
                ..Options::default()
            };
            let mut app = App::open(&source, options, Look::default())
                .expect("the recording opens")
                .expect("the options fit");
            app.player
                .seek_event(300_000)
                .expect("the recording can be read");
            let frame =
                |app: &mut App| tui::frame(app, 200, 60).expect("the recording can be read");
            frame(&mut app);
            let mut times: Vec<Duration> = (0..FRAMES)
                .map(|_| {
                    app.update(Message::Step(1))
                        .expect("the recording can be read");
                    let start = Instant::now();
                    frame(&mut app);
                    start.elapsed()
                })
                .collect();
            times.sort_unstable();
            let ms = |d: Duration| d.as_secs_f64() * 1e3;
            println!(
                "{fds:5} fds  {:9} 200x60: median {:6.2} ms, worst of {FRAMES} {:6.2} ms",
                view.name(),
                ms(times[FRAMES / 2]),
                ms(times[FRAMES - 1])
            );
        }
    }
    std::fs::remove_file(&place).expect("the temporary file can be removed");
}
