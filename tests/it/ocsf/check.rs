//! What is wrong with an event, by the schema and by the house's own rule that nothing empty is written.

use serde_json::{Map, Value};

use super::schema::{Attribute, Schema, Shape};

/// Every fault of an event, each with its place.
pub(super) fn faults(schema: &Schema, event: &Value) -> Vec<String> {
    let mut check = Check { schema, profiles: Vec::new(), faults: Vec::new() };
    let Some(members) = event.as_object() else { return vec!["no object".to_owned()] };
    let Some(class) = members.get("class_uid").and_then(Value::as_i64).and_then(|uid| schema.classes.get(&uid)) else {
        return vec![format!("class_uid: no class {}", event["class_uid"])];
    };
    check.profiles = event["metadata"]["profiles"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    check.object(&class.shape, members, "");
    check.heads(event, class.category_uid);
    for (key, expected) in [("class_name", &class.caption), ("category_name", &class.category)] {
        check.same(key, &event[key], &Value::from(expected.as_str()));
    }
    check.same("metadata.version", &event["metadata"]["version"], &Value::from(schema.version.as_str()));
    check.observables(event);
    check.faults
}

struct Check<'s> {
    schema: &'s Schema,
    profiles: Vec<String>,
    faults: Vec<String>,
}

impl Check<'_> {
    fn fault(&mut self, at: &str, what: impl AsRef<str>) {
        self.faults.push(format!("{at}: {}", what.as_ref()));
    }

    fn same(&mut self, at: &str, value: &Value, expected: &Value) {
        if !value.is_null() && value != expected {
            self.fault(at, format!("{value} should be {expected}"));
        }
    }

    /// The numbers that follow from others.
    fn heads(&mut self, event: &Value, category: i64) {
        let number = |key: &str| event[key].as_i64().unwrap_or(-1);
        let type_uid = number("class_uid") * 100 + number("activity_id");
        self.same("type_uid", &event["type_uid"], &Value::from(type_uid));
        self.same("category_uid", &event["category_uid"], &Value::from(category));
    }

    fn is_applied(&self, attribute: &Attribute) -> bool {
        attribute.profiles.is_empty() || attribute.profiles.iter().any(|profile| self.profiles.contains(profile))
    }

    fn object(&mut self, shape: &Shape, members: &Map<String, Value>, at: &str) {
        let place = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
        // What has no attributes of its own takes anything.
        if shape.attributes.is_empty() {
            return;
        }
        for (key, value) in members {
            match shape.attributes.get(key) {
                None => self.fault(&place(key), format!("unknown attribute of {}", shape.name)),
                Some(attribute) if !self.is_applied(attribute) => {
                    self.fault(&place(key), format!("only with profile {}", attribute.profiles.join(", ")))
                }
                Some(attribute) => self.attribute(attribute, value, members, &place(key)),
            }
        }
        for (key, attribute) in &shape.attributes {
            if attribute.is_required && self.is_applied(attribute) && !members.contains_key(key) {
                self.fault(&place(key), "required and missing");
            }
        }
        let count = |keys: &[String]| keys.iter().filter(|key| members.contains_key(*key)).count();
        if !shape.at_least_one.is_empty() && count(&shape.at_least_one) == 0 {
            self.fault(at, format!("at least one of {}", shape.at_least_one.join(", ")));
        }
        if !shape.just_one.is_empty() && count(&shape.just_one) != 1 {
            self.fault(at, format!("just one of {}", shape.just_one.join(", ")));
        }
    }

    fn attribute(&mut self, attribute: &Attribute, value: &Value, members: &Map<String, Value>, at: &str) {
        if attribute.is_deprecated {
            self.fault(at, "deprecated");
        }
        match value {
            Value::Array(list) if attribute.is_array => {
                if list.is_empty() {
                    self.fault(at, "empty");
                }
                for (index, element) in list.iter().enumerate() {
                    self.value(attribute, element, &format!("{at}[{index}]"));
                }
            }
            _ if attribute.is_array => self.fault(at, "should be a list"),
            _ => {
                self.value(attribute, value, at);
                self.sibling(attribute, value, members, at);
            }
        }
    }

    /// An enumerated value and the text beside it.
    fn sibling(&mut self, attribute: &Attribute, value: &Value, members: &Map<String, Value>, at: &str) {
        let (Some(sibling), Some(id)) = (&attribute.sibling, value.as_i64()) else { return };
        let text = members.get(sibling).and_then(Value::as_str);
        match (attribute.choices.get(&id.to_string()), text) {
            (Some(_), None) if id == 99 => self.fault(at, format!("99 without `{sibling}`")),
            (Some(caption), Some(text)) if id != 99 && caption != text && sibling != "class_name" && sibling != "category_name" => {
                self.fault(at, format!("{id} is `{caption}`, not `{text}`"));
            }
            _ => {}
        }
    }

    fn value(&mut self, attribute: &Attribute, value: &Value, at: &str) {
        if let Some(object) = self.schema.objects.get(&attribute.kind) {
            match value {
                Value::Object(members) if members.is_empty() => self.fault(at, "empty"),
                Value::Object(members) => self.object(object, members, at),
                _ => self.fault(at, format!("should be an object {}", object.name)),
            }
            return;
        }
        self.scalar(&attribute.kind, value, at);
        let spelled = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let is_synthetic = matches!(at, "class_uid" | "category_uid") || attribute.choices.is_empty();
        let is_observable = at.starts_with("observables[");
        if !is_synthetic && !is_observable && !attribute.choices.contains_key(&spelled) {
            self.fault(at, format!("{value} is not in the enumeration"));
        }
    }

    fn scalar(&mut self, kind: &str, value: &Value, at: &str) {
        let Some(scalar) = self.schema.scalars.get(kind) else { return self.fault(at, format!("unknown type {kind}")) };
        let fits = match scalar.base.as_str() {
            "string_t" => value.is_string(),
            "integer_t" | "long_t" => value.is_i64(),
            "float_t" => value.is_number(),
            "boolean_t" => value.is_boolean(),
            "json_t" => !value.is_null(),
            _ => false,
        };
        if !fits {
            return self.fault(at, format!("{value} is no {kind}"));
        }
        if let Some(text) = value.as_str() {
            if text.is_empty() {
                self.fault(at, "empty");
            }
            if scalar.regex.as_ref().is_some_and(|regex| !regex.is_match(text)) || scalar.len_max.is_some_and(|max| text.len() > max) {
                self.fault(at, format!("`{text}` is no {kind}"));
            }
        }
        if let (Some((low, high)), Some(number)) = (scalar.range, value.as_i64())
            && !(low..=high).contains(&number)
        {
            self.fault(at, format!("{number} is out of range"));
        }
    }

    /// Each observable points to a value that the event has.
    fn observables(&mut self, event: &Value) {
        for (index, observable) in event["observables"].as_array().into_iter().flatten().enumerate() {
            let at = format!("observables[{index}]");
            let name = observable["name"].as_str().unwrap_or_default();
            let pointer = format!("/{}", name.replace(['.', '['], "/").replace(']', ""));
            if event.pointer(&pointer) != observable.get("value") {
                self.fault(&at, format!("`{name}` does not have the value {}", observable["value"]));
            }
            match self.schema.observables.get(&observable["type_id"].as_i64().unwrap_or(-1)) {
                None => self.fault(&at, format!("no type {}", observable["type_id"])),
                Some(Some(caption)) => self.same(&at, &observable["type"], &Value::from(caption.as_str())),
                Some(None) => {}
            }
        }
    }
}
