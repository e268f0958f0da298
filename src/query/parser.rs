//! Terms to a query. Recursive, but never deeper than [`DEPTH_MAX`].

use std::net::IpAddr;

use super::ast::takes_nets;
use super::lexer::{Ahead, Lexer, Piece, Term, error};
use super::{Bound, CLAUSES_MAX, DEPTH_MAX, PATH_SEGMENTS_MAX, QUERY_BYTES_MAX, Query, QueryError, ValueTest, WILD_CHARS_MAX, Wild, WildPart, lower};
use crate::model::{FieldRef, FieldType};

/// Reads a query. An empty text is everything.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        let at = text.char_indices().take_while(|(at, _)| *at < QUERY_BYTES_MAX).count();
        return error(at, format!("the query is longer than {QUERY_BYTES_MAX} bytes"), "shorten it");
    }
    let mut parser = Parser { lexer: Lexer::new(text), clauses: 0 };
    if parser.lexer.ahead() == Ahead::End {
        return Ok(Query::All);
    }
    let query = parser.or(None, 0)?;
    match parser.lexer.ahead() {
        Ahead::End => Ok(query),
        _ => error(parser.lexer.at, "this parenthesis closes nothing", "remove it, or write `\\)` for the character itself"),
    }
}

struct Parser {
    lexer: Lexer,
    clauses: usize,
}

impl Parser {
    fn or(&mut self, field: Option<&FieldRef>, depth: usize) -> Result<Query, QueryError> {
        let mut any = vec![self.and(field, depth)?];
        while self.lexer.ahead() == Ahead::Or {
            self.lexer.take(Ahead::Or);
            any.push(self.and(field, depth)?);
        }
        Ok(one_or(any, Query::Or))
    }

    fn and(&mut self, field: Option<&FieldRef>, depth: usize) -> Result<Query, QueryError> {
        let mut all = vec![self.unary(field, depth)?];
        loop {
            match self.lexer.ahead() {
                Ahead::And => self.lexer.take(Ahead::And),
                Ahead::Not | Ahead::Open | Ahead::Term => {}
                Ahead::End | Ahead::Close | Ahead::Or => return Ok(one_or(all, Query::And)),
            }
            all.push(self.unary(field, depth)?);
        }
    }

    fn unary(&mut self, field: Option<&FieldRef>, depth: usize) -> Result<Query, QueryError> {
        let seen = self.lexer.ahead();
        let at = self.lexer.at;
        if depth > DEPTH_MAX {
            return error(at, format!("nested deeper than {DEPTH_MAX} levels"), "use fewer parentheses and NOTs");
        }
        match seen {
            Ahead::Not => {
                self.lexer.take(seen);
                Ok(match self.unary(field, depth + 1)? {
                    Query::All => Query::None,
                    Query::None => Query::All,
                    inner => Query::Not(Box::new(inner)),
                })
            }
            Ahead::Open => self.group(field, depth),
            Ahead::Term => self.clause(field, depth),
            Ahead::End => error(at, "the query ends where a term should stand", "add a term, or remove what stands before"),
            Ahead::Close => error(at, "a term is missing before the parenthesis", "add a term, or write `\\)` for the character itself"),
            Ahead::And | Ahead::Or => error(at, "a term is missing before the operator", "add a term, or quote the word to search for it"),
        }
    }

    fn group(&mut self, field: Option<&FieldRef>, depth: usize) -> Result<Query, QueryError> {
        let start = self.lexer.at;
        self.lexer.take(Ahead::Open);
        let inner = self.or(field, depth + 1)?;
        if self.lexer.ahead() != Ahead::Close {
            return error(start, "the parenthesis is never closed", "add `)`, or write `\\(` for the character itself");
        }
        self.lexer.take(Ahead::Close);
        Ok(inner)
    }

    fn clause(&mut self, field: Option<&FieldRef>, depth: usize) -> Result<Query, QueryError> {
        let at = self.lexer.at;
        self.clauses += 1;
        if self.clauses > CLAUSES_MAX {
            return error(at, format!("more than {CLAUSES_MAX} clauses"), "split the query");
        }
        let term = self.lexer.term(field.is_some())?;
        if let Some(field) = field {
            return Ok(Query::Field { field: field.clone(), test: value_test(field, term, at)? });
        }
        match term {
            Term::Field(name) => self.field(&name, at, depth),
            Term::Quoted(text) => free_text(text, at),
            Term::Bare(pieces) => free_word(&pieces, at),
            Term::Range { .. } => error(at, "a range without a field", "write `field:[a TO b]`"),
        }
    }

    fn field(&mut self, name: &str, at: usize, depth: usize) -> Result<Query, QueryError> {
        if name.split('.').count() > PATH_SEGMENTS_MAX {
            return error(at, format!("a field name of more than {PATH_SEGMENTS_MAX} segments"), "name a field higher up");
        }
        let field = match FieldRef::parse(name) {
            Ok(field) => field,
            Err(message) => return error(at, message, "`bartizan search` completes names; a colon in a word is `\\:`"),
        };
        let value_at = self.lexer.at;
        if !self.lexer.has_value() {
            return error(value_at, format!("a value of `{}` is missing", name.escape_debug()), "write it right after the colon, or `*` for any");
        }
        if self.lexer.ahead() == Ahead::Open {
            return self.group(Some(&field), depth);
        }
        let test = value_test(&field, self.lexer.term(true)?, value_at)?;
        Ok(Query::Field { field, test })
    }
}

fn one_or(mut list: Vec<Query>, many: fn(Vec<Query>) -> Query) -> Query {
    match list.pop() {
        Some(only) if list.is_empty() => only,
        Some(last) => {
            list.push(last);
            many(list)
        }
        None => Query::All,
    }
}

fn free_text(text: String, at: usize) -> Result<Query, QueryError> {
    if text.is_empty() {
        return error(at, "nothing between the quotes", "write what to search for");
    }
    Ok(Query::Phrase(text))
}

fn free_word(pieces: &[Piece], at: usize) -> Result<Query, QueryError> {
    if pieces.iter().all(|piece| *piece == Piece::Many) {
        return Ok(Query::All);
    }
    let literal: Option<String> = pieces.iter().map(|piece| if let Piece::Char(c) = piece { Some(*c) } else { None }).collect();
    match literal {
        Some(text) if !text.chars().all(char::is_alphanumeric) => Ok(Query::Phrase(text)),
        _ => Ok(Query::Word(wild(pieces, at)?)),
    }
}

fn wild(pieces: &[Piece], at: usize) -> Result<Wild, QueryError> {
    let has_wildcard = pieces.iter().any(|piece| !matches!(piece, Piece::Char(_)));
    if has_wildcard && pieces.len() > WILD_CHARS_MAX {
        return error(at, format!("a pattern longer than {WILD_CHARS_MAX} characters"), "shorten it, or do without wildcards");
    }
    let mut parts: Vec<WildPart> = Vec::new();
    for piece in pieces {
        match (piece, parts.last_mut()) {
            (Piece::Char(c), Some(WildPart::Text(text))) => text.push(*c),
            (Piece::Char(c), _) => parts.push(WildPart::Text(c.to_string())),
            (Piece::Many, Some(WildPart::Many)) => {}
            (Piece::Many, _) => parts.push(WildPart::Many),
            (Piece::One, _) => parts.push(WildPart::One),
        }
    }
    for part in &mut parts {
        if let WildPart::Text(text) = part {
            *text = lower(text).into_owned();
        }
    }
    Ok(Wild { parts })
}

fn value_test(field: &FieldRef, term: Term, at: usize) -> Result<ValueTest, QueryError> {
    match term {
        Term::Quoted(text) => Ok(ValueTest::Wild(Wild::literal(&text))),
        Term::Range { low: Bound::Open, high: Bound::Open } => Ok(ValueTest::Exists),
        Term::Range { low, high } => Ok(ValueTest::Range { low, high }),
        Term::Field(name) => error(at, format!("`{}` is a second field", name.escape_debug()), "a field has values only"),
        Term::Bare(pieces) => {
            let wild = wild(&pieces, at)?;
            if wild.parts == [WildPart::Many] {
                return Ok(ValueTest::Exists);
            }
            match wild.as_literal().filter(|_| takes_nets(field)).and_then(|text| text.split_once('/')) {
                Some((net, bits)) => net_test(field, net, bits, at).map(|net| net.unwrap_or(ValueTest::Wild(wild))),
                None => Ok(ValueTest::Wild(wild)),
            }
        }
    }
}

/// A network; `None` where a native field may well have such a text as its value.
fn net_test(field: &FieldRef, net: &str, bits: &str, at: usize) -> Result<Option<ValueTest>, QueryError> {
    if let (Ok(net), Ok(bits)) = (net.parse::<IpAddr>(), bits.parse::<u8>())
        && bits <= if net.is_ipv4() { 32 } else { 128 }
    {
        return Ok(Some(ValueTest::Cidr { net, bits }));
    }
    match field {
        FieldRef::Fact(field) if field.kind() == FieldType::Ip => error(at, "this is no network", "write one as `10.0.0.0/8` or `fd00::/8`"),
        FieldRef::Fact(_) | FieldRef::Native { .. } => Ok(None),
    }
}
