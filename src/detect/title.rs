//! Titles of alerts.

use std::borrow::Cow;

use super::fold::cut;
use super::rule::{Piece, Template};

/// Bytes of a title.
const TITLE_BYTES_MAX: usize = 512;

/// Fills a template; a field that no contributing event has is shown as `?`.
pub(super) fn fill<'a>(template: &Template, value: impl Fn(&str) -> Option<Cow<'a, str>>) -> String {
    let mut title = String::new();
    for piece in &template.0 {
        match piece {
            Piece::Text(text) => title.push_str(text),
            Piece::Field(field) => title.push_str(value(field.name()).as_deref().unwrap_or("?")),
        }
    }
    cut(&title, TITLE_BYTES_MAX).to_owned()
}
