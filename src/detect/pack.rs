//! The detections that are compiled in, and the lists that they refer to.

use std::collections::BTreeMap;
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use super::sigma::yaml::{self, Yaml};

static PACK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/detections");

/// End of the names of files that hold a rule's tests.
const TEST_SUFFIX: &str = ".test.yml";

/// Bytes of the file of lists.
const LISTS_BYTES_MAX: usize = 256 << 10;

/// The rules, as file name and text, by name.
pub fn rules() -> Vec<(Arc<str>, String)> {
    files(&|name| name.ends_with(".yml") && !name.ends_with(TEST_SUFFIX))
}

/// The tests of a rule's file.
pub fn tests_of(rule_file: &str) -> Option<&'static str> {
    let name = rule_file.strip_suffix(".yml")?;
    PACK.get_file(format!("{name}{TEST_SUFFIX}"))?.contents_utf8()
}

/// The named lists that the rules refer to.
pub fn lists() -> BTreeMap<String, Vec<String>> {
    let text = PACK.get_file("lists.yaml").and_then(|file| file.contents_utf8()).unwrap_or_default();
    read_lists(text).unwrap_or_default()
}

fn read_lists(text: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let node = yaml::parse(text, 0, LISTS_BYTES_MAX).ok()??;
    let mut lists = BTreeMap::new();
    for entry in node.entries()? {
        let Yaml::List(values) = &entry.value.value else { return None };
        lists.insert(entry.key.clone(), values.iter().map(|value| value.spelled().map(str::to_owned)).collect::<Option<Vec<_>>>()?);
    }
    Some(lists)
}

fn files(keep: &dyn Fn(&str) -> bool) -> Vec<(Arc<str>, String)> {
    fn walk(folder: &Dir<'_>, keep: &dyn Fn(&str) -> bool, to: &mut Vec<(Arc<str>, String)>) {
        for file in folder.files() {
            let name = file.path().to_string_lossy();
            if let Some(text) = file.contents_utf8().filter(|_| keep(&name)) {
                to.push((Arc::from(name.as_ref()), text.to_owned()));
            }
        }
        folder.dirs().for_each(|inner| walk(inner, keep, to));
    }
    let mut to = Vec::new();
    walk(&PACK, keep, &mut to);
    to.sort();
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_tests_and_every_list_is_there() {
        let rules = rules();
        assert!(rules.len() >= 20);
        let lists = lists();
        for (file, text) in &rules {
            assert!(tests_of(file).is_some(), "{file} has no tests");
            for placeholder in text.split("'%").skip(1).filter_map(|rest| rest.split("%'").next()) {
                assert!(lists.contains_key(placeholder), "{file} refers to list `{placeholder}`");
            }
        }
    }
}
