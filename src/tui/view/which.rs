//! Which loop is shown: what it waits with, of which process and thread, and whose events it passes on.
//! Step: model → **view**.

use crate::model::{Id, Loop, Phase, ThreadState};
use crate::record::event::FdKind;
use crate::text::visible;
use crate::tui::app::App;
use crate::tui::widget::text;

/// The words for a loop, the longest first; the last is never long.
pub fn words(app: &App, id: Id) -> Vec<String> {
    let Some(l) = app.model().loops().get(id as usize) else {
        return Vec::new();
    };
    let (kind, who) = (l.kind.name(), who(app, l));
    let fd = match l.epfds.first() {
        Some(fd) => format!(" fd {fd}"),
        None => String::new(),
    };
    if let Some(inner) = passes_on(app, id) {
        let n = inner + 1;
        return vec![
            format!("{kind} of {who}: only waits for loop {n}'s epoll fd"),
            format!("{kind}, waits for loop {n}"),
            format!("waits for {n}"),
        ];
    }
    let mut all = vec![
        format!("{kind}{fd} of {who}"),
        format!("{kind}, {who}"),
        who.clone(),
        kind.to_owned(),
    ];
    if !l.name.is_empty() {
        let name = text::cut(&visible(&l.name), 24);
        all.insert(0, format!("{name}: {kind}{fd} of {who}"));
        all.insert(1, format!("loop {name}"));
    }
    all
}

/// The loop whose events this one passes on: it waits for nothing but that loop's epoll fd, as a program does that calls
/// poll on the epoll fd and then takes the events without waiting.
pub fn passes_on(app: &App, id: Id) -> Option<Id> {
    let model = app.model();
    let l = model.loops().get(id as usize)?;
    let mut fds = model.regs().filter(|r| r.loop_id == id);
    let first = fds.next().filter(|r| r.kind == FdKind::Epoll)?;
    let fd = first.fd;
    if fds.any(|r| r.kind != FdKind::Epoll || r.fd != fd) {
        return None;
    }
    let mut others = model.loops().iter();
    let inner = others.find(|o| o.id != id && o.process == l.process && o.epfds.contains(&fd))?;
    Some(inner.id)
}

/// Where the thread sleeps when it sleeps in the wait of another loop: that loop, and since when.
pub fn sleeps_elsewhere(app: &App, thread: &ThreadState) -> Option<(Id, u64)> {
    let rests = matches!(
        thread.phase,
        Phase::Elsewhere { .. } | Phase::Rest { .. } | Phase::Running { .. }
    );
    let others = app.model().loops().iter().filter(|l| l.id != app.loop_id);
    others.filter(|_| rests).find_map(|l| {
        let same = l.threads.iter().find(|t| t.thread == thread.thread)?;
        match same.phase {
            Phase::Waiting { since, .. } if since >= thread.wakeup => Some((l.id, since)),
            _ => None,
        }
    })
}

/// Its program, where others have loops as well.
pub fn program_of_several(app: &App) -> Option<String> {
    let shown = app.the_loop()?;
    let mut others = app.model().loops().iter();
    others
        .any(|l| l.process != shown.process)
        .then(|| program(app, shown))
}

/// The first word of its process's command without its folder, as `ps` would name it.
fn program(app: &App, l: &Loop) -> String {
    let process = app.model().processes().get(l.process as usize);
    let command = process.map_or("", |p| &p.name);
    let program = command.split(' ').next().unwrap_or_default();
    let program = program.trim_end_matches(':').rsplit('/').next();
    text::cut(&visible(program.unwrap_or_default()), 15)
}

/// `redis-server 6089`, `node/io 6590`, `nginx, 4 threads`.
fn who(app: &App, l: &Loop) -> String {
    let process = app.model().processes().get(l.process as usize);
    let program = program(app, l);
    let threads = app.model().threads();
    match l.threads.as_slice() {
        [] => format!("{program} {}", process.map_or(0, |p| p.pid)),
        [one] => {
            let thread = threads.get(one.thread as usize);
            let name = thread.map_or("", |t| &t.name);
            let own = match name {
                "" => String::new(),
                name if program.starts_with(name) || name.starts_with(&program) => String::new(),
                name => format!("/{}", text::cut(&visible(name), 15)),
            };
            format!("{program}{own} {}", thread.map_or(0, |t| t.tid))
        }
        many => format!("{program}, {} threads", many.len()),
    }
}
