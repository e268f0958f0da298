//! Characters to terms. The parser says whether a field has been named, since colons, ranges and comparisons depend on it.

use super::{Bound, QueryError};

/// What comes next, without taking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    End,
    Open,
    Close,
    And,
    Or,
    Not,
    Term,
}

/// A character of a bare term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Char(char),
    Many,
    One,
}

/// A term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    /// A name, with its colon.
    Field(String),
    Bare(Vec<Piece>),
    Quoted(String),
    Range {
        low: Bound,
        high: Bound,
    },
}

pub(super) struct Lexer {
    chars: Vec<char>,
    pub(super) at: usize,
}

pub(super) fn error<T>(at: usize, message: impl Into<String>, help: &str) -> Result<T, QueryError> {
    Err(QueryError { at, message: message.into(), help: help.to_owned() })
}

impl Lexer {
    pub(super) fn new(text: &str) -> Self {
        Self { chars: text.chars().collect(), at: 0 }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn is_keyword(&self, word: &str) -> bool {
        let end = self.at + word.len();
        word.chars().eq(self.chars.iter().skip(self.at).take(word.len()).copied())
            && self.chars.get(end).is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'))
    }

    /// Skips blanks and tells what stands there.
    pub(super) fn ahead(&mut self) -> Ahead {
        self.skip_blanks();
        match self.peek() {
            None => Ahead::End,
            Some('(') => Ahead::Open,
            Some(')') => Ahead::Close,
            _ if self.is_keyword("AND") => Ahead::And,
            _ if self.is_keyword("OR") => Ahead::Or,
            _ if self.is_keyword("NOT") => Ahead::Not,
            _ => Ahead::Term,
        }
    }

    /// Takes what [`Lexer::ahead`] saw, if it is not a term.
    pub(super) fn take(&mut self, seen: Ahead) {
        self.at += match seen {
            Ahead::End | Ahead::Term => 0,
            Ahead::Open | Ahead::Close => 1,
            Ahead::Or => 2,
            Ahead::And | Ahead::Not => 3,
        };
    }

    /// Whether the value of a field may begin here: no blank, no end.
    pub(super) fn has_value(&self) -> bool {
        self.peek().is_some_and(|c| !c.is_whitespace() && c != ')')
    }

    /// Takes a term; of a named field, it is a value.
    pub(super) fn term(&mut self, of_field: bool) -> Result<Term, QueryError> {
        let start = self.at;
        match self.peek() {
            Some('"') => {
                let text = self.quoted()?;
                self.end_of_term()?;
                Ok(Term::Quoted(text))
            }
            Some('[' | '{') if of_field => self.range(),
            Some('<' | '>') if of_field => self.comparison(),
            Some('[' | '{' | '<' | '>') => error(start, "a range without a field", "write `field:[a TO b]`, or a backslash before the character"),
            _ => self.bare(of_field),
        }
    }

    fn end_of_term(&self) -> Result<(), QueryError> {
        match self.peek() {
            Some(c) if !c.is_whitespace() && c != ')' => error(self.at, "text follows without a blank", "put a blank before it"),
            _ => Ok(()),
        }
    }

    /// The character after a backslash.
    fn escaped(&mut self) -> Result<char, QueryError> {
        let Some(c) = self.chars.get(self.at + 1).copied() else {
            return error(self.at, "nothing follows the backslash", "write `\\\\` for a backslash");
        };
        self.at += 2;
        Ok(c)
    }

    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            match self.peek() {
                None => return error(start, "the quote is never closed", "add `\"`, or write `\\\"` for the character itself"),
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => text.push(self.escaped()?),
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
    }

    fn bare(&mut self, of_field: bool) -> Result<Term, QueryError> {
        let start = self.at;
        let mut pieces = Vec::new();
        loop {
            match self.peek() {
                None | Some(')') => break,
                Some(c) if c.is_whitespace() => break,
                Some('(') => return error(self.at, "a parenthesis within a word", "put a blank before it, or a backslash if it belongs to the word"),
                Some('"') => return error(self.at, "a quote within a word", "quote the whole value, or write `\\\"` for the character itself"),
                Some('\\') => pieces.push(Piece::Char(self.escaped()?)),
                Some(':') if !of_field => {
                    self.at += 1;
                    return field_name(start, &pieces);
                }
                Some(c) => {
                    pieces.push(match c {
                        '*' => Piece::Many,
                        '?' => Piece::One,
                        c => Piece::Char(c),
                    });
                    self.at += 1;
                }
            }
        }
        Ok(Term::Bare(pieces))
    }

    fn comparison(&mut self) -> Result<Term, QueryError> {
        let is_low = self.peek() == Some('>');
        self.at += 1;
        let is_inclusive = self.peek() == Some('=');
        self.at += usize::from(is_inclusive);
        let at = self.at;
        let text = match self.term(true)? {
            Term::Quoted(text) => text,
            Term::Bare(pieces) => plain(at, &pieces)?,
            Term::Field(_) | Term::Range { .. } => return error(at, "a comparison has one value", "write `field:>=5`"),
        };
        let bound = if is_inclusive { Bound::Inclusive(text) } else { Bound::Exclusive(text) };
        Ok(if is_low { Term::Range { low: bound, high: Bound::Open } } else { Term::Range { low: Bound::Open, high: bound } })
    }

    fn range(&mut self) -> Result<Term, QueryError> {
        let start = self.at;
        let low_is_inclusive = self.peek() == Some('[');
        self.at += 1;
        let low = self.bound(start)?;
        self.skip_blanks();
        let is_to = self.chars.get(self.at..self.at + 2) == Some(&['T', 'O']) && self.chars.get(self.at + 2).is_none_or(|c| c.is_whitespace());
        if !is_to {
            return error(self.at, "`TO` is missing in the range", "write `[a TO b]`, with `*` for an open end");
        }
        self.at += 2;
        let high = self.bound(start)?;
        self.skip_blanks();
        let high_is_inclusive = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return error(start, "the range is never closed", "end it with `]`, or with `}` to leave the end out"),
        };
        self.at += 1;
        self.end_of_term()?;
        let bound = |text: Option<String>, is_inclusive| match text {
            None => Bound::Open,
            Some(text) if is_inclusive => Bound::Inclusive(text),
            Some(text) => Bound::Exclusive(text),
        };
        Ok(Term::Range { low: bound(low, low_is_inclusive), high: bound(high, high_is_inclusive) })
    }

    /// One end of a range; `None` is `*`.
    fn bound(&mut self, range: usize) -> Result<Option<String>, QueryError> {
        self.skip_blanks();
        let start = self.at;
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let mut text = String::new();
        let mut is_star = false;
        while let Some(c) = self.peek() {
            match c {
                ']' | '}' => break,
                c if c.is_whitespace() => break,
                '\\' => text.push(self.escaped()?),
                c => {
                    is_star |= c == '*';
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        if is_star && text == "*" {
            return Ok(None);
        }
        if is_star {
            return error(start, "a wildcard in a range", "an end is a value, or `*` alone for none");
        }
        if text.is_empty() {
            return error(start.min(self.chars.len()).max(range), "an end of the range is missing", "write `[a TO b]`, with `*` for an open end");
        }
        Ok(Some(text))
    }
}

fn plain(at: usize, pieces: &[Piece]) -> Result<String, QueryError> {
    if pieces.is_empty() {
        return error(at, "a value is missing", "write it right after the comparison, without a blank");
    }
    let text: Option<String> = pieces.iter().map(|piece| if let Piece::Char(c) = piece { Some(*c) } else { None }).collect();
    text.map_or_else(|| error(at, "a wildcard in a comparison", "compare with a value, or put a backslash before the character"), Ok)
}

fn field_name(at: usize, pieces: &[Piece]) -> Result<Term, QueryError> {
    if pieces.is_empty() {
        return error(at, "a field name is missing", "write `field:value`, or `\\:` for a colon in a word");
    }
    let name: Option<String> = pieces.iter().map(|piece| if let Piece::Char(c) = piece { Some(*c) } else { None }).collect();
    name.map_or_else(|| error(at, "a wildcard in a field name", "name the field in full"), |name| Ok(Term::Field(name)))
}
