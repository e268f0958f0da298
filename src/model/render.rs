//! JSON out: an event as `decode`, `search` and the API show it.

use super::{Emitter, Event, Field, FieldType, Value, ValueKind};

/// Writes a JSON string. C1 controls, bidi and zero-width characters are escaped too, so that no value moves a terminal or hides in a page.
pub fn write_json_string(text: &str, to: &mut String) {
    use std::fmt::Write as _;
    to.push('"');
    for c in text.chars() {
        match c {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                let _ = write!(to, "\\u{:04x}", u32::from(c));
            }
            c => to.push(c),
        }
    }
    to.push('"');
}

/// Copies JSON text without the white space between its tokens: one line, whatever came.
pub fn write_compact_json(json: &str, to: &mut String) {
    let mut in_string = false;
    let mut is_escaped = false;
    for c in json.chars() {
        if in_string {
            in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else if c == '"' {
            in_string = true;
        }
        match c {
            '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\0'..='\u{1f}'
                if in_string =>
            {
                use std::fmt::Write as _;
                let _ = write!(to, "\\u{:04x}", u32::from(c));
            }
            c => to.push(c),
        }
    }
}

fn write_value(value: Value<'_>, to: &mut String) {
    match value.kind {
        ValueKind::Text => write_json_string(value.text, to),
        ValueKind::Number | ValueKind::Bool | ValueKind::Null => to.push_str(value.text),
    }
}

impl Field {
    /// Whether the field is a list in output even when it has one value.
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::ActorUserGroups
                | Self::SrcIps
                | Self::DstNames
                | Self::PodHostPaths
                | Self::PodCapabilities
                | Self::PodImages
                | Self::PodCommands
                | Self::PodHostPorts
                | Self::PodProcMount
                | Self::RbacSubjects
                | Self::RbacVerbs
                | Self::RbacResources
                | Self::RbacApiGroups
                | Self::Entity
        )
    }
}

impl Event {
    /// Appends the event as one line of JSON (CONTRACTS 3), without a line end.
    pub fn write_json(&self, to: &mut String) {
        let mut values: Vec<(Field, Value<'_>)> = self.facts.iter(&self.doc).collect();
        values.sort_by_key(|(field, _)| *field);
        to.push('{');
        let mut open: Vec<&str> = Vec::new();
        let mut is_first = true;
        for group in values.chunk_by(|a, b| a.0 == b.0) {
            let field = group[0].0;
            let mut segments: Vec<&str> = field.name().split('.').collect();
            let leaf = segments.pop().unwrap_or_default();
            let shared = open.iter().zip(&segments).take_while(|(a, b)| a == b).count();
            for _ in shared..open.len() {
                to.push('}');
                is_first = false;
            }
            open.truncate(shared);
            for segment in &segments[shared..] {
                separate(&mut is_first, to);
                write_json_string(segment, to);
                to.push_str(":{");
                is_first = true;
                open.push(segment);
            }
            separate(&mut is_first, to);
            write_json_string(leaf, to);
            to.push(':');
            write_group(field, group, to);
        }
        open.iter().for_each(|_| to.push('}'));
        if !values.is_empty() {
            to.push(',');
        }
        self.write_provenance(to);
        to.push_str(",\"raw\":");
        write_compact_json(self.doc.text(), to);
        to.push('}');
    }

    fn write_provenance(&self, to: &mut String) {
        to.push_str("\"provenance\":{\"source\":");
        write_json_string(&self.origin.source.0, to);
        to.push_str(",\"object\":");
        write_json_string(&self.origin.object, to);
        to.push_str(",\"partition\":");
        write_json_string(&self.origin.partition.0, to);
        to.push_str(&format!(",\"position\":{},\"offset\":{}", self.position.0, self.offset));
        if let Some(by) = self.wrapped.by.as_deref() {
            if let Some(stream) = &by.stream {
                to.push_str(",\"stream\":");
                write_json_string(stream, to);
            }
            if let Some(Emitter { namespace, pod, container }) = by.emitter.as_ref().filter(|emitter| !emitter.pod.is_empty()) {
                to.push_str(",\"emitter\":");
                write_json_string(&format!("{namespace}/{pod}/{container}"), to);
            }
        }
        to.push('}');
    }
}

fn separate(is_first: &mut bool, to: &mut String) {
    if !*is_first {
        to.push(',');
    }
    *is_first = false;
}

fn write_group(field: Field, group: &[(Field, Value<'_>)], to: &mut String) {
    let is_list = field.is_list() || group.len() > 1;
    if is_list {
        to.push('[');
    }
    for (at, (_, value)) in group.iter().enumerate() {
        if at > 0 {
            to.push(',');
        }
        // A number that its source wrote as a string (int64 in protobuf's JSON) is a number here.
        let is_spelled = field.kind() == FieldType::Number
            && value.kind == ValueKind::Text
            && value.text.parse::<i64>().is_ok_and(|n| n.to_string() == value.text);
        if is_spelled { to.push_str(value.text) } else { write_value(*value, to) }
    }
    if is_list {
        to.push(']');
    }
}
