//! Slides: a deck, and beside it the pictures it names, which are the screens of the lesson whoever draws them.
#![cfg(feature = "cli")]

mod common;

use common::{Place, recorded, run};
use loopscope::demos;
use loopscope::lesson::Lesson;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn names(dir: &Path) -> BTreeSet<String> {
    let all = fs::read_dir(dir).unwrap();
    all.map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_deck_has_each_step_and_its_pictures() {
    let place = Place::new();
    let demo = demos::find("greedy-fd").unwrap();
    let lesson = Lesson::parse(demo.lesson).unwrap();
    let dir = place.arg("slides");
    run(&["export", "greedy-fd", "--to", "slides", "-o", &dir]).exits(0);
    let deck = fs::read_to_string(place.path("slides/slides.md")).unwrap();
    let mut want = BTreeSet::from(["slides.md".to_owned()]);
    for (at, step) in lesson.steps.iter().enumerate() {
        for ending in ["svg", "png"] {
            want.insert(format!("{:02}.{ending}", at + 1));
        }
        assert!(deck.contains(&format!(
            "![{}]({:02}.png)\n\n{}\n",
            step.title,
            at + 1,
            step.caption
        )));
        assert!(deck.contains(&format!("<!--\n{}\n-->", step.notes)));
        if let Some(asked) = &step.question {
            assert!(deck.contains(&format!("**{}**\n\n1. {}\n", asked.text, asked.choices[0])));
            let right = format!(
                "**{}, {}.** {}",
                asked.right + 1,
                asked.choices[asked.right],
                asked.why
            );
            assert!(deck.contains(&right));
        }
    }
    assert_eq!(names(&place.path("slides")), want);
    let asked = lesson.steps.iter().filter(|s| s.question.is_some()).count();
    // A title, a slide a step and one an answer, behind what is told to the program that shows them.
    assert_eq!(
        deck.split("\n---\n").count(),
        2 + lesson.steps.len() + asked
    );
    assert_eq!(deck.matches("](").count(), lesson.steps.len() + asked);
}

/// Left, top, width, height, and the colour of one that lets nothing through.
type Rect = (f64, f64, f64, f64, Option<String>);

fn rects(svg: &str) -> Vec<Rect> {
    let all = svg.split("<rect ").skip(2);
    let rect = |text: &str| {
        let text = text.split("/>").next().unwrap();
        let of = |name: &str| {
            let start = text.split_once(&format!("{name}=\""))?.1;
            Some(start.split('"').next().unwrap().to_owned())
        };
        let number = |name: &str| of(name).unwrap().parse::<f64>().unwrap();
        let fill = of("fill").unwrap_or("#d8dadf".to_owned());
        let fill = (!text.contains("opacity")).then_some(fill);
        (
            number("x"),
            number(" y"),
            number(" width"),
            number(" height"),
            fill,
        )
    };
    all.map(rect).collect()
}

/// Both pictures of a step are of one screen: what has a colour of its own in one has it in the other.
#[test]
fn both_pictures_of_a_step_show_the_same() {
    let place = Place::new();
    let dir = place.arg("slides");
    run(&[
        "export",
        "greedy-fd",
        "--to",
        "slides",
        "-o",
        &dir,
        "--size",
        "60x16",
    ])
    .exits(0);
    let mut compared = 0;
    for step in ["01", "02", "03", "04"] {
        let svg = fs::read_to_string(place.path(&format!("slides/{step}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("width=\"560\" height=\"320\""));
        // Letter by letter: each text has as many places as characters.
        let mut letters = 0;
        for text in svg.split("<text x=\"").skip(1) {
            let (places, rest) = text.split_once('"').unwrap();
            let said = rest
                .split_once('>')
                .unwrap()
                .1
                .split_once("</text>")
                .unwrap()
                .0;
            let said = said
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&");
            assert_eq!(places.split(' ').count(), said.chars().count(), "{said}");
            letters += said.chars().count();
        }
        assert!(letters > 150, "{letters}");
        let file = fs::File::open(place.path(&format!("slides/{step}.png"))).unwrap();
        let mut reader = png::Decoder::new(std::io::BufReader::new(file))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (1120, 640));
        let row = info.width as usize * 3;
        let rects = rects(&svg);
        for &(x, y, w, h, _) in &rects {
            // A corner of it, where no letter is; lines are as thin as they can be in either.
            if w < 4.0 || h < 4.0 {
                continue;
            }
            let (x, y) = (x + 0.5, y + 0.5);
            // Of those that lie there, the one that was drawn last.
            let over = |r: &&Rect| (r.0..r.0 + r.2).contains(&x) && (r.1..r.1 + r.3).contains(&y);
            let Some(fill) = rects.iter().rev().find(over).and_then(|r| r.4.as_ref()) else {
                continue;
            };
            let at = (y * 2.0) as usize * row + (x * 2.0) as usize * 3;
            let [r, g, b] = pixels[at..at + 3] else {
                panic!()
            };
            let drawn = format!("#{r:02x}{g:02x}{b:02x}");
            assert_eq!(&drawn, fill, "{step}: {x} {y} {w} {h}");
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn a_directory_is_filled_whole_or_not_at_all() {
    let place = Place::new();
    let (file, dir) = (recorded(&place, "a.lscope"), place.arg("slides"));
    let export = |more: &[&str]| run(&[&["export", &file, "--to", "slides"][..], more].concat());
    export(&[]).fails(2, "name a directory");
    export(&["-o", "-"]).fails(2, "name a directory");
    export(&["-o", &dir]).exits(0);
    let first = names(&place.path("slides"));
    assert!(first.contains("slides.md") && first.contains("01.png"));
    let mode = |name: &str| place.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("slides/01.png"), mode("slides/slides.md")),
        (0o600, 0o600)
    );
    // Somebody's own notes beside it stay.
    place.file("slides/mine.md", "mine");
    fs::remove_file(place.path("slides/01.svg")).unwrap();
    export(&["-o", &dir]).fails(125, "01.png exists");
    assert!(!place.path("slides/01.svg").exists());
    export(&["-o", &dir, "--force"]).exits(0);
    assert!(place.path("slides/01.svg").exists() && place.path("slides/mine.md").exists());
    export(&["-o", &file]).fails(125, "exists");
    export(&["-o", &place.arg("no/where")]).fails(125, "create the directory first");
}

#[test]
fn a_theme_paints_the_picture_to_its_edges() {
    let place = Place::new();
    let dir = place.arg("slides");
    let args = [
        "export",
        "greedy-fd",
        "--to",
        "slides",
        "-o",
        &dir,
        "--theme",
        "light",
    ];
    run(&args).exits(0);
    let svg = fs::read_to_string(place.path("slides/01.svg")).unwrap();
    let frame = svg.split_once("<rect ").unwrap().1;
    let frame = frame.split("/>").next().unwrap();
    let fill = frame.split("fill=\"").nth(1).unwrap().trim_end_matches('"');
    let bright = |hex: &str| u8::from_str_radix(hex, 16).unwrap() > 220;
    assert!(
        bright(&fill[1..3]) && bright(&fill[3..5]) && bright(&fill[5..7]),
        "{fill}"
    );
    // Every row is painted in it, where nothing is chosen.
    assert!(
        rects(&svg)
            .iter()
            .filter(|r| r.4.as_deref() == Some(fill))
            .count()
            > 15
    );
}
