//! Match sets beside the peer's: events made from every rule, each given to all rules of both engines. A difference that is not explained fails.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bartizan::detect::matcher::Matcher;
use bartizan::detect::rule::{Body, RuleSet};
use bartizan::detect::sigma;
use bartizan::model::{FieldRef, Limits, Parser};
use rsigma_eval::event::JsonEvent;
use serde_json::Value;

use super::making::{self, Dice, Fields};
use super::matching::event;

/// Differences shown of one kind.
const SHOWN_MAX: usize = 3;

fn files(folder: &Path, to: &mut Vec<(Arc<str>, String)>) {
    let mut paths: Vec<_> = std::fs::read_dir(folder).expect("the folder can be read").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            files(&path, to);
        } else if name.ends_with(".yml") && !name.ends_with(".test.yml") {
            to.push((Arc::from(name), std::fs::read_to_string(&path).expect("a rule is a text file")));
        }
    }
}

/// Both engines over the same rules.
struct Both {
    rules: RuleSet,
    matcher: Matcher,
    peer: rsigma_eval::Engine,
    parser: Parser,
    /// Ids of rules that both have.
    shared: BTreeSet<String>,
}

impl Both {
    fn load(folder: &str) -> Self {
        let mut texts = Vec::new();
        files(Path::new(folder), &mut texts);
        let settings = sigma::Settings { any_logsource: true, lists: bartizan::detect::pack::lists(), ..sigma::Settings::default() };
        let (rules, _) = sigma::parse(&texts, &settings);
        let (matcher, refused) = Matcher::new(&rules);
        let mut peer = rsigma_eval::Engine::new();
        let mut known = BTreeSet::new();
        for (_, text) in &texts {
            let Ok(collection) = rsigma_parser::parse_sigma_yaml(text) else { continue };
            for rule in &collection.rules {
                if peer.add_rule(rule).is_ok() {
                    known.extend(rule.id.clone());
                }
            }
        }
        let ours = rules
            .rules
            .iter()
            .enumerate()
            .filter(|(at, rule)| matches!(rule.body, Body::Single(_)) && !refused.iter().any(|refused| refused.rule == *at));
        let shared: BTreeSet<String> = ours.map(|(_, rule)| rule.header.id.clone()).filter(|id| known.contains(id)).collect();
        println!("{folder}: {} rules here, {} there, {} of both", rules.rules.len(), known.len(), shared.len());
        Self { rules, matcher, peer, parser: Parser::new(Limits::default()), shared }
    }

    /// The rules that match, here and there.
    fn matches(&mut self, fields: &Fields, value: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut event = event();
        for (name, value) in fields {
            if let Ok(FieldRef::Fact(field)) = FieldRef::parse(name) {
                let one = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                match value {
                    Value::Array(values) => {
                        values.iter().filter(|value| !value.is_null()).for_each(|value| event.facts.push_text(field, &one(value)))
                    }
                    Value::Null => {}
                    value => event.facts.push_text(field, &one(value)),
                }
            }
        }
        event.facts.seal();
        event.doc = self.parser.parse(value.to_string().as_bytes(), None).expect("it is JSON");
        let mut found = Vec::new();
        self.matcher.find(&event, &mut found);
        let ours = found.iter().map(|rule| self.rules.rules[*rule as usize].header.id.clone()).filter(|id| self.shared.contains(id)).collect();
        let theirs = self.peer.evaluate(&JsonEvent::borrow(value));
        let theirs = theirs.iter().filter_map(|found| found.header.rule_id.clone()).filter(|id| self.shared.contains(id)).collect();
        (ours, theirs)
    }
}

/// Runs over a folder of rules with so many events a rule. Returns how many differences nothing explains.
pub fn run(folder: &str, per_rule: usize) -> usize {
    let mut both = Both::load(folder);
    let mut dice = Dice(7);
    let (mut events, mut pairs) = (0, 0);
    let mut differences: BTreeMap<&'static str, (usize, Vec<String>)> = BTreeMap::new();
    for at in 0..both.rules.rules.len() {
        let Body::Single(detection) = &both.rules.rules[at].body else { continue };
        let detection = detection.clone();
        for _ in 0..per_rule {
            let fields = making::fields(&detection, &mut dice);
            let value = making::json(&fields, &mut dice);
            let (ours, theirs) = both.matches(&fields, &value);
            events += 1;
            pairs += ours.union(&theirs).count();
            for id in ours.symmetric_difference(&theirs) {
                let side = if ours.contains(id) { "only here" } else { "only there" };
                let (count, shown) = differences.entry(side).or_default();
                *count += 1;
                if shown.iter().filter(|line| line.starts_with(id.as_str())).count() < 1 {
                    shown.push(format!("{id}: {value}"));
                }
            }
        }
    }
    println!("{events} events, {pairs} pairs");
    for (side, (count, shown)) in &differences {
        println!("{side}: {count}");
        shown.iter().for_each(|line| println!("  {line}"));
    }
    differences.values().map(|(count, _)| count).sum()
}
