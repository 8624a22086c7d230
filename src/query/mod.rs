//! The filter language: one for screens, report, export and triggers. Evaluated on a dispatch. Step: model → **view**.
//!
//! ```text
//! or  := and { "||" and }
//! and := not { "&&" not }
//! not := [ "!" ] ( "(" or ")" | field op value | field "~" string )
//! op  := "==" | "!=" | "<" | "<=" | ">" | ">="
//! ```
//!
//! `queue > 5ms && (name ~ "ann" || fd == 9)`. A bounded value compares by its upper end; an absent one makes its
//! comparison false, also `!=`. Values are whole numbers, durations (`5ms`), sizes (`4KiB`), strings and names; what a
//! field takes is checked when the filter is read, so that a mistake shows while it is typed.
//! An fd, loop or turn matches if any of its dispatches does.
#![forbid(unsafe_code)]

mod field;
mod parse;

use crate::model::{Model, Run};
use crate::record::event::Space;

pub use field::Field;
pub use parse::{Error, MAX_DEPTH};

use field::Value;

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// The text holds this, upper and lower case alike.
    Holds,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Or(Vec<Node>),
    And(Vec<Node>),
    Not(Box<Node>),
    Compare(Field, Op, Value),
}

/// A filter that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    root: Node,
}

/// What a filter looks at: a dispatch, and what there is to know about it.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The dispatch.
    pub run: &'a Run,
    /// The model, for names and states.
    pub model: &'a Model,
    /// Codes of the findings that name it.
    pub findings: &'a [&'a str],
}

impl std::str::FromStr for Query {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        parse::parse(text).map(|root| Query { root })
    }
}

impl Query {
    /// Reads a filter; an error says where and what would do.
    pub fn parse(text: &str) -> Result<Self, Error> {
        text.parse()
    }

    /// The dispatch passes the filter.
    pub fn matches(&self, row: &Row<'_>) -> bool {
        self.root.matches(row)
    }

    /// The texts this field is to be, or not to be.
    pub fn texts(&self, field: Field) -> impl Iterator<Item = &str> {
        let mut texts = Vec::new();
        self.root.texts(field, &mut texts);
        texts.into_iter()
    }

    /// The filter looks at this field somewhere.
    pub fn uses(&self, field: Field) -> bool {
        self.root.uses(field)
    }
}

impl Node {
    fn matches(&self, row: &Row<'_>) -> bool {
        match self {
            Node::Or(parts) => parts.iter().any(|p| p.matches(row)),
            Node::And(parts) => parts.iter().all(|p| p.matches(row)),
            Node::Not(inner) => !inner.matches(row),
            Node::Compare(field, op, value) => compare(*field, *op, value, row),
        }
    }

    fn texts<'a>(&'a self, wanted: Field, to: &mut Vec<&'a str>) {
        match self {
            Node::Or(parts) | Node::And(parts) => parts.iter().for_each(|p| p.texts(wanted, to)),
            Node::Not(inner) => inner.texts(wanted, to),
            Node::Compare(field, Op::Eq | Op::Ne, Value::Text(text)) if *field == wanted => {
                to.push(text);
            }
            Node::Compare(..) => {}
        }
    }

    fn uses(&self, wanted: Field) -> bool {
        match self {
            Node::Or(parts) | Node::And(parts) => parts.iter().any(|p| p.uses(wanted)),
            Node::Not(inner) => inner.uses(wanted),
            Node::Compare(field, ..) => *field == wanted,
        }
    }
}

/// Compares one field; `false` when it is absent.
fn compare(field: Field, op: Op, value: &Value, row: &Row<'_>) -> bool {
    let (run, model) = (row.run, row.model);
    let reg = model.reg(run.reg);
    let number = |actual: Option<u64>| match (actual, value) {
        (Some(actual), Value::Number(n)) => ordered(op, i128::from(actual).cmp(&i128::from(*n))),
        _ => false,
    };
    let signed = |actual: Option<i64>| match (actual, value) {
        (Some(actual), Value::Number(n)) => ordered(op, i128::from(actual).cmp(&i128::from(*n))),
        _ => false,
    };
    let text = |actual: Option<&str>| match (actual.filter(|t| !t.is_empty()), value) {
        (Some(actual), Value::Text(t)) => texts(op, actual, t),
        _ => false,
    };
    // A number names it by id, a text by name.
    let either = |id: Option<u64>, name: Option<&str>| match value {
        Value::Number(_) => number(id),
        _ => text(name),
    };
    match field {
        Field::Fd => signed(reg.map(|r| i64::from(r.fd)).filter(|fd| *fd >= 0)),
        Field::Name => text(reg.map(|r| &*r.name)),
        Field::Loop => either(
            Some(u64::from(run.loop_id)),
            model.loops().get(run.loop_id as usize).map(|l| &*l.name),
        ),
        Field::Process => {
            let process = model
                .threads()
                .get(run.thread as usize)
                .and_then(|t| model.processes().get(t.process as usize));
            either(
                process.map(|p| p.pid.unsigned_abs().into()),
                process.map(|p| &*p.name),
            )
        }
        Field::Thread => {
            let thread = model.threads().get(run.thread as usize);
            either(
                thread.map(|t| t.tid.unsigned_abs().into()),
                thread.map(|t| &*t.name),
            )
        }
        Field::Iteration => number(Some(run.turn)),
        Field::Handler => {
            let process = model.threads().get(run.thread as usize).map(|t| t.process);
            text(process.map(|p| model.name(p, Space::Handler, run.handler)))
        }
        Field::State => match (reg, value) {
            (Some(reg), Value::Words(words)) => one_of(op, words.contains(&reg.word)),
            _ => false,
        },
        Field::Interest => match (reg, value) {
            (Some(reg), Value::Mask(mask)) => one_of(op, reg.interest & mask == *mask),
            _ => false,
        },
        Field::Ready => match value {
            Value::Mask(mask) => one_of(op, run.mask & mask == *mask),
            _ => false,
        },
        Field::Notice => number(run.notice.map(|n| n.hi)),
        Field::Queue => number(Some(run.queue())),
        Field::Run => number(Some(run.run())),
        Field::Wait => number(run.wait().map(|w| w.hi)),
        Field::Bytes => number(Some(run.bytes_in.saturating_add(run.bytes_out))),
        Field::Finding => match value {
            Value::Text(code) if op == Op::Ne => {
                !row.findings.is_empty() && !row.findings.contains(&code.as_str())
            }
            Value::Text(code) => row.findings.iter().any(|f| texts(op, f, code)),
            _ => false,
        },
    }
}

fn ordered(op: Op, order: std::cmp::Ordering) -> bool {
    match op {
        Op::Eq => order.is_eq(),
        Op::Ne => order.is_ne(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
        Op::Holds => false,
    }
}

fn one_of(op: Op, is: bool) -> bool {
    match op {
        Op::Eq => is,
        Op::Ne => !is,
        _ => false,
    }
}

fn texts(op: Op, actual: &str, wanted: &str) -> bool {
    match op {
        Op::Eq => actual == wanted,
        Op::Ne => actual != wanted,
        Op::Holds => actual.to_lowercase().contains(&wanted.to_lowercase()),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
