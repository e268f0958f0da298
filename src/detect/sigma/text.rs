//! Small texts within rules: lengths of time, and title templates.

use super::diagnostic::Scope;
use super::yaml::{Node, Yaml};
use crate::detect::rule::{Piece, Template};
use crate::model::Duration;

/// The longest window a rule may have.
pub const TIMESPAN_MAX: Duration = Duration::hours(31 * 24);

/// Pieces of a title.
const PIECES_MAX: usize = 64;

/// Bytes of a title.
pub(super) const TITLE_BYTES_MAX: usize = 512;

/// Reads a length of time as Sigma writes it: `30s`, `10m`, `1h`, `1d`. Of what pySigma adds there are `1w` and `1M`, a month being a
/// twelfth of the mean year; whatever is longer than the limit is refused, and so every `y`.
pub(super) fn timespan(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).unwrap_or_default();
    let seconds_per = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        "M" => 2_629_746,
        "y" => 31_556_952,
        _ => return Err(format!("`{}` is no time span", text.escape_debug())),
    };
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("`{}` is no time span", text.escape_debug()));
    }
    let span = Duration::seconds(digits.parse::<i64>().unwrap_or_default().saturating_mul(seconds_per));
    if span <= Duration::default() {
        return Err("a time span of nothing holds no events".to_owned());
    }
    if span > TIMESPAN_MAX {
        return Err(format!("a time span of {text} is longer than the limit of 31d"));
    }
    Ok(span)
}

/// Reads a length of time from a node, and says what is wrong with it.
pub(super) fn timespan_of(scope: &mut Scope<'_>, node: &Node, key: &str) -> Option<Duration> {
    let read = node.spelled().ok_or_else(|| format!("{} is no time span", node.kind())).and_then(timespan);
    read.map_err(|message| {
        scope.error(node.at, "bad-timespan", format!("{key}: {message}"), "a number and s, m, h, d, w or M, up to 31d: 30s, 10m, 1h, 7d")
    })
    .ok()
}

/// Reads a title such as `{actor.user.name} opened a shell`. `{{` and `}}` are braces.
pub(super) fn template(scope: &mut Scope<'_>, node: &Node) -> Option<Template> {
    let Yaml::Text { text, offset } = &node.value else {
        scope.error(node.at, "bad-template", format!("the title is {}; text is wanted", node.kind()), "");
        return None;
    };
    let mut at = node.at;
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut chars = text.chars().enumerate().peekable();
    while let Some((index, c)) = chars.next() {
        at.column = offset.map_or(node.at.column, |offset| node.at.column + offset + index);
        match c {
            '{' | '}' if chars.next_if(|(_, next)| *next == c).is_some() => plain.push(c),
            '{' => {
                let mut name = String::new();
                let mut is_closed = false;
                for (_, c) in chars.by_ref() {
                    is_closed = c == '}';
                    if is_closed {
                        break;
                    }
                    name.push(c);
                }
                if !is_closed {
                    scope.error(at, "bad-template", "a `{` in the title is never closed", "write {field}, or {{ for a brace");
                    return None;
                }
                let field = scope.field(at, name.trim())?;
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Field(field));
            }
            '}' => {
                scope.error(at, "bad-template", "a `}` in the title closes nothing", "write {field}, or }} for a brace");
                return None;
            }
            c => plain.push(c),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    if pieces.is_empty() || pieces.len() > PIECES_MAX || text.len() > TITLE_BYTES_MAX {
        scope.error(node.at, "bad-template", "the title is empty or too long", format!("at most {TITLE_BYTES_MAX} bytes and {PIECES_MAX} pieces"));
        return None;
    }
    Some(Template(pieces))
}
