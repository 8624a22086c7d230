//! The exported page: it says what the lesson says, and it works in a real browser, from a file, without network, by keys and on
//! a phone-sized screen.
#![cfg(feature = "cli")]

mod common;

use common::{Place, recorded, run};
use loopscope::demos::{self, Demo};
use loopscope::lesson::Lesson;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

fn lesson(demo: &Demo) -> Lesson {
    Lesson::parse(demo.lesson).unwrap()
}

/// Markup of what is no markup, undone.
fn unescaped(html: &str) -> String {
    let all = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
    ];
    let text = all
        .iter()
        .fold(html.to_owned(), |t, (from, to)| t.replace(from, to));
    text.replace("&amp;", "&")
}

#[test]
fn a_page_says_what_the_lesson_says() {
    for demo in demos::ALL {
        let page = run(&["export", demo.name, "--to", "html"]).exits(0).stdout;
        assert!(page.len() < 600 << 10, "{}: {}", demo.name, page.len());
        let text = unescaped(&page);
        let lesson = lesson(demo);
        assert!(text.contains(&format!("<h1>{}</h1>", lesson.title)));
        let mut rest = text.as_str();
        for (at, step) in lesson.steps.iter().enumerate() {
            // In their order.
            let place = format!(
                "<span>{} of {}</span> {}",
                at + 1,
                lesson.steps.len(),
                step.title
            );
            rest = rest.split_once(&place).expect(&place).1;
            rest = rest.split_once(&step.caption).expect(&step.caption).1;
            let Some(asked) = &step.question else {
                continue;
            };
            let right = format!("{}, {}.", asked.right + 1, asked.choices[asked.right]);
            for said in [&asked.text]
                .into_iter()
                .chain(&asked.choices)
                .chain([&right, &asked.why])
            {
                rest = rest.split_once(said.as_str()).expect(said).1;
            }
        }
        // Two screens a step, one of them for a phone; nothing of them has to be fetched.
        assert_eq!(page.matches("<svg ").count(), 2 * lesson.steps.len());
        assert_eq!(
            page.matches("://").count(),
            page.matches("http://www.w3.org/2000/svg").count()
        );
        for step in &lesson.steps {
            // The speaker's notes are the speaker's.
            assert!(step.notes.len() < 20 || !text.contains(&step.notes));
        }
    }
}

#[test]
fn a_page_of_a_recording_without_a_lesson_has_its_findings() {
    let place = Place::new();
    let (file, html) = (recorded(&place, "a.lscope"), place.arg("a.html"));
    run(&[
        "export", &file, "--to", "html", "--size", "100x30", "-o", &html,
    ])
    .exits(0);
    let page = std::fs::read_to_string(html).unwrap();
    assert!(
        page.contains("Where the recording opens</h2>") && page.contains("Who had the loop</h2>")
    );
    assert!(page.chars().all(|c| c == '\n' || !c.is_control()));
}

/// What is made of somebody's recording is his, like the recording; a demo's page is there to be handed out.
#[test]
fn who_may_read_a_page() {
    let place = Place::new();
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let plain = place.file("plain", "");
    let (file, html) = (recorded(&place, "a.lscope"), place.arg("a.html"));
    run(&["export", &file, "--to", "html", "-o", &html]).exits(0);
    assert_eq!(mode(&html), 0o600);
    run(&[
        "export",
        "greedy-fd",
        "--to",
        "html",
        "-o",
        &html,
        "--force",
    ])
    .exits(0);
    assert_eq!(mode(&html), mode(&plain));
    run(&["export", "greedy-fd", "--to", "html", "-o", &html]).fails(125, "exists");
}

/// A browser without a window, driven by its own protocol through a pair of pipes.
struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    sent: u64,
    session: Option<String>,
    /// What it told meanwhile.
    told: Vec<Value>,
}

impl Browser {
    fn launch(place: &Place) -> Browser {
        let (to, from) = (place.arg("to"), place.arg("from"));
        let made = Command::new("mkfifo").args([&to, &from]).status().unwrap();
        assert!(made.success());
        let script = "exec chromium-headless-shell --no-sandbox --disable-gpu --no-first-run --remote-debugging-pipe \
                      --user-data-dir=\"$3\" about:blank 3<\"$1\" 4>\"$2\"";
        let child = Command::new("sh")
            .args(["-c", script, "sh", &to, &from, &place.arg("profile")])
            .env("HOME", place.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = OpenOptions::new().write(true).open(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        let mut browser = Browser {
            child,
            to,
            from,
            sent: 0,
            session: None,
            told: Vec::new(),
        };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let session = browser.ask(
            "Target.attachToTarget",
            json!({"targetId": target["targetId"], "flatten": true}),
        );
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser.ask(
            "Network.emulateNetworkConditions",
            json!({"offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}),
        );
        browser
    }

    fn hear(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).unwrap();
        assert_eq!(
            message.pop(),
            Some(0),
            "the browser is gone: is chromium-headless-shell installed?"
        );
        serde_json::from_slice(&message).unwrap()
    }

    #[track_caller]
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        write!(self.to, "{message}\0").unwrap();
        loop {
            let mut heard = self.hear();
            if heard["id"] == self.sent {
                assert!(heard["error"].is_null(), "{method}: {heard}");
                return heard["result"].take();
            }
            self.told.push(heard);
        }
    }

    /// What an expression is, of the page.
    #[track_caller]
    fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let mut result = self.ask("Runtime.evaluate", params);
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].take()
    }

    #[track_caller]
    fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression);
        let text = value
            .as_str()
            .unwrap_or_else(|| panic!("{expression}: {value}"));
        text.to_owned()
    }

    fn screen(&mut self, width: u32, height: u32, mobile: bool) {
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.ask("Emulation.setDeviceMetricsOverride", screen);
    }

    fn open(&mut self, url: &str) {
        self.told.clear();
        self.ask("Page.navigate", json!({"url": url}));
        let loaded = |m: &Value| m["method"] == "Page.loadEventFired";
        while !self.told.iter().any(loaded) {
            let heard = self.hear();
            self.told.push(heard);
        }
    }

    fn key(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.ask("Input.dispatchKeyEvent", json!({"type": kind, "key": key}));
        }
    }

    /// A finger or a mouse on the middle of this.
    fn tap(&mut self, what: &str) {
        let place = self.value(&format!(
            "(() => {{ const e = {what}; e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect(); \
             return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.ask("Input.dispatchMouseEvent", event);
        }
    }

    /// It has asked nobody for anything but the page itself, and nothing went wrong in it.
    #[track_caller]
    fn is_content(&self, url: &str) {
        for told in &self.told {
            let what = told["method"].as_str().unwrap_or_default();
            assert_ne!(what, "Runtime.exceptionThrown", "{told}");
            assert_ne!(what, "Log.entryAdded", "{told}");
            if what == "Network.requestWillBeSent" {
                assert_eq!(told["params"]["request"]["url"], url);
            }
        }
    }

    fn picture(&mut self, path: &std::path::Path) {
        let told = self.ask("Page.captureScreenshot", json!({"format": "png"}));
        // Base64, as the protocol has it.
        let mut decoder = Command::new("base64")
            .args(["-d"])
            .stdin(Stdio::piped())
            .stdout(File::create(path).unwrap())
            .spawn()
            .unwrap();
        let mut stdin = decoder.stdin.take().unwrap();
        stdin
            .write_all(told["data"].as_str().unwrap().as_bytes())
            .unwrap();
        drop(stdin);
        assert!(decoder.wait().unwrap().success());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The part of the step that is on the screen.
const SHOWN: &str = "document.querySelector('section.shown')";

/// The step on the screen is this one, as the lesson has it, and all of it fits across the screen.
#[track_caller]
fn shows(browser: &mut Browser, lesson: &Lesson, at: usize) {
    let step = &lesson.steps[at];
    assert_eq!(
        browser.value("document.querySelectorAll('section.shown').length"),
        1
    );
    assert_eq!(
        browser.text(&format!("{SHOWN}.querySelector('.caption').innerText")),
        step.caption
    );
    let place = format!("{} of {}", at + 1, lesson.steps.len());
    assert_eq!(
        browser.text("document.querySelector('nav output').innerText"),
        place
    );
    let head = browser.text(&format!("{SHOWN}.querySelector('h2').innerText"));
    assert_eq!(head, format!("{place} {}", step.title));
    let across = browser.value("[document.documentElement.scrollWidth, innerWidth]");
    assert!(
        across[0].as_u64() <= across[1].as_u64(),
        "{across}: {place}"
    );
    // The one screen of the two that fits is as wide as there is room.
    let widths = browser.value(&format!(
        "[...{SHOWN}.querySelectorAll('svg')].map(e => e.getBoundingClientRect().width).filter(w => w > 0)"
    ));
    let width = widths[0].as_f64().unwrap();
    assert!(
        widths.as_array().unwrap().len() == 1 && width > 340.0,
        "{widths}: {place}"
    );
    let asked = browser.value(&format!(
        "{SHOWN}.querySelector('details') && \
         {{text: {SHOWN}.querySelector('.asked').innerText, open: {SHOWN}.querySelector('details').open, \
           choices: [...{SHOWN}.querySelectorAll('ol button')].map(b => b.innerText)}}"
    ));
    match &step.question {
        None => assert!(asked.is_null(), "{asked}"),
        Some(question) => {
            let choices = question.choices.iter().enumerate();
            let choices: Vec<String> = choices.map(|(n, c)| format!("{}{c}", n + 1)).collect();
            assert_eq!(
                asked,
                json!({"text": question.text, "open": false, "choices": choices})
            );
        }
    }
}

/// The answer is on the screen, with what was guessed.
#[track_caller]
fn answers(browser: &mut Browser, lesson: &Lesson, at: usize, verdict: &str) {
    let asked = lesson.steps[at].question.as_ref().unwrap();
    assert_eq!(
        browser.value(&format!("{SHOWN}.querySelector('details').open")),
        true
    );
    let said = browser.text(&format!("{SHOWN}.querySelector('details p').innerText"));
    assert_eq!(
        said,
        format!(
            "{verdict}{}, {}.",
            asked.right + 1,
            asked.choices[asked.right]
        )
    );
    let why = browser.text(&format!("{SHOWN}.querySelector('.why').innerText"));
    assert_eq!(why, asked.why);
}

#[test]
#[ignore = "browser"]
fn a_page_works_in_a_browser_without_network() {
    let place = Place::new();
    let mut browser = Browser::launch(&place);
    let into = std::env::var_os("PICTURES").map(std::path::PathBuf::from);
    for demo in demos::ALL {
        let file = place.arg(&format!("{}.html", demo.name));
        run(&["export", demo.name, "--to", "html", "-o", &file]).exits(0);
        let (url, lesson) = (format!("file://{file}"), lesson(demo));
        for (width, height, mobile) in [(1280, 800, false), (390, 844, true)] {
            browser.screen(width, height, mobile);
            browser.open(&url);
            for (at, step) in lesson.steps.iter().enumerate() {
                shows(&mut browser, &lesson, at);
                if let Some(into) = &into {
                    let name = format!("{}-{}-{width}.png", demo.name, at + 1);
                    browser.picture(&into.join(name));
                }
                if let Some(question) = &step.question {
                    // By its key, by a finger; rightly and wrongly.
                    let (guess, verdict) = match mobile {
                        false => (question.right, "Right: "),
                        true => ((question.right + 1) % question.choices.len(), "No, it is "),
                    };
                    match mobile {
                        false => browser.key(&(guess + 1).to_string()),
                        true => {
                            browser.tap(&format!("{SHOWN}.querySelectorAll('ol button')[{guess}]"))
                        }
                    }
                    answers(&mut browser, &lesson, at, verdict);
                    let across =
                        browser.value("[document.documentElement.scrollWidth, innerWidth]");
                    assert!(across[0].as_u64() <= across[1].as_u64(), "{across}");
                }
                match mobile {
                    false => browser.key(["PageDown", "ArrowRight", " "][at % 3]),
                    true => browser.tap("document.querySelectorAll('nav button')[1]"),
                }
            }
            // Behind the last step there is nothing.
            let last = lesson.steps.len() - 1;
            let place = browser.text("document.querySelector('nav output').innerText");
            assert_eq!(place, format!("{0} of {0}", last + 1));
            browser.key("PageUp");
            shows(&mut browser, &lesson, last - 1);
            browser.key("ArrowLeft");
            shows(&mut browser, &lesson, last - 2);
            browser.is_content(&url);
        }
    }
}

#[test]
#[ignore = "browser"]
fn a_page_asks_again_goes_anywhere_and_can_be_read_without_its_script() {
    let place = Place::new();
    let mut browser = Browser::launch(&place);
    let file = place.arg("a.html");
    run(&["export", "greedy-fd", "--to", "html", "-o", &file]).exits(0);
    let (url, lesson) = (
        format!("file://{file}"),
        lesson(demos::find("greedy-fd").unwrap()),
    );
    browser.screen(1280, 800, false);
    browser.open(&format!("{url}#2"));
    shows(&mut browser, &lesson, 1);
    // What goes on shows the answer first.
    browser.key("PageDown");
    answers(&mut browser, &lesson, 1, "It is ");
    browser.key("PageDown");
    shows(&mut browser, &lesson, 2);
    // Who comes back may guess again.
    browser.key("PageUp");
    shows(&mut browser, &lesson, 1);
    browser.key("3");
    answers(&mut browser, &lesson, 1, "No, it is ");
    browser.key("End");
    shows(&mut browser, &lesson, 3);
    browser.key("Home");
    shows(&mut browser, &lesson, 0);
    browser.key("7");
    shows(&mut browser, &lesson, 0);

    browser.ask(
        "Emulation.setScriptExecutionDisabled",
        json!({"value": true}),
    );
    browser.open(&url);
    let seen = browser.text("document.body.innerText");
    for step in &lesson.steps {
        assert!(seen.contains(&step.caption), "{seen}");
        for choice in step.question.iter().flat_map(|q| &q.choices) {
            assert!(seen.contains(choice), "{seen}");
        }
    }
    let hidden = browser.value(
        "[...document.querySelectorAll('section')].filter(s => s.offsetHeight === 0).length",
    );
    assert_eq!(hidden, 0);
}
