//! Every feature of Sigma's detections as a named row: a rule in YAML, events that must match and events that must not, or the code of
//! the error that refuses it.
//!
//! The rows are those of a table by which other engines have been measured, so that what is said of this one can be compared.

mod differences;
mod fields;
mod modifiers;
mod naive;
mod scopes;
mod values;

use super::*;
use crate::detect::matcher::Matcher;
use crate::detect::sample::event;

/// What a row expects.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row {
    /// What stands below `detection:`, two blanks in; events that match; events that do not.
    Matches(&'static str, &'static [&'static str], &'static [&'static str]),
    /// What stands below `detection:`, and the code of the error.
    Rejected(&'static str, &'static str),
}

use Row::{Matches, Rejected};

type Rows = &'static [(&'static str, Row)];

/// The rows of the table; what goes beyond it stands in `scopes`.
const TABLE: [Rows; 3] = [values::ROWS, modifiers::ROWS, fields::ROWS];

fn check(name: &str, row: Row) {
    let (Matches(detection, ..) | Rejected(detection, _)) = row;
    let text = format!("title: {name:?}\nid: a\nlevel: low\ndetection:\n  {}\n", detection.trim());
    let (rules, problems) = parse(&[(Arc::from("r.yml"), text)], &Settings::default());
    let errors: Vec<&Diagnostic> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    match row {
        Rejected(_, code) => {
            assert!(rules.rules.is_empty(), "{name}: not refused");
            assert_eq!(errors.iter().map(|problem| problem.code).collect::<Vec<_>>(), [code], "{name}: {errors:?}");
        }
        Matches(_, yes, no) => {
            assert!(errors.is_empty(), "{name}: {errors:?}");
            let (mut matcher, refused) = Matcher::new(&rules);
            assert!(refused.is_empty(), "{name}: {refused:?}");
            let mut found = Vec::new();
            for (json, expected) in yes.iter().map(|json| (json, true)).chain(no.iter().map(|json| (json, false))) {
                matcher.find(&event("e", 0, json), &mut found);
                // One rule, one match, however many of its selections hold.
                assert_eq!(found.len(), usize::from(expected), "{name}: {json}");
            }
        }
    }
}

#[test]
fn every_row_of_the_table_holds() {
    for (name, row) in TABLE.into_iter().flatten() {
        check(name, *row);
    }
}

#[test]
fn the_table_is_whole() {
    let mut names: Vec<&str> = TABLE.into_iter().flatten().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), 82);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 82);
}
