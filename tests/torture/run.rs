//! One torture program: compiled, run alone, recorded, and both compared.

use crate::common::loopscope;
use loopscope::record::event::Event;
use loopscope::trace::{Events, Reader};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Some always, all that the promise names with LOOPSCOPE_FULL=1.
pub fn rounds(some: u32, all: u32) -> u32 {
    match std::env::var_os("LOOPSCOPE_FULL") {
        Some(_) => all,
        None => some,
    }
}

/// A program and how it is started.
pub struct Torture {
    dir: tempfile::TempDir,
    name: &'static str,
    flags: Vec<String>,
    arguments: Vec<String>,
    /// What the recorder runs under.
    under: Vec<String>,
    compiler: &'static str,
    /// Shell code in front of the recorder, and between it and the program.
    outside: String,
    inside: String,
    /// What the program leaves behind when everybody it started has gone, if it says so in a file.
    answers: Option<PathBuf>,
    /// Nobody can see what it does.
    unseen: bool,
}

/// What a run leaves behind.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    answer: String,
}

impl Torture {
    pub fn new(name: &'static str) -> Torture {
        Torture {
            dir: tempfile::tempdir().unwrap(),
            name,
            flags: Vec::new(),
            arguments: Vec::new(),
            under: Vec::new(),
            compiler: "cc",
            outside: String::new(),
            inside: String::new(),
            answers: None,
            unseen: false,
        }
    }

    pub fn unseen(&mut self, unseen: bool) -> &mut Torture {
        self.unseen = unseen;
        self
    }

    fn compile(&self, name: &str, to: &Path, flags: &[&str]) {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/torture/programs/{name}.c"));
        // What they do wrong on purpose is nothing to warn of.
        let output = Command::new(self.compiler)
            .args(["-std=gnu11", "-O2", "-w", "-pthread", "-o"])
            .arg(to)
            .arg(&source)
            .args(flags)
            .output()
            .expect("a C compiler, which the linker of every Rust program is");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub fn compiler(&mut self, compiler: &'static str) -> &mut Torture {
        self.compiler = compiler;
        self
    }

    /// A command that runs another one, and so all that is run here.
    pub fn under(&mut self, command: &[&str]) -> &mut Torture {
        self.under = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// A library beside the program.
    pub fn library(&mut self, name: &str, flags: &[&str]) -> PathBuf {
        let path = self.dir.path().join(format!("lib{name}.so"));
        let flags = [&["-shared", "-fPIC"], flags].concat();
        self.compile(name, &path, &flags);
        path
    }

    pub fn links(&mut self, library: &Path) -> &mut Torture {
        let dir = self.dir.path().display();
        self.flags = vec![library.display().to_string(), format!("-Wl,-rpath,{dir}")];
        self
    }

    pub fn flags(&mut self, flags: &[&str]) -> &mut Torture {
        self.flags = flags.iter().map(|&f| f.to_owned()).collect();
        self
    }

    pub fn runs(&mut self, arguments: &[&str]) -> &mut Torture {
        self.arguments = arguments.iter().map(|&a| a.to_owned()).collect();
        self
    }

    /// It answers in a file, which is its first argument.
    pub fn daemon(&mut self, how: &[&str]) -> &mut Torture {
        let answer = self.dir.path().join("answer");
        self.arguments = vec![answer.display().to_string()];
        self.arguments.extend(how.iter().map(|&a| a.to_owned()));
        self.answers = Some(answer);
        self
    }

    /// In a root directory of its own, with a copy of itself that needs nothing else.
    pub fn rooted(&mut self) -> &mut Torture {
        let root = self.dir.path().join("root");
        fs::create_dir(&root).unwrap();
        self.compile(self.name, &root.join("program"), &["-static"]);
        self.runs(&["root", root.to_str().unwrap()])
    }

    pub fn outside(&mut self, shell: &str) -> &mut Torture {
        self.outside = shell.to_owned();
        self
    }

    pub fn inside(&mut self, shell: &str) -> &mut Torture {
        self.inside = shell.to_owned();
        self
    }

    /// The program as a shell command whose output goes to these files.
    fn command(&self, program: &Path, out: &Path, err: &Path) -> Vec<String> {
        // A redirection stands behind the command, another command in front of it.
        let (before, after) = match self.inside.starts_with(['<', '>']) {
            true => ("", self.inside.as_str()),
            false => (self.inside.as_str(), ""),
        };
        let (out, err) = (out.display(), err.display());
        let code = format!(r#"exec {before} "$0" "$@" >{out} 2>{err} {after}"#);
        let mut all = vec!["sh".to_owned(), "-c".to_owned(), code];
        all.push(program.display().to_string());
        all.extend(self.arguments.iter().cloned());
        all
    }

    fn run(&self, program: &Path, tag: &str, recorder: Option<Command>) -> Left {
        let [out, err] = ["out", "err"].map(|end| self.dir.path().join(format!("{tag}.{end}")));
        if let Some(answer) = &self.answers {
            let _ = fs::remove_file(answer);
        }
        // Who waits for ever is ended, with code 124 or 137: no test of the shim may hang with it.
        let ended = ["timeout", "--foreground", "-k10", "400", "sh"];
        let mut words = self.under.iter().map(String::as_str).chain(ended);
        let mut shell = Command::new(words.next().unwrap_or_default());
        shell
            .args(words)
            .arg("-c")
            .arg(format!(r#"{} exec "$@""#, self.outside))
            .arg("sh");
        if let Some(recorder) = &recorder {
            shell.arg(recorder.get_program()).args(recorder.get_args());
        }
        shell.args(self.command(program, &out, &err));
        for name in ["LOOPSCOPE_SESSION", "LD_PRELOAD", "LOOPSCOPE_FULL"] {
            shell.env_remove(name);
        }
        let output = shell.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let answer = self.answers.as_deref().map(|path| {
            let patience = Instant::now() + Duration::from_secs(60);
            while !path.exists() {
                assert!(Instant::now() < patience, "no answer: {said}");
                std::thread::sleep(Duration::from_millis(5));
            }
            text(path)
        });
        use std::os::unix::process::ExitStatusExt;
        let signalled = output.status.signal().map(|signal| 128 + signal);
        Left {
            code: output.status.code().or(signalled),
            stdout: text(&out),
            stderr: nameless(&text(&err)),
            answer: answer.unwrap_or_default(),
        }
    }

    /// What was recorded last: a recording that is whole.
    pub fn events(&self) -> Vec<Event> {
        let mut reader = Reader::open(self.dir.path().join("x.lscope")).unwrap();
        assert!(reader.complete() && reader.problems().is_empty());
        let (mut all, mut events) = (Vec::new(), Events::default());
        for page in 0..reader.pages().len() {
            reader.read_page(page, &mut events).unwrap();
            all.extend(events.iter().map(|(_, event, _)| *event));
        }
        all
    }

    /// Both ways it leaves the same behind, and ends with this code; and its recording opens.
    #[track_caller]
    pub fn same(&mut self, code: i32) {
        let program = self.dir.path().join(self.name);
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        self.compile(self.name, &program, &flags);
        let alone = self.run(&program, "alone", None);
        let file = self.dir.path().join("x.lscope");
        let mut recorder = loopscope();
        recorder
            .args(["record", "--force", "-o"])
            .arg(&file)
            .arg("--");
        let recorded = self.run(&program, "recorded", Some(recorder));
        let described = format!(
            "{} {:?} {:?} {:?}",
            self.name, self.flags, self.arguments, self.inside
        );
        if alone != recorded {
            let lines = |l: &Left| -> Vec<String> {
                let all = [&l.stdout, &l.stderr, &l.answer].map(|text| text.lines());
                all.into_iter().flatten().map(str::to_owned).collect()
            };
            let (a, b) = (lines(&alone), lines(&recorded));
            let at = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            panic!(
                "{described}: {:?} alone, {:?} recorded; line {at}:\n  alone    {:?}\n  recorded {:?}\n{:?}",
                alone.code,
                recorded.code,
                a.get(at),
                b.get(at),
                recorded.stderr
            );
        }
        assert_eq!(alone.code, Some(code), "{described}: {alone:?}");
        if !self.unseen {
            self.events();
        }
    }
}

/// Without addresses and process ids, which differ from run to run.
fn nameless(text: &str) -> String {
    let mut all = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        let hexadecimal = word.strip_prefix("0x").is_some_and(|w| w.len() > 5);
        let number = word.len() > 1 && word.bytes().all(|b| b.is_ascii_digit());
        match hexadecimal || number && all.ends_with(['=', '#']) {
            true => all.push('#'),
            false => all.push_str(&word),
        }
        word.clear();
        all.push(c);
    }
    all
}

/// A control group with a limit on its memory, gone when it goes.
pub struct Group(PathBuf);

impl Group {
    /// None where there are no control groups, or none can be made.
    pub fn limited(bytes: u64) -> Option<Group> {
        let (base, limit) = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ]
        .into_iter()
        .find(|(base, _)| Path::new(base).join("cgroup.procs").exists())?;
        let group = Group(Path::new(base).join(format!("torture-{}", std::process::id())));
        fs::create_dir(&group.0).ok()?;
        fs::write(group.0.join(limit), bytes.to_string()).ok()?;
        Some(group)
    }

    pub fn path(&self) -> std::path::Display<'_> {
        self.0.display()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whoever is in it ends in a moment.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
