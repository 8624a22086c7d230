//! What there are many of, as columns: registrations, descriptions, accounts of sent bytes. Step: **model**.

use std::ops::Range;
use std::sync::Arc;

use super::base::{Base, HISTOGRAMS, Histograms};
use crate::model::codec::{Codec, Cursor, put};
use crate::model::columns::{
    Columns, MOST_ROWS, Near, Raw, TextRows, Texts, Time, columns, get_step, put_step,
};
use crate::model::fds::Desc;
use crate::model::histogram::{self, Histogram};
use crate::model::registration::{Registration, State};
use crate::model::regs::Regs;
use crate::model::slab::Slab;
use crate::model::supply::{Account, AccountKey};
use crate::model::{NONE, both, names};
use crate::record::event::FdKind;

/// A registration's fields that other columns hold.
pub(super) struct Other {
    name: Arc<str>,
    addr: Arc<str>,
    kind: FdKind,
    since: u64,
    registered_ns: u64,
    ready: u64,
    dispatched: u64,
    caused_lo: u64,
    caused_hi: u64,
    run_ns: u64,
    notice_lo: Histogram,
    notice_hi: Histogram,
    queue: Histogram,
    run: Histogram,
    tail: Histogram,
    s: State,
}

columns!(Registration {
    plain: [
        interest,
        word,
        fidelity,
        role,
        skipped,
        stale,
        handed,
        bytes_in,
        bytes_out,
        spent,
        bypassed_max,
        unread,
        unread_fidelity,
        handler,
        wait_max,
        waited,
        waited_max,
        for_others,
        on_its_behalf,
    ],
    steps: [id, loop_id, process, fd, generation, data, handler_process],
    times: [closed_ns, ready_since],
    numbers: [],
    births: [],
    rest: Other {
        name,
        addr,
        kind,
        since,
        registered_ns,
        ready,
        dispatched,
        caused_lo,
        caused_hi,
        run_ns,
        notice_lo,
        notice_hi,
        queue,
        run,
        tail,
        s
    },
});

/// Nothing is held elsewhere.
pub(super) struct Nothing {}

columns!(State {
    plain: [
        kernel,
        drain,
        blocked_out,
        unknown,
        data_known,
        interest_known,
        fetched,
        running,
        stale,
        pins,
        keep,
        unserved,
        carried,
        listed,
        before,
        item,
        lingering,
        of_loop,
        of_desc,
        of_data,
        window_run,
        window_queue,
        kept_wait,
        ready_runs,
    ],
    steps: [slot, desc, believed_at, window],
    times: [reported, emptied, last_run, ran_before, last_more],
    numbers: [reported_by],
    births: [proven],
    rest: Nothing {},
});

/// Name, addresses and kind of a registration are its description's as long as it has one, and written there only.
fn has_own(reg: &Registration) -> bool {
    reg.s.desc == NONE
}

/// Appends registrations; of those that are in a base, what their histograms have got since.
pub(super) fn put_regs(
    rows: &[&Registration],
    near: Near,
    base: Option<&Base>,
    texts: &mut Texts,
    out: &mut Raw,
) {
    let [mut times, mut births, mut ready, mut caused, mut own]: [Vec<u8>; 5] = Default::default();
    for reg in rows {
        reg.since.put_near(near.time, &mut times);
        put(&mut births, reg.registered_ns);
        put_step(&mut ready, reg.run.count(), reg.ready);
        put(&mut caused, reg.caused_lo);
        put_step(&mut caused, reg.caused_lo, reg.caused_hi);
        if has_own(reg) {
            texts.put(&reg.addr);
            put_name(&reg.name, &reg.addr, texts, &mut own);
            reg.kind.put(&mut own);
        }
    }
    out.extend([times, births, ready, caused, own]);
    let bases = match base {
        Some(base) => base.put_rows(rows, out),
        None => {
            out.push(vec![0; rows.len()]);
            vec![None; rows.len()]
        }
    };
    for (at, of) in HISTOGRAMS.into_iter().enumerate() {
        let bases = bases.iter().map(|base| base.map(|base| &base[at]));
        histogram::put_columns(rows.iter().map(|r| of(r)).zip(bases), out);
    }
    let near_of = |r: &Registration| Near {
        time: r.since,
        birth: r.registered_ns,
        ..near
    };
    let states: Vec<(&State, Near)> = rows.iter().map(|r| (&r.s, near_of(r))).collect();
    State::put_columns(&states, out);
    let rows: Vec<(&Registration, Near)> = rows.iter().map(|r| (*r, near)).collect();
    Registration::put_columns(&rows, out);
}

/// Reads only the histograms of what [`put_regs`] wrote.
pub(super) fn get_histograms(
    c: &mut Columns<'_>,
    base: Option<&Base>,
    n: usize,
) -> Option<Vec<Histograms>> {
    for _ in 0..5 {
        c.next()?;
    }
    let mut columns = histogram_columns(c, base, n)?;
    let mut row = || {
        let mut all = Histograms::default();
        for (h, column) in all.iter_mut().zip(&mut columns) {
            *h = column.next()?;
        }
        Some(all)
    };
    (0..n).map(|_| row()).collect()
}

/// The histograms of `n` registrations.
fn histogram_columns(
    c: &mut Columns<'_>,
    base: Option<&Base>,
    n: usize,
) -> Option<Vec<std::vec::IntoIter<Histogram>>> {
    let bases = match base {
        Some(base) => base.get_rows(c, n)?,
        None => c.next().map(|_| vec![None; n])?,
    };
    let all = c.clone();
    let read = |at: usize| {
        let mut c = all.clone();
        c.by_ref().take(at * histogram::COLUMNS).for_each(drop);
        let bases = bases.iter().map(|base| base.map(|base| &base[at]));
        histogram::get_columns(&mut c, &bases.collect::<Vec<_>>())
    };
    // Most of what a checkpoint takes to be read.
    let several = |of: Range<usize>| -> Option<Vec<_>> { of.map(read).collect() };
    let (mut columns, others) = match n < MANY {
        true => (Some(Vec::new()), several(0..HISTOGRAMS.len())),
        false => both(|| several(0..2), || several(2..HISTOGRAMS.len())),
    };
    c.nth(HISTOGRAMS.len() * histogram::COLUMNS - 1)?;
    columns.as_mut()?.extend(others?);
    Some(columns?.into_iter().map(Vec::into_iter).collect())
}

/// So many are worth a thread.
const MANY: usize = 256;

/// Reads what [`put_regs`] wrote; names of those that have a description are still missing.
pub(super) fn get_regs(
    c: &mut Columns<'_>,
    near: Near,
    base: Option<&Base>,
    texts: &mut TextRows,
) -> Option<Vec<Registration>> {
    let mut column = || c.next().map(|column| Cursor::new(column));
    let [mut times, mut births] = [column()?, column()?];
    let [mut ready, mut caused, mut own] = [column()?, column()?, column()?];
    let mut nears = Vec::new();
    while !times.is_empty() && nears.len() < MOST_ROWS {
        let time = u64::get_near(near.time, &mut times)?;
        let birth = births.u64()?;
        nears.push(Near {
            time,
            birth,
            ..near
        });
    }
    let n = nears.len();
    let mut histograms = histogram_columns(c, base, n)?;
    let mut states = State::get_columns(c, &nears, |_| Some(Nothing {}))?.into_iter();
    let rows = Registration::get_columns(c, &vec![near; n], |at| {
        let s = states.next()?;
        let [notice_lo, notice_hi, queue, run, tail] = histograms.as_mut_slice() else {
            return None;
        };
        let run = run.next()?;
        let (mut name, mut addr, mut kind) = ("".into(), "".into(), FdKind::Unknown);
        if s.desc == NONE {
            addr = texts.next()?;
            name = get_name(&addr, texts, &mut own)?;
            kind = Codec::get(&mut own)?;
        }
        let Near { time, birth, .. } = *nears.get(at)?;
        let caused_lo = caused.u64()?;
        Some(Other {
            name,
            addr,
            kind,
            since: time,
            registered_ns: birth,
            caused_lo,
            caused_hi: get_step(&mut caused, caused_lo)?,
            ready: get_step(&mut ready, run.count())?,
            dispatched: run.count(),
            run_ns: run.sum(),
            notice_lo: notice_lo.next()?,
            notice_hi: notice_hi.next()?,
            queue: queue.next()?,
            run,
            tail: tail.next()?,
            s,
        })
    })?;
    let whole = [times, births, ready, caused, own];
    let whole = whole.iter().all(Cursor::is_empty);
    whole.then_some(rows)
}

/// Most names are made from the addresses.
fn put_name(name: &Arc<str>, addr: &str, texts: &mut Texts, out: &mut Vec<u8>) {
    let is = |called| **name == *names::of_address(addr, called);
    let how: u8 = match () {
        () if is(false) => 1,
        () if is(true) => 2,
        () => 0,
    };
    how.put(out);
    if how == 0 {
        texts.put(name);
    }
}

fn get_name(addr: &str, texts: &mut TextRows, c: &mut Cursor<'_>) -> Option<Arc<str>> {
    match u8::get(c)? {
        0 => texts.next(),
        how @ (1 | 2) => Some(names::of_address(addr, how == 2).into()),
        _ => None,
    }
}

pub(super) struct DescTexts {
    name: Arc<str>,
    addr: Arc<str>,
    listener: Arc<str>,
    read: u64,
    read_at: u64,
}

columns!(Desc {
    plain: [
        kind, refs, silent, loop_id, taken, called, eof, io_seen, sampled, held
    ],
    steps: [number, account, head, inode],
    times: [],
    numbers: [],
    births: [],
    rest: DescTexts {
        name,
        addr,
        listener,
        read,
        read_at
    },
});

/// What its first registration tells of the bytes read from a description, and when they last were: mostly all.
fn read_near(regs: &Regs, head: u32) -> (u64, u64) {
    let reg = regs.get(head);
    reg.map_or((0, 0), |reg| {
        (reg.bytes_in, reg.s.emptied.unwrap_or(reg.since))
    })
}

/// Appends descriptions and accounts.
pub(super) fn put_descs(
    descs: &Slab<Desc>,
    accounts: &Slab<Account>,
    regs: &Regs,
    texts: &mut Texts,
    out: &mut Raw,
) {
    let [mut made, mut reads]: [Vec<u8>; 2] = Default::default();
    for desc in descs.iter() {
        texts.put(&desc.addr);
        put_name(&desc.name, &desc.addr, texts, &mut made);
        texts.put(&desc.listener);
        let (read, read_at) = read_near(regs, desc.head);
        put_step(&mut reads, read, desc.read);
        put_step(&mut reads, read_at, desc.read_at);
    }
    accounts.iter().for_each(|a| texts.put(&a.key));
    put_places(&descs.taken(), descs.free(), out);
    put_places(&accounts.taken(), accounts.free(), out);
    out.extend([made, reads]);
    let rows: Vec<_> = descs.iter().map(|d| (d, Near::default())).collect();
    Desc::put_columns(&rows, out);
    let rows: Vec<_> = accounts.iter().map(|a| (a, Near::default())).collect();
    Account::put_columns(&rows, out);
}

/// Reads what [`put_descs`] wrote.
pub(super) fn get_descs(
    c: &mut Columns<'_>,
    regs: &Regs,
    texts: &mut TextRows,
) -> Option<(Slab<Desc>, Slab<Account>)> {
    let (descs, accounts) = (get_places(c)?, get_places(c)?);
    let [mut made, mut reads] = [Cursor::new(c.next()?), Cursor::new(c.next()?)];
    let taken = |kinds: &[u8]| vec![Near::default(); kinds.iter().filter(|k| **k != 0).count()];
    let mut rows = Desc::get_columns(c, &taken(&descs.0), |_| {
        let addr = texts.next()?;
        let name = get_name(&addr, texts, &mut made)?;
        Some(DescTexts {
            name,
            addr,
            listener: texts.next()?,
            read: get_step(&mut reads, 0)?,
            read_at: get_step(&mut reads, 0)?,
        })
    })?;
    for desc in &mut rows {
        let (read, read_at) = read_near(regs, desc.head);
        desc.read = desc.read.wrapping_add(read);
        desc.read_at = desc.read_at.wrapping_add(read_at);
    }
    let descs = Slab::from_parts(&descs.0, descs.1, rows)?;
    let rows = Account::get_columns(c, &taken(&accounts.0), |_| {
        Some(AccountKey { key: texts.next()? })
    })?;
    let accounts = Slab::from_parts(&accounts.0, accounts.1, rows)?;
    let whole = made.is_empty() && reads.is_empty();
    whole.then_some((descs, accounts))
}

/// What stands in each place (0 nothing), and the free places in the order in which they are taken again.
pub(super) fn put_places(kinds: &[u8], free: &[u32], out: &mut Raw) {
    let (mut column, mut last) = (Vec::new(), 0);
    for at in free {
        put_step(&mut column, last, u64::from(*at));
        last = u64::from(*at);
    }
    out.extend([kinds.to_vec(), column]);
}

/// Reads what [`put_places`] wrote. A free list that names a taken place, or one twice, is refused.
pub(super) fn get_places(c: &mut Columns<'_>) -> Option<(Vec<u8>, Vec<u32>)> {
    let (kinds, column) = (c.next()?.clone(), c.next()?);
    let mut is_free: Vec<bool> = kinds.iter().map(|k| *k == 0).collect();
    let (mut column, mut last) = (Cursor::new(column), 0);
    let mut free = Vec::new();
    while !column.is_empty() {
        last = get_step(&mut column, last)?;
        let place = is_free.get_mut(usize::try_from(last).ok()?)?;
        if !std::mem::take(place) {
            return None;
        }
        free.push(last as u32);
    }
    let whole = kinds.len() <= MOST_ROWS && !is_free.contains(&true);
    whole.then_some((kinds, free))
}
