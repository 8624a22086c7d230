//! From text to filter, by recursive descent; every error has a column and says what would do.
//! Step: model → **view**.

use std::fmt;

use super::field::{EVENTS, Field, SIZES, STATES, TIMES, Takes, Value};
use super::{Node, Op};

/// Parentheses and `!` may nest this deep.
pub const MAX_DEPTH: usize = 64;

/// Why a filter cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The character it is about, counted from 1.
    pub column: usize,
    /// What is wrong and what would do, lower case.
    pub message: String,
    /// The text ends too early: more typing may mend it.
    pub incomplete: bool,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter, column {}: {}", self.column, self.message)
    }
}

impl std::error::Error for Error {}

/// A piece of the text, with the column of its first character.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A bare word: field, number with unit, or name.
    Word(String),
    Quoted(String),
    Op(Op),
    And,
    Or,
    Not,
    Open,
    Close,
    End,
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
}

type Result<T> = std::result::Result<T, Error>;

fn error<T>(column: usize, message: impl Into<String>) -> Result<T> {
    Err(Error {
        column,
        message: message.into(),
        incomplete: false,
    })
}

fn unfinished<T>(column: usize, message: impl Into<String>) -> Result<T> {
    Err(Error {
        column,
        message: message.into(),
        incomplete: true,
    })
}

pub(super) fn parse(text: &str) -> Result<Node> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
    };
    let node = parser.or(0)?;
    match parser.next() {
        (_, Token::End) => Ok(node),
        (column, Token::Close) => {
            error(column, "`)` closes nothing; remove it, or open it with `(`")
        }
        (column, token) => error(
            column,
            format!(
                "{} cannot stand here; join comparisons with && or ||",
                shown(&token)
            ),
        ),
    }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>> {
    let chars: Vec<char> = text.chars().collect();
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let column = at + 1;
        let next = chars.get(at + 1).copied();
        let (token, length) = match (c, next) {
            _ if c.is_whitespace() => {
                at += 1;
                continue;
            }
            ('(', _) => (Token::Open, 1),
            (')', _) => (Token::Close, 1),
            ('&', Some('&')) => (Token::And, 2),
            ('|', Some('|')) => (Token::Or, 2),
            ('=', Some('=')) => (Token::Op(Op::Eq), 2),
            ('!', Some('=')) => (Token::Op(Op::Ne), 2),
            ('<', Some('=')) => (Token::Op(Op::Le), 2),
            ('>', Some('=')) => (Token::Op(Op::Ge), 2),
            ('<', _) => (Token::Op(Op::Lt), 1),
            ('>', _) => (Token::Op(Op::Gt), 1),
            ('~', _) => (Token::Op(Op::Holds), 1),
            ('!', _) => (Token::Not, 1),
            ('&' | '|' | '=', None) => {
                return unfinished(column, format!("`{c}` stands alone; write `{c}{c}`"));
            }
            ('&' | '|' | '=', _) => {
                return error(column, format!("`{c}` stands alone; write `{c}{c}`"));
            }
            ('"', _) => {
                let mut string = String::new();
                let mut end = at + 1;
                loop {
                    match (chars.get(end), chars.get(end + 1)) {
                        (Some('"'), _) => break,
                        (Some('\\'), Some(escaped)) => {
                            string.push(*escaped);
                            end += 2;
                        }
                        (Some(c), _) => {
                            string.push(*c);
                            end += 1;
                        }
                        (None, _) => {
                            return unfinished(column, "the string has no end; close it with `\"`");
                        }
                    }
                }
                (Token::Quoted(string), end + 1 - at)
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "()&|=!<>~\"".contains(c);
                let mut end = at;
                // A `|` inside a list of events (IN|OUT) belongs to the word, `||` does not.
                while let Some(c) = chars.get(end).copied()
                    && (!ends(c)
                        || (c == '|'
                            && end > at
                            && chars.get(end + 1).is_some_and(|c| c.is_alphanumeric())))
                {
                    end += 1;
                }
                (Token::Word(chars[at..end].iter().collect()), end - at)
            }
        };
        all.push((column, token));
        at += length;
    }
    all.push((chars.len() + 1, Token::End));
    Ok(all)
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.at)
            .map_or(&Token::End, |(_, token)| token)
    }

    fn next(&mut self) -> (usize, Token) {
        let last = self.tokens.len().saturating_sub(1);
        let token = self.tokens[self.at.min(last)].clone();
        self.at += 1;
        token
    }

    fn or(&mut self, depth: usize) -> Result<Node> {
        let mut parts = vec![self.and(depth)?];
        while *self.peek() == Token::Or {
            self.next();
            parts.push(self.and(depth)?);
        }
        Ok(one_or(parts, Node::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Node> {
        let mut parts = vec![self.not(depth)?];
        while *self.peek() == Token::And {
            self.next();
            parts.push(self.not(depth)?);
        }
        Ok(one_or(parts, Node::And))
    }

    fn not(&mut self, depth: usize) -> Result<Node> {
        let (column, token) = self.next();
        if depth > MAX_DEPTH {
            return error(column, "nested too deep; take out parentheses");
        }
        match token {
            Token::Not => {
                if *self.peek() == Token::Not {
                    return error(column + 1, "`!!` changes nothing; remove both");
                }
                Ok(Node::Not(Box::new(self.not(depth + 1)?)))
            }
            Token::Open => {
                let inner = self.or(depth + 1)?;
                match self.next() {
                    (_, Token::Close) => Ok(inner),
                    (column, Token::End) => unfinished(column, "`)` is missing"),
                    (column, token) => error(
                        column,
                        format!("{} cannot stand here; `)` was expected", shown(&token)),
                    ),
                }
            }
            Token::Word(name) => self.comparison(column, &name),
            Token::End => unfinished(column, "a field is missing, such as `queue > 5ms`"),
            token => error(
                column,
                format!(
                    "{} cannot stand here; start with a field, such as `queue > 5ms`",
                    shown(&token)
                ),
            ),
        }
    }

    fn comparison(&mut self, column: usize, name: &str) -> Result<Node> {
        let at_end = matches!(self.tokens.get(self.at), Some((_, Token::End)));
        let Some(field) = Field::from_name(name) else {
            let hint = match nearest(name, Field::ALL.into_iter().map(Field::name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", Field::ALL.map(Field::name).join(", ")),
            };
            let starts = at_end && Field::ALL.iter().any(|f| f.name().starts_with(name));
            return Err(Error {
                column,
                message: format!("unknown field `{name}`; {hint}"),
                incomplete: starts,
            });
        };
        let (column, op) = match self.next() {
            (column, Token::Op(op)) => (column, op),
            (column, Token::End) => {
                return unfinished(column, format!("compare it, such as `{}`", field.example()));
            }
            (column, token) => {
                return error(
                    column,
                    format!(
                        "{} cannot stand here; compare, such as `{}`",
                        shown(&token),
                        field.example()
                    ),
                );
            }
        };
        allowed(field, op, column)?;
        let (column, text, quoted) = match self.next() {
            (column, Token::Word(text)) => (column, text, false),
            (column, Token::Quoted(text)) => (column, text, true),
            (column, Token::End) => {
                return unfinished(
                    column,
                    format!("a value is missing, such as `{}`", field.example()),
                );
            }
            (column, token) => {
                return error(
                    column,
                    format!(
                        "{} is no value; write such as `{}`",
                        shown(&token),
                        field.example()
                    ),
                );
            }
        };
        Ok(Node::Compare(
            field,
            op,
            value(field, op, column, &text, quoted)?,
        ))
    }
}

fn one_or(mut parts: Vec<Node>, all: fn(Vec<Node>) -> Node) -> Node {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            all(parts)
        }
        (_, None) => all(parts),
    }
}

/// What the operators may do with the field.
fn allowed(field: Field, op: Op, column: usize) -> Result<()> {
    let takes = field.takes();
    let ordering = matches!(op, Op::Lt | Op::Le | Op::Gt | Op::Ge);
    let numeric = matches!(
        takes,
        Takes::Number | Takes::Duration | Takes::Size | Takes::NumberOrText
    );
    let textual = matches!(takes, Takes::Text | Takes::NumberOrText);
    if ordering && !numeric {
        return error(
            column,
            format!(
                "`{}` has no order; use == or !=, such as `{}`",
                field.name(),
                field.example()
            ),
        );
    }
    if op == Op::Holds && !textual {
        return error(
            column,
            format!(
                "`~` looks into text and `{}` is none; write such as `{}`",
                field.name(),
                field.example()
            ),
        );
    }
    Ok(())
}

fn value(field: Field, op: Op, column: usize, text: &str, quoted: bool) -> Result<Value> {
    let wrong = |what: &str| {
        error(
            column,
            format!("`{text}` is no {what}; write such as `{}`", field.example()),
        )
    };
    match field.takes() {
        Takes::Text => Ok(Value::Text(text.to_owned())),
        Takes::NumberOrText => match text.parse() {
            Ok(n) if !quoted && op != Op::Holds => Ok(Value::Number(n)),
            _ if matches!(op, Op::Eq | Op::Ne | Op::Holds) => Ok(Value::Text(text.to_owned())),
            _ => wrong("number"),
        },
        Takes::Number => text
            .parse()
            .map(Value::Number)
            .or_else(|_| wrong("whole number")),
        Takes::Duration => match measure(text, &TIMES) {
            Some(ns) => Ok(Value::Number(ns)),
            None if text.parse::<u64>().is_ok() => error(
                column,
                format!("`{text}` needs a unit: {text}ns, {text}us, {text}ms or {text}s"),
            ),
            None => wrong("duration"),
        },
        Takes::Size => match text
            .parse()
            .ok()
            .filter(|n: &i64| *n >= 0)
            .or_else(|| measure(text, &SIZES))
        {
            Some(bytes) => Ok(Value::Number(bytes)),
            None => wrong("size"),
        },
        Takes::State => match STATES.iter().find(|(name, _)| *name == text) {
            Some((_, word)) => Ok(Value::Words(vec![*word])),
            None => {
                let near = nearest(text, STATES.into_iter().map(|(name, _)| name));
                let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                error(column, format!("unknown state `{text}`{hint}"))
            }
        },
        Takes::Events => text
            .split('|')
            .try_fold(0, |mask, name| {
                let known = EVENTS
                    .iter()
                    .find(|(event, _)| event.eq_ignore_ascii_case(name));
                known.map(|(_, bit)| mask | bit)
            })
            .map_or_else(|| wrong("event"), |mask| Ok(Value::Mask(mask))),
    }
}

/// `1.5ms` in its base unit; `0` needs no unit.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut total = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?.checked_mul(factor)?
    };
    if number.ends_with('.') || number.is_empty() {
        return None;
    }
    let mut unit = factor;
    for digit in fraction.chars() {
        let digit = u64::from(digit.to_digit(10)?);
        // Digits below the base unit are dropped.
        unit /= 10;
        total = total.checked_add(digit * unit)?;
    }
    i64::try_from(total).ok()
}

fn shown(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("`{word}`"),
        Token::Quoted(text) => format!("\"{text}\""),
        Token::Op(op) => format!(
            "`{}`",
            match op {
                Op::Eq => "==",
                Op::Ne => "!=",
                Op::Lt => "<",
                Op::Le => "<=",
                Op::Gt => ">",
                Op::Ge => ">=",
                Op::Holds => "~",
            }
        ),
        Token::And => "`&&`".to_owned(),
        Token::Or => "`||`".to_owned(),
        Token::Not => "`!`".to_owned(),
        Token::Open => "`(`".to_owned(),
        Token::Close => "`)`".to_owned(),
        Token::End => "the end".to_owned(),
    }
}

/// The name that takes the fewest changes, if few enough.
fn nearest<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A typing mistake is short; a long word is none.
    let typed: Vec<char> = name.chars().take(32).collect();
    let best = all
        .map(|candidate| (distance(&typed, candidate), candidate))
        .min()?;
    (best.0 <= 1 + typed.len() / 3).then_some(best.1)
}

fn distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, c) in b.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, d) in a.iter().enumerate() {
            let change = corner + usize::from(c != *d);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[a.len()]
}
