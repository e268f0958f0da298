//! The schema, compiled from its sources: classes and objects with what they inherit, include and take from the dictionary.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use regex::Regex;
use serde_json::{Map, Value};

/// An attribute as a class or an object has it.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) is_required: bool,
    pub(super) is_array: bool,
    pub(super) is_deprecated: bool,
    /// A scalar type such as `ip_t`, or the name of an object.
    pub(super) kind: String,
    /// Captions by value, where it is an enumeration.
    pub(super) choices: BTreeMap<String, String>,
    /// The attribute that spells an enumerated value out.
    pub(super) sibling: Option<String>,
    /// Profiles any of which brings it; none: it is always there.
    pub(super) profiles: Vec<String>,
}

/// A class or an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) at_least_one: Vec<String>,
    pub(super) just_one: Vec<String>,
}

/// A scalar type.
#[derive(Debug)]
pub(super) struct Scalar {
    /// `string_t`, `integer_t`, `long_t`, `float_t`, `boolean_t` or `json_t`.
    pub(super) base: String,
    pub(super) regex: Option<Regex>,
    pub(super) len_max: Option<usize>,
    pub(super) range: Option<(i64, i64)>,
}

/// A class and its number.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) category_uid: i64,
    pub(super) category: String,
    pub(super) caption: String,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) struct Schema {
    pub(super) version: String,
    /// By `class_uid`.
    pub(super) classes: BTreeMap<i64, Class>,
    pub(super) objects: BTreeMap<String, Shape>,
    pub(super) scalars: BTreeMap<String, Scalar>,
    /// Captions of the observables' types, where a scalar type or an attribute of the dictionary is one.
    pub(super) observables: BTreeMap<i64, Option<String>>,
}

/// The JSON files of a `.tar.zst`, by path.
fn unpack(archive: &Path) -> BTreeMap<String, Value> {
    let mut tar = Vec::new();
    zstd::Decoder::new(std::fs::File::open(archive).unwrap()).unwrap().read_to_end(&mut tar).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let mut files = BTreeMap::new();
    let mut at = 0;
    while at + 512 <= tar.len() && tar[at] != 0 {
        let header = &tar[at..at + 512];
        let size = usize::from_str_radix(text(&header[124..135]).trim(), 8).unwrap();
        let name = text(&header[..100]);
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        if matches!(header[156], b'0' | 0) && name.ends_with(".json") {
            files.insert(name, serde_json::from_slice(&tar[at + 512..at + 512 + size]).unwrap());
        }
        at += 512 + size.div_ceil(512) * 512;
    }
    files
}

/// Lays one description over another, objects member by member.
fn overlay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => over.iter().for_each(|(key, value)| match under.get_mut(key) {
            Some(known) => overlay(known, value),
            None => {
                under.insert(key.clone(), value.clone());
            }
        }),
        (under, over) => *under = over.clone(),
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

struct Sources {
    files: BTreeMap<String, Value>,
    /// Files of classes or of objects, by the name in them.
    names: BTreeMap<(bool, String), String>,
}

impl Sources {
    /// What a file says itself, with what it includes below that.
    fn own(&self, file: &Value) -> Value {
        let mut all = Value::Object(Map::new());
        for path in texts(file["attributes"].get("$include")) {
            let included = &self.files[&path];
            let mut attributes = self.own(included);
            if path.starts_with("profiles/") {
                for attribute in attributes.as_object_mut().unwrap().values_mut() {
                    attribute["profile"] = included["name"].clone();
                }
            }
            overlay(&mut all, &attributes);
        }
        let mut own = file["attributes"].clone();
        own.as_object_mut().unwrap().remove("$include");
        overlay(&mut all, &own);
        all
    }

    /// The chain of what a class or object extends, the root first.
    fn chain(&self, is_class: bool, name: &str) -> Vec<&Value> {
        let file = &self.files[&self.names[&(is_class, name.to_owned())]];
        let mut chain = file["extends"].as_str().map(|parent| self.chain(is_class, parent)).unwrap_or_default();
        chain.push(file);
        chain
    }

    fn shape(&self, is_class: bool, name: &str) -> Shape {
        let chain = self.chain(is_class, name);
        let mut all = Value::Object(Map::new());
        chain.iter().for_each(|file| overlay(&mut all, &self.own(file)));
        let dictionary = &self.files["dictionary.json"]["attributes"];
        let attributes = all.as_object().unwrap().iter().map(|(key, says)| {
            let mut whole = dictionary.get(key).unwrap_or_else(|| panic!("`{key}` of `{name}` is not in the dictionary")).clone();
            overlay(&mut whole, says);
            (key.clone(), attribute(&whole))
        });
        let constraints = chain.iter().rev().find_map(|file| file.get("constraints"));
        let constraint = |kind: &str| texts(constraints.and_then(|constraints| constraints.get(kind)));
        Shape { name: name.to_owned(), attributes: attributes.collect(), at_least_one: constraint("at_least_one"), just_one: constraint("just_one") }
    }

    fn class(&self, name: &str) -> Option<(i64, Class)> {
        let chain = self.chain(true, name);
        let last = chain.last().unwrap();
        let category = chain.iter().rev().find_map(|file| file["category"].as_str()).unwrap();
        let described = self.files["categories.json"]["attributes"].get(category);
        let (category_uid, category) =
            described.map_or((0, "Uncategorized"), |says| (says["uid"].as_i64().unwrap(), says["caption"].as_str().unwrap()));
        let uid = if name == "base_event" { 0 } else { category_uid * 1000 + last["uid"].as_i64()? };
        let caption = last["caption"].as_str().unwrap().to_owned();
        Some((uid, Class { category_uid, category: category.to_owned(), caption, shape: self.shape(true, name) }))
    }
}

fn attribute(says: &Value) -> Attribute {
    let choices = says["enum"].as_object().into_iter().flatten();
    Attribute {
        is_required: says["requirement"] == "required",
        is_array: says["is_array"] == true,
        is_deprecated: says.get("@deprecated").is_some(),
        kind: says["type"].as_str().unwrap().to_owned(),
        choices: choices.map(|(value, choice)| (value.clone(), choice["caption"].as_str().unwrap_or_default().to_owned())).collect(),
        sibling: says["sibling"].as_str().map(str::to_owned),
        profiles: texts(says.get("profile")),
    }
}

impl Schema {
    /// Compiles the sources in this archive.
    pub(super) fn compile(archive: &Path) -> Self {
        let files = unpack(archive);
        let mut names = BTreeMap::new();
        for (path, file) in &files {
            let is_class = path.starts_with("events/");
            if is_class || path.starts_with("objects/") {
                names.insert((is_class, file["name"].as_str().unwrap().to_owned()), path.clone());
            }
        }
        let sources = Sources { files, names };
        let all: BTreeSet<&(bool, String)> = sources.names.keys().collect();
        let classes = all.iter().filter(|(is_class, _)| *is_class).filter_map(|(_, name)| sources.class(name)).collect();
        let objects = all.iter().filter(|(is_class, _)| !is_class).map(|(_, name)| (name.clone(), sources.shape(false, name))).collect();
        let dictionary = &sources.files["dictionary.json"];
        let version = sources.files["version.json"]["version"].as_str().unwrap().to_owned();
        Self { version, classes, objects, scalars: scalars(dictionary), observables: observables(&sources) }
    }
}

fn scalars(dictionary: &Value) -> BTreeMap<String, Scalar> {
    let types = dictionary["types"]["attributes"].as_object().unwrap();
    let scalar = |name: &String, says: &Value| Scalar {
        base: says["type"].as_str().unwrap_or(name).to_owned(),
        regex: says["regex"].as_str().map(|regex| Regex::new(regex).unwrap()),
        len_max: says["max_len"].as_u64().map(|len| usize::try_from(len).unwrap()),
        range: says["range"].as_array().map(|range| (range[0].as_i64().unwrap(), range[1].as_i64().unwrap())),
    };
    types.iter().map(|(name, says)| (name.clone(), scalar(name, says))).collect()
}

fn observables(sources: &Sources) -> BTreeMap<i64, Option<String>> {
    let mut found: BTreeMap<i64, Option<String>> = [(0, Some("Unknown".to_owned())), (99, None)].into();
    for path in sources.names.values() {
        let file = &sources.files[path];
        let within = file["attributes"].as_object().into_iter().flat_map(Map::values);
        found.extend(within.chain([file]).filter_map(|says| says.get("observable")?.as_i64()).map(|id| (id, None)));
    }
    let dictionary = &sources.files["dictionary.json"];
    for table in [&dictionary["attributes"], &dictionary["types"]["attributes"]] {
        for says in table.as_object().unwrap().values() {
            if let Some(id) = says["observable"].as_i64() {
                found.insert(id, says["caption"].as_str().map(str::to_owned));
            }
        }
    }
    found
}
