//! What the keys say of each other: kinds and their keys, names that must be unique or known.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::report::Problem;
use super::source::{KindRow, NOTIFIER_COMMON, NOTIFIER_KINDS, SOURCE_COMMON, SOURCE_KINDS, SourceSettings};
use super::{Config, Secret};
use crate::model::Kind;
use crate::normalize::Workload;
use crate::source::tail::Paths;

/// Kinds of alternative names in certificates.
const SAN_KINDS: [&str; 4] = ["dns:", "uri:", "email:", "ip:"];
/// Bytes of a name in `redact.keys`.
const KEY_BYTES_MAX: usize = 128;
/// Most sources, notifiers and routes, each: they become labels of metrics and tasks.
pub const ENTRIES_MAX: usize = 256;

/// Collects problems with the line that a path stands on.
pub(super) struct Checker<'a> {
    pub(super) place: &'a str,
    pub(super) lines: &'a BTreeMap<String, usize>,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    pub(super) fn problem(&mut self, path: &str, text: String) {
        let line = self.lines.get(path).copied();
        self.problems.push(Problem { place: self.place.to_owned(), line, text });
    }

    /// Each entry of an array of tables against the table of its kinds.
    pub(super) fn kinds(&mut self, file: &Table) {
        self.entries(file, "source", SOURCE_COMMON, SOURCE_KINDS);
        self.entries(file, "notifier", NOTIFIER_COMMON, NOTIFIER_KINDS);
    }

    fn entries(&mut self, file: &Table, array: &str, common: &[&str], kinds: &[KindRow]) {
        let entries = file.get(array).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if entries.len() > ENTRIES_MAX {
            self.problem(array, format!("at most {ENTRIES_MAX} of `[[{array}]]` are read"));
        }
        for (index, entry) in entries.iter().filter_map(Value::as_table).enumerate() {
            let path = format!("{array}[{index}]");
            let Some(kind) = entry.get("kind").and_then(Value::as_str) else {
                if !self.lines.contains_key(&format!("{path}.kind")) {
                    self.problem(&path, format!("`{path}` has no `kind`"));
                }
                continue;
            };
            match kinds.iter().find(|row| row.name == kind) {
                Some(row) => self.entry(&path, entry, array, common, row, kinds),
                None => {
                    let known = kinds.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
                    self.problem(&format!("{path}.kind"), format!("unknown kind `{}` of {array} (known: {known})", kind.escape_debug()));
                }
            }
        }
    }

    fn entry(&mut self, path: &str, entry: &Table, array: &str, common: &[&str], row: &KindRow, kinds: &[KindRow]) {
        if let Some((feature, false)) = row.feature {
            let text = format!("a {array} of kind `{}` needs a build with the feature `{feature}` (cargo build --features {feature})", row.name);
            self.problem(&format!("{path}.kind"), text);
        }
        let has = |key: &str| self.lines.contains_key(&format!("{path}.{key}"));
        let missing: Vec<&str> = ["name"].iter().chain(row.required).copied().filter(|key| !has(key)).collect();
        for key in missing {
            self.problem(path, format!("`{path}` of kind `{}` has no `{key}`", row.name));
        }
        for key in entry.keys().map(String::as_str) {
            if common.contains(&key) || row.required.contains(&key) || row.optional.contains(&key) {
                continue;
            }
            let owners: Vec<&str> =
                kinds.iter().filter(|row| row.required.contains(&key) || row.optional.contains(&key)).map(|row| row.name).collect();
            self.problem(
                &format!("{path}.{key}"),
                format!("a {array} of kind `{}` has no key `{key}` (kind `{}` has)", row.name, owners.join("`, `")),
            );
        }
    }

    /// What holds over the whole configuration.
    pub(super) fn whole(&mut self, config: &Config) {
        if let Some(tls) = &config.server.tls
            && tls.cert.is_some() != tls.key.is_some()
        {
            self.problem("server.tls", "`server.tls` needs both `cert` and `key`".to_owned());
        }
        self.clients(config);
        if config.server.body_bytes_max > config.server.bodies_in_flight_bytes_max {
            self.problem("server.body_bytes_max", "`server.body_bytes_max` must not be larger than `server.bodies_in_flight_bytes_max`".to_owned());
        }
        for (index, key) in config.redact.keys.iter().enumerate() {
            if key.is_empty() || key.len() > KEY_BYTES_MAX {
                let text = format!("`redact.keys[{index}]` must be the name of one member (not a path) of 1 to {KEY_BYTES_MAX} bytes");
                self.problem(&format!("redact.keys[{index}]"), text);
            }
        }
        self.unique("source", config.sources.iter().map(|source| source.name.as_str()));
        self.unique("drop", config.drops.iter().map(|drop| drop.name.as_str()));
        for (index, drop) in config.drops.iter().enumerate() {
            if drop.name.is_empty() {
                self.problem(&format!("drop[{index}]"), format!("`drop[{index}]` has no `name`"));
            }
            let path = format!("drop[{index}].query");
            match crate::query::parse(&drop.query) {
                Ok(_) if drop.query.trim().is_empty() => {
                    self.problem(&path, format!("`{path}` is empty, which would be every event: write `*` if that is meant"))
                }
                Ok(_) => {}
                Err(error) => self.problem(&path, format!("`{path}`: {error}")),
            }
        }
        if config.drops.len() > ENTRIES_MAX {
            self.problem("drop", format!("at most {ENTRIES_MAX} of `[[drop]]` are read"));
        }
        self.unique("notifier", config.notifiers.iter().map(|notifier| notifier.name.as_str()));
        for (index, source) in config.sources.iter().enumerate() {
            for (at, kind) in source.kinds.iter().enumerate().filter(|(_, kind)| Kind::by_name(kind).is_none()) {
                let path = format!("source[{index}].kinds[{at}]");
                self.problem(
                    &path,
                    format!("`{path}` must be a kind of event ({}), not `{}`", Kind::ALL.map(Kind::name).join(", "), kind.escape_debug()),
                );
            }
            for (at, line) in source.workloads.iter().flatten().enumerate() {
                if let Err(error) = line.parse::<Workload>() {
                    let path = format!("source[{index}].workloads[{at}]");
                    self.problem(&path, format!("`{path}`: {error}"));
                }
            }
            if source.kind == "file" {
                self.files(index, source);
            }
            self.kafka(index, source);
            if source.access_key.is_some() != source.secret_key.is_some() {
                self.problem(&format!("source[{index}]"), format!("`source[{index}]` needs both `access_key` and `secret_key`, or none"));
            }
        }
        for (index, route) in config.routes.iter().enumerate() {
            if route.notifiers.is_empty() {
                self.problem(&format!("route[{index}]"), format!("`route[{index}]` names no notifiers"));
            }
            for (at, name) in route.notifiers.iter().enumerate() {
                if !config.notifiers.iter().any(|notifier| notifier.name == *name) {
                    self.problem(&format!("route[{index}].notifiers[{at}]"), format!("there is no notifier `{}`", name.escape_debug()));
                }
            }
        }
    }

    /// What client certificates mean.
    fn clients(&mut self, config: &Config) {
        let Some(tls) = &config.server.tls else { return };
        if tls.client_ca.is_some() && tls.cert.is_none() {
            self.problem("server.tls.client_ca", "`server.tls.client_ca` needs `cert` and `key` beside it".to_owned());
        }
        if !tls.clients.is_empty() && tls.client_ca.is_none() {
            self.problem("server.tls.client", "`[[server.tls.client]]` needs `client_ca`: the authority that vouches for clients".to_owned());
        }
        for (index, client) in tls.clients.iter().enumerate() {
            let path = format!("server.tls.client[{index}]");
            if client.name.is_empty() {
                self.problem(&path, format!("`{path}` has no `name`"));
            }
            if client.subject.is_none() && client.san.is_none() {
                self.problem(&path, format!("`{path}` has neither `subject` nor `san`: it would be nobody"));
            }
            if client.san.as_ref().is_some_and(|san| !SAN_KINDS.iter().any(|kind| san.starts_with(kind) && san.len() > kind.len())) {
                self.problem(&format!("{path}.san"), format!("`{path}.san` must say its kind: one of {}", SAN_KINDS.join(", ")));
            }
            for (at, kind) in client.kinds.iter().enumerate().filter(|(_, kind)| Kind::by_name(kind).is_none()) {
                let path = format!("{path}.kinds[{at}]");
                let known = Kind::ALL.map(Kind::name).join(", ");
                self.problem(&path, format!("`{path}` must be a kind of event ({known}), not `{}`", kind.escape_debug()));
            }
        }
    }

    /// Which files a source reads.
    fn files(&mut self, index: usize, source: &SourceSettings) {
        if source.all_paths().is_empty() {
            self.problem(&format!("source[{index}]"), format!("`source[{index}]` of kind `file` has no `paths`"));
        }
        let lists = [("paths", source.all_paths()), ("exclude", source.exclude.clone().unwrap_or_default())];
        for (key, patterns) in lists {
            for (at, pattern) in patterns.iter().enumerate() {
                if let Err(why) = Paths::parse(std::slice::from_ref(pattern), std::slice::from_ref(pattern)) {
                    let path = format!("source[{index}].{key}[{at}]");
                    self.problem(&path, format!("`{path}`: {why}"));
                }
            }
        }
    }

    fn unique<'n>(&mut self, array: &str, names: impl Iterator<Item = &'n str>) {
        let mut seen = std::collections::BTreeSet::new();
        for (index, name) in names.enumerate() {
            if !name.is_empty() && !seen.insert(name) {
                self.problem(&format!("{array}[{index}].name"), format!("there is another {array} named `{name}`"));
            }
        }
    }

    /// Fetches every secret.
    pub(super) fn secrets(&mut self, config: &mut Config, env: &dyn Fn(&str) -> Option<String>) {
        let mut failed: Vec<(String, String)> = Vec::new();
        let mut resolve = |path: String, secret: &mut Option<Secret>| {
            if let Some(Err(why)) = secret.as_mut().map(|secret| secret.resolve(env)) {
                failed.push((path, why));
            }
        };
        for (index, source) in config.sources.iter_mut().enumerate() {
            resolve(format!("source[{index}].access_key"), &mut source.access_key);
            resolve(format!("source[{index}].secret_key"), &mut source.secret_key);
            resolve(format!("source[{index}].password"), &mut source.password);
        }
        for (index, notifier) in config.notifiers.iter_mut().enumerate() {
            resolve(format!("notifier[{index}].secret"), &mut notifier.secret);
        }
        for (path, why) in failed {
            self.problem(&path, format!("`{path}`: {why}"));
        }
    }
}
