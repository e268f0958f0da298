//! A JSON object in the making: what is empty or null is left out.

use serde_json::{Map, Value};

/// An object whose members all say something.
#[derive(Debug, Default, Clone)]
pub(super) struct Object(Map<String, Value>);

impl Object {
    /// With one member, unless that is empty.
    pub(super) fn with(key: &str, value: impl Into<Value>) -> Self {
        let mut object = Self::default();
        object.put(key, value);
        object
    }

    /// Adds a member, unless it is null, an empty text, an empty list or an empty object.
    pub(super) fn put(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        let is_empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !is_empty {
            self.0.insert(key.to_owned(), value);
        }
    }

    /// An enumerated attribute: `key_id`, and its caption as `key`.
    pub(super) fn choose(&mut self, key: &str, (id, caption): (i64, &str)) {
        self.put(&format!("{key}_id"), id);
        self.put(key, caption);
    }

    /// A member at a dotted path, unless it is empty; objects on the way are made.
    pub(super) fn put_at(&mut self, path: &str, value: impl Into<Value>) {
        let (way, key) = path.rsplit_once('.').map_or((None, path), |(way, key)| (Some(way), key));
        let leaf = Self::with(key, value);
        if leaf.is_empty() {
            return;
        }
        let mut at = &mut self.0;
        for segment in way.iter().flat_map(|way| way.split('.')) {
            let Value::Object(inner) = at.entry(segment).or_insert_with(|| Value::Object(Map::new())) else { return };
            at = inner;
        }
        at.extend(leaf.0);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members.
    pub(super) fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Takes in the members of another; they replace those of the same key.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}
