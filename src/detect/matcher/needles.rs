//! What every match of a pattern has in it, as literals that the field indexes look for: the way to rules whose tests are dear.
//!
//! A need is a list of literals in lower case of which one stands in every text that matches; a pattern has any number of needs.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::detect::fold::fold;
use crate::detect::rule::{Part, Place, Test};

/// Literals of one need. A regular expression that allows more at one place has no need there.
const LITERALS_MAX: usize = 64;
/// Needs of one pattern; the ones with the longest literals are kept.
const NEEDS_MAX: usize = 4;
/// Shorter literals stand nearly everywhere.
const LITERAL_BYTES_MIN: usize = 2;
/// Characters of a class that are written out.
const CLASS_MAX: usize = 8;

/// The needs of a pattern with wildcards: each of its texts, where it stands.
pub(super) fn of_glob(parts: &[Part]) -> Vec<(Place, String)> {
    let mut literals: Vec<(Place, String)> = parts
        .iter()
        .enumerate()
        .filter_map(|(at, part)| match part {
            Part::Text(text) if at == 0 => Some((Place::Start, fold(text))),
            Part::Text(text) if at + 1 == parts.len() => Some((Place::End, fold(text))),
            Part::Text(text) => Some((Place::Anywhere, fold(text))),
            Part::Many | Part::One => None,
        })
        .collect();
    literals.sort_by_key(|(_, text)| std::cmp::Reverse(text.len()));
    literals.dedup();
    let long = literals.iter().filter(|(_, text)| text.len() >= LITERAL_BYTES_MIN).count();
    literals.truncate(long.clamp(1, NEEDS_MAX));
    literals
}

/// The needs of a regular expression; none if it has none that are easily seen, or is none.
pub(super) fn of_regex(test: &Test) -> Vec<Vec<String>> {
    let Test::Regex { pattern, ignore_case, multi_line, dot_all } = test else { return Vec::new() };
    // Case is left out here and in what is looked for, so a letter stays a letter.
    let parsed = ParserBuilder::new().multi_line(*multi_line).dot_matches_new_line(*dot_all).build().parse(pattern);
    let Ok(parsed) = parsed else { return Vec::new() };
    let mut walk = Walk { ignore_case: *ignore_case };
    let mut found = walk.of(&parsed);
    found.close();
    let mut needs = found.needs;
    needs.sort_by_key(|need| std::cmp::Reverse(shortest(need)));
    needs.truncate(NEEDS_MAX);
    needs
}

fn shortest(need: &[String]) -> usize {
    need.iter().map(String::len).min().unwrap_or_default()
}

/// What is known of a part of an expression.
#[derive(Debug, Clone, Default)]
struct Found {
    /// Every text that it can match, if those are few; within a sequence, those of the part that was looked at last.
    exact: Option<Vec<String>>,
    needs: Vec<Vec<String>>,
}

impl Found {
    fn exactly(mut texts: Vec<String>) -> Self {
        texts.sort();
        texts.dedup();
        Self { exact: (texts.len() <= LITERALS_MAX).then_some(texts), needs: Vec::new() }
    }

    /// Makes a need of what is known exactly.
    fn close(&mut self) {
        if let Some(texts) = self.exact.take()
            && !texts.is_empty()
            && shortest(&texts) >= LITERAL_BYTES_MIN
        {
            self.needs.push(texts);
        }
    }

    /// What follows on this. True: what is exact is still all of it.
    fn then(&mut self, next: Self) -> bool {
        let joined = match (&self.exact, &next.exact) {
            (Some(before), Some(after)) if before.len() * after.len() <= LITERALS_MAX => {
                Some(before.iter().flat_map(|before| after.iter().map(move |after| format!("{before}{after}"))).collect::<Vec<_>>())
            }
            _ => None,
        };
        let is_whole = joined.is_some();
        if is_whole {
            self.exact = joined;
        } else {
            self.close();
            self.exact = next.exact;
        }
        self.needs.extend(next.needs);
        is_whole
    }
}

struct Walk {
    ignore_case: bool,
}

impl Walk {
    /// Depth is bounded by the parser.
    fn of(&mut self, hir: &Hir) -> Found {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Found::exactly(vec![String::new()]),
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) if !self.ignore_case || text.is_ascii() => Found::exactly(vec![fold(text)]),
                _ => Found::default(),
            },
            HirKind::Class(class) => self.class(class),
            HirKind::Capture(capture) => self.of(&capture.sub),
            HirKind::Repetition(repetition) => {
                if repetition.min == 0 {
                    return Found::default();
                }
                let mut found = self.of(&repetition.sub);
                if repetition.max != Some(1) {
                    found.close();
                    found.exact = None;
                }
                found
            }
            HirKind::Concat(parts) => {
                let mut found = Found::exactly(vec![String::new()]);
                let mut is_whole = true;
                for part in parts {
                    let next = self.of(part);
                    is_whole &= found.then(next);
                }
                if !is_whole {
                    found.close();
                }
                found
            }
            HirKind::Alternation(ways) => {
                let ways: Vec<Found> = ways.iter().map(|way| self.of(way)).collect();
                either(ways)
            }
        }
    }

    fn class(&self, class: &Class) -> Found {
        let Class::Unicode(class) = class else { return Found::default() };
        let count: usize = class.ranges().iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
        if count == 0 || count > CLASS_MAX {
            return Found::default();
        }
        let chars = class.ranges().iter().flat_map(|range| range.start()..=range.end());
        let texts: Vec<String> = chars.map(|c| fold(c.encode_utf8(&mut [0; 4]))).collect();
        if self.ignore_case && !texts.iter().all(|text| text.is_ascii()) {
            return Found::default();
        }
        Found::exactly(texts)
    }
}

/// One of several ways.
fn either(ways: Vec<Found>) -> Found {
    let exact: Option<Vec<String>> = ways.iter().map(|way| way.exact.clone()).collect::<Option<Vec<_>>>().map(|texts| texts.concat());
    if let Some(texts) = exact.filter(|texts| texts.len() <= LITERALS_MAX) {
        return Found::exactly(texts);
    }
    let best = |mut way: Found| {
        way.close();
        way.needs.into_iter().max_by_key(|need| shortest(need))
    };
    let need: Option<Vec<String>> = ways.into_iter().map(best).collect::<Option<Vec<_>>>().map(|needs| needs.concat());
    Found { exact: None, needs: need.filter(|need| need.len() <= LITERALS_MAX).into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: &str) {
        let test = |ignore_case| Test::Regex { pattern: pattern.to_owned(), ignore_case, multi_line: false, dot_all: false };
        let shown = |needs: Vec<Vec<String>>| needs.iter().map(|need| need.join("|")).collect::<Vec<_>>().join(" & ");
        assert_eq!(shown(of_regex(&test(false))), expected, "{pattern}");
        if pattern.is_ascii() {
            assert_eq!(shown(of_regex(&test(true))), expected, "{pattern} without case");
        }
    }

    #[test]
    fn needs_of_regular_expressions() {
        for (pattern, expected) in [
            ("abc", "abc"),
            ("^(foo|BAR)-[a-z0-9]{5,10}$", "bar-|foo-"),
            ("/api/v1/ns/[^/]+/(secrets|configmaps)/(one|two)[0-9]+", "/configmaps/one|/configmaps/two|/secrets/one|/secrets/two & /api/v1/ns/"),
            ("(?i)curl\\s+http", "curl & http"),
            ("(?i:Sky)", "sky"),
            ("a[bB]c", "abc"),
            ("ab?cd", "cd"),
            ("(ab)+cd", "ab & cd"),
            ("x(abc|d.*efg)y", "abc|efg"),
            ("x(abc|.*)y", ""),
            (".*", ""),
            ("[a-z]+", ""),
            ("", ""),
            ("ab|cd|[0-9]", ""),
            ("été", "été"),
            ("(?-u:\\xff)ab", ""),
        ] {
            check(pattern, expected);
        }
        let many = (0..65).map(|at| format!("word{at}")).collect::<Vec<_>>().join("|");
        check(&format!("(?:{many})-tail"), "-tail");
    }

    #[test]
    fn needs_of_patterns_with_wildcards() {
        let text = |text: &str| Part::Text(text.to_owned());
        let parts = [text("/apis/"), Part::Many, text("/namespaces/"), Part::One, Part::Many, text("/x/approv"), Part::Many];
        let shown: Vec<String> = of_glob(&parts).iter().map(|(place, text)| format!("{place:?} {text}")).collect();
        assert_eq!(shown, ["Anywhere /namespaces/", "Anywhere /x/approv", "Start /apis/"]);
        assert_eq!(of_glob(&[Part::One, text("a"), Part::One]), [(Place::Anywhere, "a".to_owned())]);
        assert_eq!(of_glob(&[Part::One]), []);
    }
}
