//! The condition of a rule: `selection and not 1 of filter_*`.

use super::diagnostic::closest;
use crate::detect::rule::Condition;

/// Brackets within brackets.
const DEPTH_MAX: usize = 32;

/// Bytes of a condition.
const BYTES_MAX: usize = 8 << 10;

/// What is wrong with a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadCondition {
    /// Characters before the place.
    pub(super) at: usize,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: String,
}

/// The words of a condition, keywords too, each with the characters before it.
pub(super) fn words(text: &str) -> Result<Vec<(usize, &str)>, BadCondition> {
    let words = tokens("rule", text)?.into_iter().filter_map(|(at, token)| match token {
        Token::Word(word) => Some((at, word)),
        Token::Open | Token::Close => None,
    });
    Ok(words.collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Open,
    Close,
    Word(&'t str),
}

/// Reads a condition over selections of these names.
pub(super) fn parse(text: &str, names: &[&str]) -> Result<Condition, BadCondition> {
    parse_over("selection", text, names)
}

/// Reads a condition over things of these names, each of which is called a `noun`.
pub(super) fn parse_over(noun: &str, text: &str, names: &[&str]) -> Result<Condition, BadCondition> {
    if text.len() > BYTES_MAX {
        return Err(bad(0, format!("the condition has {} bytes; {BYTES_MAX} are read", text.len()), "use `1 of x*`"));
    }
    let tokens = tokens(noun, text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, end: text.chars().count(), names, noun };
    let condition = parser.or(0)?;
    match parser.peek() {
        None => Ok(condition),
        Some(Token::Close) => Err(bad(parser.at(), "a `)` closes nothing", "")),
        Some(Token::Open | Token::Word(_)) => Err(bad(parser.at(), "`and` or `or` is missing here", format!("join {noun}s with and, or, not"))),
    }
}

fn bad(at: usize, message: impl Into<String>, help: impl Into<String>) -> BadCondition {
    BadCondition { at, code: "bad-condition", message: message.into(), help: help.into() }
}

fn tokens<'t>(noun: &str, text: &'t str) -> Result<Vec<(usize, Token<'t>)>, BadCondition> {
    let mut tokens = Vec::new();
    let mut word: Option<(usize, usize)> = None;
    let end = text.chars().count();
    for (at, (byte, c)) in text.char_indices().chain([(text.len(), ' ')]).enumerate() {
        let is_word = !c.is_whitespace() && !matches!(c, '(' | ')' | '|');
        match (is_word, word) {
            (true, None) => word = Some((at, byte)),
            (false, Some((start, from))) => {
                tokens.push((start, Token::Word(text.get(from..byte).unwrap_or_default())));
                word = None;
            }
            _ => {}
        }
        match c {
            '(' => tokens.push((at, Token::Open)),
            ')' => tokens.push((at, Token::Close)),
            '|' => {
                return Err(BadCondition {
                    at,
                    code: "old-aggregation",
                    message: "aggregations after `|` are no longer part of Sigma".to_owned(),
                    help: "write a correlation (event_count, value_count, temporal) that refers to this rule".to_owned(),
                });
            }
            _ => {}
        }
    }
    if tokens.is_empty() {
        return Err(bad(end, "the condition is empty", format!("name a {noun}")));
    }
    Ok(tokens)
}

struct Parser<'p> {
    tokens: &'p [(usize, Token<'p>)],
    next: usize,
    end: usize,
    names: &'p [&'p str],
    /// What the names are of.
    noun: &'p str,
}

impl<'p> Parser<'p> {
    fn peek(&self) -> Option<Token<'p>> {
        self.tokens.get(self.next).map(|(_, token)| *token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn eat(&mut self, keyword: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(is_it);
        is_it
    }

    fn or(&mut self, depth: usize) -> Result<Condition, BadCondition> {
        let mut any = vec![self.and(depth)?];
        while self.eat("or") {
            any.push(self.and(depth)?);
        }
        Ok(join(any, Condition::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Condition, BadCondition> {
        let mut all = vec![self.not(depth)?];
        while self.eat("and") {
            all.push(self.not(depth)?);
        }
        Ok(join(all, Condition::And))
    }

    fn not(&mut self, depth: usize) -> Result<Condition, BadCondition> {
        let mut is_negated = false;
        while self.eat("not") {
            is_negated = !is_negated;
        }
        let inner = self.one(depth)?;
        Ok(if is_negated { Condition::Not(Box::new(inner)) } else { inner })
    }

    fn one(&mut self, depth: usize) -> Result<Condition, BadCondition> {
        let at = self.at();
        let token = self.peek();
        let noun = self.noun;
        self.next += 1;
        match token {
            None => Err(bad(at, "the condition breaks off", format!("a {noun} is missing at its end"))),
            Some(Token::Close) => Err(bad(at, format!("a {noun} is missing before `)`"), "")),
            Some(Token::Open) if depth >= DEPTH_MAX => Err(bad(at, format!("brackets are nested deeper than {DEPTH_MAX}"), "")),
            Some(Token::Open) => {
                let inner = self.or(depth + 1)?;
                if self.peek() != Some(Token::Close) {
                    let message = if self.peek().is_none() { "a `(` is never closed" } else { "`and`, `or` or `)` is missing here" };
                    return Err(bad(if self.peek().is_none() { at } else { self.at() }, message, ""));
                }
                self.next += 1;
                Ok(inner)
            }
            Some(Token::Word(word)) => {
                let is_quantifier = matches!(self.peek(), Some(Token::Word(of)) if of.eq_ignore_ascii_case("of"));
                if is_quantifier {
                    self.next += 1;
                    return self.quantified(at, word);
                }
                if ["and", "or", "of"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) {
                    return Err(bad(at, format!("a {noun} is missing before `{word}`"), ""));
                }
                match self.names.iter().position(|name| *name == word) {
                    Some(index) => Ok(Condition::Selection(index)),
                    None if word.contains('*') => Err(bad(at, format!("`{word}` needs `1 of` or `all of` before it"), "")),
                    None => Err(bad(at, format!("no {noun} is called `{}`", word.escape_debug()), self.near(word))),
                }
            }
        }
    }

    fn near(&self, word: &str) -> String {
        match closest(word, self.names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("{}s are {}", self.noun, self.names.join(", ")),
        }
    }

    fn quantified(&mut self, at: usize, quantity: &str) -> Result<Condition, BadCondition> {
        let wanted = match quantity.to_ascii_lowercase().as_str() {
            "all" => None,
            "any" => Some(1),
            digits => match digits.parse::<usize>() {
                Ok(count) if count > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Some(count),
                _ => return Err(bad(at, format!("`{}` is no quantity", quantity.escape_debug()), "1 of, 2 of, all of")),
            },
        };
        let target_at = self.at();
        let noun = self.noun;
        let Some(Token::Word(target)) = self.peek() else {
            return Err(bad(target_at, format!("the {noun}s are missing after `of`"), "such as `1 of filter_*` or `all of them`"));
        };
        self.next += 1;
        let is_them = target.eq_ignore_ascii_case("them");
        let is_meant = |name: &str| if is_them { !name.starts_with('_') } else { matches(target, name) };
        let of: Vec<Condition> =
            self.names.iter().enumerate().filter(|(_, name)| is_meant(name)).map(|(index, _)| Condition::Selection(index)).collect();
        if of.is_empty() {
            return Err(bad(target_at, format!("no {noun} is meant by `{}`", target.escape_debug()), self.near(target.trim_matches('*'))));
        }
        match wanted {
            None => Ok(join(of, Condition::And)),
            Some(1) => Ok(join(of, Condition::Or)),
            Some(count) if count > of.len() => Err(bad(at, format!("`{count} of {target}` can never hold: it means {} {noun}s", of.len()), "")),
            Some(count) => Ok(Condition::AtLeast(count, of)),
        }
    }
}

fn join(mut of: Vec<Condition>, wrap: fn(Vec<Condition>) -> Condition) -> Condition {
    if of.len() > 1 {
        return wrap(of);
    }
    of.pop().unwrap_or(Condition::Or(Vec::new()))
}

/// Whether a name is meant by a pattern in which `*` stands for anything. Looks back only to the last `*`: linear but for repeats.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let mut pieces: Vec<&str> = pieces.collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 6] = ["sel_a", "sel_b", "filter_main_x", "filter_y", "keywords", "_hidden"];

    fn show(condition: &Condition) -> String {
        let each = |of: &[Condition], by: &str| of.iter().map(show).collect::<Vec<_>>().join(by);
        match condition {
            Condition::Selection(at) => at.to_string(),
            Condition::Not(inner) => format!("!{}", show(inner)),
            Condition::And(of) => format!("({})", each(of, " & ")),
            Condition::Or(of) => format!("({})", each(of, " | ")),
            Condition::AtLeast(count, of) => format!("{count}of({})", each(of, " ")),
        }
    }

    fn check(text: &str, expected: &str) {
        let shown = match parse(text, &NAMES) {
            Ok(condition) => show(&condition),
            Err(error) => format!("{}: {}", error.at, error.message),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn conditions_are_read() {
        for (text, expected) in [
            ("sel_a", "0"),
            ("sel_a and not filter_y", "(0 & !3)"),
            ("sel_a or sel_b and not keywords", "(0 | (1 & !4))"),
            ("not sel_a and sel_b", "(!0 & 1)"),
            ("NOT sel_a AND (sel_b OR keywords)", "(!0 & (1 | 4))"),
            ("not not sel_a", "0"),
            ("1 of sel_*", "(0 | 1)"),
            ("any of sel_*", "(0 | 1)"),
            ("all of sel_*", "(0 & 1)"),
            ("1 of filter_main_*", "2"),
            ("1 of *_x", "2"),
            ("1 of f*_*", "(2 | 3)"),
            ("sel_a and not 1 of filter_*", "(0 & !(2 | 3))"),
            ("2 of them", "2of(0 1 2 3 4)"),
            ("all of them", "(0 & 1 & 2 & 3 & 4)"),
            ("1 of _*", "5"),
            ("1 of *", "(0 | 1 | 2 | 3 | 4 | 5)"),
            ("1 of sel_a", "0"),
            ("((sel_a))", "0"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn errors_name_the_place() {
        for (text, expected) in [
            ("", "0: the condition is empty"),
            ("sel_c", "0: no selection is called `sel_c`"),
            ("sel_a and", "9: the condition breaks off"),
            ("sel_a sel_b", "6: `and` or `or` is missing here"),
            ("(sel_a", "0: a `(` is never closed"),
            ("sel_a)", "5: a `)` closes nothing"),
            ("()", "1: a selection is missing before `)`"),
            ("or sel_a", "0: a selection is missing before `or`"),
            ("sel_a and or sel_b", "10: a selection is missing before `or`"),
            ("1 of x*", "5: no selection is meant by `x*`"),
            ("1 of", "4: the selections are missing after `of`"),
            ("0 of them", "0: `0` is no quantity"),
            ("3 of sel_*", "0: `3 of sel_*` can never hold: it means 2 selections"),
            ("sel_*", "0: `sel_*` needs `1 of` or `all of` before it"),
            ("sel_a | count() by x > 3", "6: aggregations after `|` are no longer part of Sigma"),
        ] {
            check(text, expected);
        }
        let deep = format!("{}sel_a{}", "(".repeat(40), ")".repeat(40));
        check(&deep, "32: brackets are nested deeper than 32");
        check(&format!("{}sel_a", "not ".repeat(1_001)), "!0");
    }
}
