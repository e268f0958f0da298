//! The rules that the tests of one file are about, out of all that are loaded together.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::detect::rule::{Body, RuleSet};

/// Rules enough to run the tests of a file.
#[derive(Debug, Clone)]
pub struct Part {
    pub rules: Arc<RuleSet>,
    /// Ids of the rules whose alerts count: those of the file, and those that filters of the file are for.
    pub own: BTreeSet<String>,
}

/// The rules of a file, those that its filters are for, and all that these refer to, wherever they stand. A rule that only correlations of other files
/// refer to raises alerts here: its own tests are about it alone.
pub fn part(set: &RuleSet, file: &str) -> Part {
    let is_own = |at: &usize| {
        let rule = &set.rules[*at];
        let has_filter = matches!(&rule.body, Body::Single(detection) if detection.filters.iter().any(|filter| filter.file.as_ref() == file));
        rule.file.as_ref() == file || has_filter
    };
    let own: Vec<usize> = (0..set.rules.len()).filter(is_own).collect();
    let (mut kept, mut open) = (BTreeSet::new(), own.clone());
    while let Some(at) = open.pop() {
        if kept.insert(at)
            && let Body::Correlation(correlation) = &set.rules[at].body
        {
            open.extend(&correlation.rules);
        }
    }
    let refers = |by: &usize, at: usize| {
        let of_one_file = set.rules[*by].file == set.rules[at].file;
        of_one_file && matches!(&set.rules[*by].body, Body::Correlation(correlation) if correlation.rules.contains(&at))
    };
    let places: Vec<usize> = kept.iter().copied().collect();
    let rules = places.iter().map(|at| {
        let mut rule = set.rules[*at].clone();
        if is_own(at) {
            rule.is_silent &= kept.iter().any(|by| refers(by, *at));
        }
        if let Body::Correlation(correlation) = &mut rule.body {
            // All that it refers to is kept, so each has its place.
            correlation.rules.iter_mut().for_each(|rule| *rule = places.binary_search(rule).unwrap_or_default());
        }
        rule
    });
    let rules = Arc::new(RuleSet { rules: rules.collect() });
    Part { rules, own: own.iter().map(|at| set.rules[*at].header.id.clone()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sigma::{self, Settings};

    fn rule(name: &str) -> String {
        format!(
            "title: {name}\nid: {name}\nname: {name}\nlogsource: {{product: kubernetes, service: audit}}\ndetection:\n  s: {{a: {name}}}\n  condition: s\n"
        )
    }

    fn count(name: &str, of: &str) -> String {
        format!(
            "title: {name}\nid: {name}\nname: {name}\ncorrelation:\n  type: event_count\n  rules: [{of}]\n  timespan: 1m\n  condition: {{gte: 2}}\n"
        )
    }

    /// The rules of the part, those that raise alerts with a mark, and whose alerts count.
    fn check(file: &str, rules: &[&str], own: &[&str]) {
        let filter = "title: f\nid: f\nlogsource: {product: kubernetes, service: audit}\nfilter:\n  rules: [c]\n  f: {b: x}\n  condition: not f\n";
        let files = [
            ("a.yml", rule("a") + "---\n" + &count("counted", "a")),
            ("b.yml", rule("b")),
            ("c.yml", rule("c")),
            ("d.yml", count("d", "b") + "---\n" + &count("e", "a")),
            ("f.yml", filter.to_owned()),
        ];
        let files: Vec<(Arc<str>, String)> = files.into_iter().map(|(name, text)| (Arc::from(name), text)).collect();
        let (set, _) = sigma::parse(&files, &Settings::default());
        let part = part(&set, file);
        let told: Vec<String> = part.rules.rules.iter().map(|rule| format!("{}{}", rule.header.id, if rule.is_silent { "" } else { "!" })).collect();
        assert_eq!((told, part.own), (rules.iter().map(ToString::to_string).collect(), own.iter().map(ToString::to_string).collect()), "{file}");
        for rule in &part.rules.rules {
            if let Body::Correlation(correlation) = &rule.body {
                let name = |at: &usize| part.rules.rules[*at].header.id.clone();
                let expected = if rule.header.id == "d" { "b" } else { "a" };
                assert_eq!(correlation.rules.iter().map(name).collect::<Vec<_>>(), [expected]);
            }
        }
    }

    #[test]
    fn rules_come_with_what_they_refer_to() {
        check("a.yml", &["a", "counted!"], &["a", "counted"]);
        check("b.yml", &["b!"], &["b"]);
        check("d.yml", &["a", "b", "d!", "e!"], &["d", "e"]);
        check("f.yml", &["c!"], &["c"]);
        check("c.yml", &["c!"], &["c"]);
        check("none.yml", &[], &[]);
    }
}
