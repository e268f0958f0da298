//! Rules and events that make matching slow: how far below its usual rate does the engine fall?

use std::hint::black_box;
use std::sync::Arc;

use bartizan::detect::matcher::Matcher;
use bartizan::detect::sigma;
use bartizan::model::{Event, Limits, Parser};

use super::matching::event;
use super::{ROUNDS, cpu_s, median};

/// Rules of each set.
const RULES: usize = 3_000;
/// Rules that one event leads to.
const TOUCHED: usize = 1_000;
/// Events from which a matcher learns first.
const STRETCH: usize = 512;

fn compiled(rules: &str) -> Matcher {
    let settings = sigma::Settings { any_logsource: true, ..sigma::Settings::default() };
    let (set, problems) = sigma::parse(&[(Arc::from("bench"), rules.to_owned())], &settings);
    assert!(problems.iter().all(|problem| problem.severity != sigma::Severity::Error), "{problems:?}");
    Matcher::new(&set).0
}

/// A rule that asks for these and rules out one name.
fn rule(at: usize, selection: &str) -> String {
    format!(
        "title: Rule {at}\nid: rule{at}\nlogsource:\n    product: kubernetes\ndetection:\n    selection:\n{selection}    other:\n        objectRef.name: name{at}\n    condition: selection and not other\nlevel: low\n---\n"
    )
}

fn rules(count: usize, selection: impl Fn(usize) -> String) -> String {
    (0..count).map(|at| rule(at, &selection(at))).collect()
}

struct Run {
    parser: Parser,
    event: Event,
    found: Vec<u32>,
}

impl Run {
    /// CPU seconds of parsing and matching these.
    fn spent<'a>(&mut self, matcher: &mut Matcher, lines: impl IntoIterator<Item = &'a str>) -> f64 {
        let start = cpu_s();
        for line in lines {
            self.event.doc = self.parser.parse(line.as_bytes(), None).expect("the corpus is JSON");
            matcher.find(&self.event, &mut self.found);
            black_box(self.found.len());
        }
        cpu_s() - start
    }
}

/// Runs every case over the events of a corpus, with this file of rules as what is usual.
pub fn run(file: &str, lines: &[&str]) {
    let text = std::fs::read_to_string(file).expect("the rules are a text file");
    let mut run = Run { parser: Parser::new(Limits::default()), event: event(), found: Vec::new() };
    let all = || lines.iter().copied();
    let count = lines.len() as f64;
    let mut usual = compiled(&text);
    run.spent(&mut usual, all());
    let learned = median((0..ROUNDS).map(|_| count / run.spent(&mut usual, all())).collect());
    let tell = |name: &str, rate: f64| println!("{name:<70} {rate:>9.0} events/s, {:.2} of the learned rate", rate / learned);
    tell(&format!("{file}, learned"), learned);

    // Before anything is learned: a new matcher for every stretch.
    let stretches: Vec<&[&str]> = lines.chunks(STRETCH - 1).take(40).collect();
    let mut fresh: Vec<f64> = Vec::new();
    for stretch in stretches {
        let mut matcher = compiled(&text);
        fresh.push(stretch.len() as f64 / run.spent(&mut matcher, stretch.iter().copied()));
    }
    tell("the same before anything is learned", median(fresh));

    let mut case = |name: &str, rules: &str, lines: &[&str]| {
        let mut matcher = compiled(rules);
        run.spent(&mut matcher, lines.iter().copied());
        let rates = (0..ROUNDS).map(|_| lines.len() as f64 / run.spent(&mut matcher, lines.iter().copied())).collect();
        tell(name, median(rates));
    };
    // The commonest test of each: in every rule.
    let common = rules(RULES, |at| format!("        kind: Event\n        verb: [get, list, watch]\n        user.username: user{at}\n"));
    case("every rule shares its commonest predicate", &common, lines);
    // Nothing but what is common leads to these: all are evaluated on most events.
    case("events that each lead to 1,000 rules", &rules(TOUCHED, |_| "        kind: Event\n".to_owned()), lines);

    // Each rule asks for two things; traffic has the one and then the other.
    let turning = rules(RULES, |_| "        verb: delete\n        objectRef.resource: pods\n".to_owned());
    let line = |verb: &str, resource: &str| lines.iter().map(|line| of(line, verb, resource)).collect::<Vec<String>>();
    let (before, after) = (line("get", "pods"), line("delete", "jobs"));
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let mut matcher = compiled(&turning);
        run.spent(&mut matcher, before.iter().map(String::as_str));
        let slow = after.iter().map(String::as_str).take(4 * STRETCH);
        rates.push((4 * STRETCH) as f64 / run.spent(&mut matcher, slow));
    }
    tell("the first 2,048 events after traffic has turned", median(rates));
}

/// The record with another verb and resource, wherever it has one.
fn of(line: &str, verb: &str, resource: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(line).expect("the corpus is JSON");
    value["verb"] = verb.into();
    if let Some(object) = value["objectRef"].as_object_mut() {
        object.insert("resource".to_owned(), resource.into());
    }
    value.to_string()
}
