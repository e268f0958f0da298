//! Whose names an answer's events and alerts have: `?format=ocsf`, or `format` in the body of a search.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::{Alert, Event};
use crate::ocsf;
use crate::store::catalog::Comment;

/// A set of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// The program's own.
    #[default]
    Bartizan,
    /// The Open Cybersecurity Schema Framework's.
    Ocsf,
}

/// Parameters of a URL that say only this.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    pub(super) format: Format,
}

/// As [`Asked`], for a search whose other parameters stand in its body.
#[derive(Debug, Default, Deserialize)]
pub(super) struct AskedBeside {
    pub(super) format: Option<Format>,
}

impl Format {
    /// Appends an event.
    pub(super) fn write_event(self, event: &Event, to: &mut String) {
        match self {
            Self::Bartizan => event.write_json(to),
            Self::Ocsf => ocsf::write_event(event, to),
        }
    }

    /// An alert.
    pub(super) fn alert(self, alert: &Alert) -> Value {
        match self {
            Self::Bartizan => serde_json::to_value(alert).unwrap_or_default(),
            Self::Ocsf => ocsf::alert(alert),
        }
    }

    /// Adds what people have said of it.
    pub(super) fn add_comments(self, comments: &[Comment], alert: &mut Value) {
        match self {
            Self::Bartizan => alert["comments"] = json!(comments),
            Self::Ocsf => {
                let said = comments.iter().filter(|comment| !comment.text.is_empty());
                let notes: Vec<Value> = said
                    .map(|comment| json!({"comment": comment.text, "created_time": comment.at.millis(), "owner": {"name": comment.who}}))
                    .collect();
                if !notes.is_empty() {
                    alert["notes"] = json!(notes);
                }
            }
        }
    }
}
