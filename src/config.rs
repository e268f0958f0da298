//! The configuration: one TOML file over the defaults, variables over both, checked whole before anything is built.
//!
//! `default.toml` is the only place where a default stands. The schema drawn from the settings drives the checks, so a key has one
//! definition. Nothing here opens or starts what it describes; only secrets are fetched.

mod check;
mod format;
mod kafka;
mod raw;
mod report;
mod secret;
mod settings;
mod source;
#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::Path;

use serde_json::Value as Schema;
use toml::{Table, Value};

pub use check::ENTRIES_MAX;
pub use report::{Problem, Report};
pub use secret::{SECRET_BYTES_MAX, Secret};
pub use settings::{
    ClientSettings, Config, DetectSettings, EnrichSettings, LogFormat, LogSettings, RedactSettings, ScopeName, ServerSettings, StoreSettings,
    TlsSettings,
};
pub use source::{DropSettings, NotifierSettings, RouteSettings, SaslName, SourceSettings, StartName};

/// Every default, with comments: a file to start from.
pub const DEFAULT_TOML: &str = include_str!("config/default.toml");

/// Longest configuration file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The arrays of tables, whose entries in `default.toml` are the defaults of a kind and no entries.
const ARRAYS: [&str; 4] = ["source", "drop", "notifier", "route"];

impl Config {
    /// Loads a file over the defaults, then the variables that `env` knows; without a file, the defaults and variables.
    ///
    /// # Errors
    /// Every problem there is, in one report.
    pub fn load(path: Option<&Path>, env: impl Fn(&str) -> Option<String>) -> Result<Self, Report> {
        let Some(path) = path else { return Self::parse("", "bartizan.toml", &env) };
        let place = path.display().to_string();
        let text = read_file(path).map_err(|why| Report { problems: vec![Problem { place: place.clone(), line: None, text: why }] })?;
        Self::parse(&text, &place, &env)
    }

    /// The same from text; `place` is what problems call it.
    pub fn parse(text: &str, place: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Report> {
        let schema = Self::checked_schema();
        let defaults = raw::read(DEFAULT_TOML, "default.toml", &schema);
        let mut file = raw::read(text, place, &schema);
        let mut checker = check::Checker { place, lines: &file.lines, problems: &mut file.problems };
        checker.kinds(&file.table);

        let mut table = defaults.table;
        let templates: Vec<(&str, Option<Value>)> = ARRAYS.map(|array| (array, table.remove(array))).into();
        for (array, template) in &templates {
            fill(&mut file.table, array, template.as_ref());
        }
        raw::overlay(&mut table, std::mem::take(&mut file.table));
        let mut problems = std::mem::take(&mut file.problems);
        raw::overlay_variables("BARTIZAN", &mut table, &schema, env, &mut problems);

        let mut config = match table.try_into::<Self>() {
            Ok(config) => config,
            Err(error) => {
                if problems.is_empty() {
                    problems.push(Problem { place: place.to_owned(), line: None, text: error.message().to_owned() });
                }
                return Err(Report { problems });
            }
        };
        let mut checker = check::Checker { place, lines: &file.lines, problems: &mut problems };
        checker.whole(&config);
        checker.secrets(&mut config, env);
        if problems.is_empty() {
            return Ok(config);
        }
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        Err(Report { problems })
    }

    /// The effective configuration as TOML: every default is in it, no secret is.
    pub fn print(&self) -> String {
        toml::to_string_pretty(self).expect("settings are tables of plain values")
    }

    /// The JSON Schema of the file, for editors.
    pub fn schema() -> Schema {
        let mut schema = Self::checked_schema();
        open_defaults(&mut schema);
        schema
    }

    /// The schema with everything in place, which the checks walk.
    fn checked_schema() -> Schema {
        let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<Self>().to_value()
    }
}

/// In a file every key may be left out: the defaults are laid under it. Only entries of arrays say what they are.
fn open_defaults(schema: &mut Schema) {
    match schema {
        Schema::Object(members) => {
            members.remove("required");
            members.values_mut().for_each(open_defaults);
        }
        Schema::Array(items) => items.iter_mut().for_each(open_defaults),
        _ => {}
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let fail = |error: std::io::Error| format!("cannot read the configuration: {error}");
    std::fs::File::open(path).map_err(fail)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("the configuration is longer than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// Lays every entry of an array over the defaults of its kind.
fn fill(file: &mut Table, array: &str, templates: Option<&Value>) {
    let templates = templates.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let Some(entries) = file.get_mut(array).and_then(Value::as_array_mut) else { return };
    for entry in entries.iter_mut().filter_map(Value::as_table_mut) {
        let is_same = |template: &&Value| template.get("kind") == entry.get("kind");
        if let Some(template) = templates.iter().find(is_same).and_then(Value::as_table) {
            let mut whole = template.clone();
            raw::overlay(&mut whole, std::mem::take(entry));
            *entry = whole;
        }
    }
}
