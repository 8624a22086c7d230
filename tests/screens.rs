//! The screens as scripted sessions: keys in, frames out, at the four sizes. Step: recording → **view**.

#[path = "screens/greedy.rs"]
mod greedy;
#[path = "screens/session.rs"]
mod session;

use greedy::Script;
use session::Session;

#[test]
fn peek() {
    let Ok(dir) = std::env::var("SCREENS_OUT") else {
        return;
    };
    for (w, h) in [(60, 16), (80, 24), (120, 40), (200, 60)] {
        let mut s = Session::new(Script::default(), w, h);
        s.go("94ms");
        for (key, name) in [
            ("1", "loop"),
            ("2", "timeline"),
            ("3", "fairness"),
            ("5", "fd"),
            ("7", "events"),
            ("8", "code"),
        ] {
            s.keys(key);
            if key == "2" {
                s.keys("x");
            }
            s.picture(&format!("{dir}/{name}-{w}x{h}"));
        }
    }
}
