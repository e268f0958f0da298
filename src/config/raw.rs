//! From text to a table that is known to fit the settings: every key and value is checked against the schema, each problem keeps
//! its line, and what is wrong is left out so that the rest can be checked too.

use std::collections::BTreeMap;

use serde_json::Value as Schema;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::format;
use super::report::Problem;
use crate::model::distance;

/// What reading one file gave.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) table: Table,
    /// Line by path: `server.listen`, `source[0].kind`.
    pub(super) lines: BTreeMap<String, usize>,
    pub(super) problems: Vec<Problem>,
}

/// The schema of what may hold `null`, without the `null`.
fn concrete(schema: &Schema) -> &Schema {
    let choice = schema.get("anyOf").and_then(Schema::as_array);
    choice.and_then(|all| all.iter().find(|one| one.get("type").and_then(Schema::as_str) != Some("null"))).unwrap_or(schema)
}

/// The JSON type that the schema asks for.
pub(super) fn type_of(schema: &Schema) -> &str {
    match concrete(schema).get("type") {
        Some(Schema::Array(types)) => types.iter().filter_map(Schema::as_str).find(|name| *name != "null").unwrap_or_default(),
        Some(Schema::String(name)) => name,
        _ => "string", // An enum of documented words has no `type` at its top.
    }
}

/// Reads a file.
pub(super) fn read(text: &str, place: &str, schema: &Schema) -> Raw {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { text, place, raw: Raw::default() };
    if errors.is_empty() {
        reader.raw.table = reader.table("", table.get_ref(), schema);
    }
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.problem(at, error.message().lines().next().unwrap_or_default().to_owned());
    }
    reader.raw
}

struct Reader<'a> {
    text: &'a str,
    place: &'a str,
    raw: Raw,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
    }

    fn problem(&mut self, at: usize, text: String) {
        let line = Some(self.line(at));
        self.raw.problems.push(Problem { place: self.place.to_owned(), line, text });
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>, schema: &Schema) -> Table {
        let schema = concrete(schema);
        let known = schema.get("properties").and_then(Schema::as_object);
        let open = schema.get("additionalProperties").filter(|value| value.is_object());
        let mut out = Table::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let at = key.span().start;
            let Some(inner) = known.and_then(|known| known.get(name)).or(open) else {
                self.unknown(at, path, name, known);
                continue;
            };
            let inner_path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let line = self.line(at);
            self.raw.lines.insert(inner_path.clone(), line);
            if let Some(value) = self.value(&inner_path, value, inner) {
                out.insert(name.to_owned(), value);
            }
        }
        out
    }

    fn unknown(&mut self, at: usize, path: &str, name: &str, known: Option<&serde_json::Map<String, Schema>>) {
        let names = || known.into_iter().flat_map(|known| known.keys()).map(String::as_str);
        let near = names().map(|known| (distance(name, known), known)).filter(|(far, known)| *far <= known.len().max(name.len()).max(3) / 2).min();
        let place = if path.is_empty() { "at the top".to_owned() } else { format!("in `{path}`") };
        let advice = match near {
            Some((_, near)) => format!("did you mean `{near}`?"),
            None if known.is_none_or(serde_json::Map::is_empty) => "nothing can be set there".to_owned(),
            None => format!("known: {}", names().collect::<Vec<_>>().join(", ")),
        };
        self.problem(at, format!("unknown key `{}` {place} ({advice})", name.escape_debug()));
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>, schema: &Schema) -> Option<Value> {
        let at = value.span().start;
        let inner = concrete(schema);
        let checked = match (type_of(schema), value.get_ref()) {
            ("object", DeValue::Table(table)) => return Some(Value::Table(self.table(path, table, inner))),
            ("array", DeValue::Array(items)) => {
                let each = inner.get("items").unwrap_or(&Schema::Null);
                let mut out = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let item_path = format!("{path}[{index}]");
                    let line = self.line(item.span().start);
                    self.raw.lines.insert(item_path.clone(), line);
                    out.extend(self.value(&item_path, item, each));
                }
                return Some(Value::Array(out));
            }
            ("string", DeValue::String(text)) => text_value(text, schema),
            ("integer", DeValue::Integer(number)) => i64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| "is too large a number".to_owned())
                .and_then(|number| integer_value(number, inner)),
            ("boolean", DeValue::Boolean(value)) => Ok(Value::Boolean(*value)),
            (wanted, found) => Err(format!("must be {}, not {}", article(wanted), article(found.type_str()))),
        };
        checked.map_err(|why| self.problem(at, format!("`{path}` {why}"))).ok()
    }
}

fn article(kind: &str) -> String {
    let kind = if kind == "object" { "table" } else { kind };
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// The words an enum allows.
fn words(schema: &Schema) -> Option<Vec<&str>> {
    let schema = concrete(schema);
    let listed = schema.get("enum").and_then(Schema::as_array).map(|all| all.iter().filter_map(Schema::as_str).collect());
    listed.or_else(|| {
        schema.get("oneOf").and_then(Schema::as_array).map(|all| all.iter().filter_map(|one| one.get("const").and_then(Schema::as_str)).collect())
    })
}

fn text_value(text: &str, schema: &Schema) -> Result<Value, String> {
    if let Some(words) = words(schema)
        && !words.contains(&text)
    {
        return Err(format!("must be one of {}", words.join(", ")));
    }
    let named = schema.get("format").or_else(|| concrete(schema).get("format")).and_then(Schema::as_str);
    format::check(named.unwrap_or_default(), text)?;
    Ok(Value::String(text.to_owned()))
}

fn integer_value(number: i64, schema: &Schema) -> Result<Value, String> {
    let bound = |key: &str| schema.get(key).and_then(Schema::as_i64);
    let min = bound("minimum").unwrap_or(0);
    let max = bound("maximum").unwrap_or(i64::from(u32::MAX));
    if (min..=max).contains(&number) { Ok(Value::Integer(number)) } else { Err(format!("must be from {min} to {max}")) }
}

/// Reads a value out of a variable: text as is, numbers and booleans as spelled, a list by its commas.
fn variable(text: &str, schema: &Schema) -> Result<Value, String> {
    match type_of(schema) {
        "integer" => text.trim().parse().map_err(|_| "must be a number".to_owned()).and_then(|number| integer_value(number, concrete(schema))),
        "boolean" => text.trim().parse().map(Value::Boolean).map_err(|_| "must be `true` or `false`".to_owned()),
        "array" => {
            let each = concrete(schema).get("items").unwrap_or(&Schema::Null);
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(|item| text_value(item, each)).collect::<Result<_, _>>().map(Value::Array)
        }
        _ => text_value(text, schema),
    }
}

/// Lays the variables of a section over its table: `BARTIZAN_SERVER_TLS_CERT` is `server.tls.cert`.
pub(super) fn overlay_variables(prefix: &str, table: &mut Table, schema: &Schema, env: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<Problem>) {
    let Some(known) = concrete(schema).get("properties").and_then(Schema::as_object) else { return };
    for (key, inner) in known {
        let name = format!("{prefix}_{}", key.to_uppercase());
        let items = concrete(inner).get("items");
        if items.is_some_and(|items| type_of(items) == "object") {
            continue; // Arrays of tables take no variables.
        }
        if type_of(inner) == "object" {
            let mut nested = table.get(key).and_then(Value::as_table).cloned().unwrap_or_default();
            overlay_variables(&name, &mut nested, inner, env, problems);
            if !nested.is_empty() {
                table.insert(key.clone(), Value::Table(nested));
            }
        } else if let Some(text) = env(&name) {
            match variable(&text, inner) {
                Ok(value) => drop(table.insert(key.clone(), value)),
                Err(why) => problems.push(Problem { place: "environment".to_owned(), line: None, text: format!("`{name}` {why}") }),
            }
        }
    }
}

/// Lays one table over another; tables are merged, everything else is replaced.
pub(super) fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}
