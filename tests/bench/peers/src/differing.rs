//! Match sets beside the peer's: events made from every rule, each given to all rules of both engines. A difference that is not explained fails.
//!
//! Each match of either engine is read a third time ([`reading`](super::reading)): by the book the answer has to be this engine's, and with what is
//! known of the peer ([`explained`](super::explained)) it has to be the peer's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bartizan::detect::matcher::Matcher;
use bartizan::detect::rule::{Body, LogSource, RuleSet};
use bartizan::detect::sigma;
use bartizan::model::{Event, Field, Kind, Limits, Parser};
use rsigma_eval::event::JsonEvent;
use rsigma_parser::SigmaRule;
use serde_json::Value;

use super::explained::{self, CLASSES};
use super::features;
use super::making::{self, Dice};
use super::matching::event;
use super::reading::{Alias, Reading, Regexes};
use super::values::{self, Quirks};

/// Differences shown of one kind.
const SHOWN_MAX: usize = 12;

/// Characters shown of an event.
const EVENT_CHARS_MAX: usize = 1_000;

/// In the place of a folder: a rule for each feature.
const FEATURES: &str = "features";

const INDEX: &str = "the peer's index of candidates passes over a rule that its own evaluation matches";

fn files(folder: &Path, to: &mut Vec<(Arc<str>, String)>) {
    if folder.is_file() {
        to.push((Arc::from(folder.to_string_lossy()), std::fs::read_to_string(folder).expect("rules are a text file")));
        return;
    }
    let mut paths: Vec<_> = std::fs::read_dir(folder).expect("the folder can be read").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.to_string_lossy();
        if path.is_dir() || name.ends_with(".yml") && !name.ends_with(".test.yml") {
            files(&path, to);
        }
    }
}

/// A rule that both engines have.
struct Shared {
    /// Its place in this engine's set.
    rule: usize,
    theirs: SigmaRule,
    compiled: rsigma_eval::CompiledRule,
    aliases: Vec<Alias>,
}

/// Both engines over the same rules.
struct Both {
    rules: RuleSet,
    matcher: Matcher,
    peer: rsigma_eval::Engine,
    parser: Parser,
    /// By id.
    shared: BTreeMap<String, Shared>,
    lists: BTreeMap<String, Vec<String>>,
    facts: BTreeSet<Field>,
    regexes: Regexes,
}

/// What came of a run.
#[derive(Default)]
struct Tally {
    events: usize,
    pairs: usize,
    read: usize,
    explained: BTreeMap<String, (usize, usize)>,
    unexplained: BTreeMap<&'static str, Vec<String>>,
}

impl Both {
    /// The rules of a file or folder, or those of [`features`].
    fn load(path: &str) -> Self {
        let mut texts = if path == FEATURES { features::rules() } else { Vec::new() };
        if texts.is_empty() {
            files(Path::new(path), &mut texts);
        }
        let lists = bartizan::detect::pack::lists();
        let settings = sigma::Settings { any_logsource: true, lists: lists.clone(), ..sigma::Settings::default() };
        let (rules, notes) = sigma::parse(&texts, &settings);
        let (matcher, refused) = Matcher::new(&rules);
        let mut peer = rsigma_eval::Engine::new();
        // Ids that more than one rule has say nothing: `None`.
        let mut theirs: BTreeMap<String, Option<SigmaRule>> = BTreeMap::new();
        for (_, text) in &texts {
            let Ok(collection) = rsigma_parser::parse_sigma_yaml(text) else { continue };
            for rule in &collection.rules {
                if let (Some(id), Ok(_)) = (&rule.id, peer.add_rule(rule)) {
                    theirs.entry(id.clone()).and_modify(|known| *known = None).or_insert_with(|| Some(rule.clone()));
                }
            }
        }
        let (here, there) = (rules.rules.len(), theirs.len());
        let mut shared = BTreeMap::new();
        for (at, rule) in rules.rules.iter().enumerate() {
            let is_run = matches!(rule.body, Body::Single(_)) && !refused.iter().any(|refused| refused.rule == at);
            let is_only = rules.rules.iter().filter(|other| other.header.id == rule.header.id).count() == 1;
            if let (true, true, Some(Some(theirs))) = (is_run, is_only, theirs.remove(&rule.header.id)) {
                let Ok(compiled) = rsigma_eval::compile_rule(&theirs) else { continue };
                let aliases = aliases(&rules, at, &notes);
                shared.insert(rule.header.id.clone(), Shared { rule: at, theirs, compiled, aliases });
            }
        }
        println!("{path}: {here} rules here, {there} there, {} of both", shared.len());
        let facts = Field::ALL
            .iter()
            .copied()
            .filter(|field| texts.iter().any(|(_, text)| text.contains(field.name())) || notes.iter().any(|note| note.message.contains(field.name())))
            .collect();
        Self { rules, matcher, peer, parser: Parser::new(Limits::default()), shared, lists, facts, regexes: Regexes::default() }
    }

    fn event(&mut self, value: &Value, kind: Kind) -> Event {
        let mut event = Event { kind, ..event() };
        for field in &self.facts {
            let mut found = Vec::new();
            values::at_spellings(value, field.name(), &mut found);
            found.iter().for_each(|value| {
                values::elements(value, &mut |value| match value {
                    Value::Null | Value::Object(_) => {}
                    value => event.facts.push_text(*field, &values::text_of(value, false)),
                });
            });
        }
        event.facts.seal();
        event.doc = self.parser.parse(value.to_string().as_bytes(), None).expect("it is JSON");
        event
    }

    /// Both engines' matches of one event, each read a third time.
    fn compare(&mut self, value: &Value, kind: Kind, of: Option<&str>, tally: &mut Tally) {
        let event = self.event(value, kind);
        let mut found = Vec::new();
        self.matcher.find(&event, &mut found);
        let applies = |shared: &Shared| match self.rules.rules[shared.rule].logsource {
            LogSource::Kind(wanted) => wanted == kind,
            _ => true,
        };
        let is_meant = |id: &&str| self.shared.get(*id).is_some_and(applies);
        let ours: BTreeSet<&str> = found.iter().map(|rule| self.rules.rules[*rule as usize].header.id.as_str()).filter(is_meant).collect();
        let theirs = self.peer.evaluate(&JsonEvent::borrow(value));
        let theirs: BTreeSet<&str> = theirs
            .iter()
            .filter_map(|found| found.header.rule_id.as_deref())
            .filter_map(|id| self.shared.get_key_value(id))
            .map(|(id, _)| id.as_str())
            .filter(is_meant)
            .collect();
        tally.events += 1;
        let mut ids: BTreeSet<&str> = ours.union(&theirs).copied().collect();
        tally.pairs += ids.len();
        ids.extend(of.filter(is_meant));
        for id in ids {
            let Some(shared) = self.shared.get(id) else { continue };
            let reads =
                |quirks| Reading { quirks, event: value, aliases: &shared.aliases, lists: &self.lists, regexes: &self.regexes }.rule(&shared.theirs);
            tally.read += 1;
            let (here, there) = (ours.contains(id), theirs.contains(id));
            if reads(Quirks::default()) != here {
                tally.fail(if here { "matches here and not by the book" } else { "matches by the book and not here" }, id, value);
            }
            if here != there {
                let is_passed_over = rsigma_eval::evaluate_rule(&shared.compiled, &JsonEvent::borrow(value)).is_some() != there;
                let why = if is_passed_over { Some(vec![INDEX]) } else { explained::explain(there, reads) };
                match why {
                    Some(names) => {
                        let (here_only, there_only) = tally.explained.entry(names.join("; and ")).or_default();
                        *if here { here_only } else { there_only } += 1;
                    }
                    None => tally.fail(if here { "only here" } else { "only there" }, id, value),
                }
            }
        }
    }
}

/// The aliases that this engine says it used for a rule: what its notes put in backticks.
fn aliases(rules: &RuleSet, at: usize, notes: &[sigma::Diagnostic]) -> Vec<Alias> {
    let rule = &rules.rules[at];
    let end = rules.rules.get(at + 1).filter(|next| next.file == rule.file).map_or(usize::MAX, |next| next.line);
    let is_its = |note: &&sigma::Diagnostic| note.code == "alias-used" && *note.file == *rule.file && (rule.line..end).contains(&note.line);
    let named = notes.iter().filter(is_its).map(|note| note.message.split('`').skip(1).step_by(2).take(2).collect::<Vec<_>>());
    named.filter_map(|names| Some(Alias { written: (*names.first()?).to_owned(), asked: (*names.get(1)?).to_owned() })).collect()
}

impl Tally {
    fn fail(&mut self, kind: &'static str, id: &str, value: &Value) {
        let shown: String = value.to_string().chars().take(EVENT_CHARS_MAX).collect();
        self.unexplained.entry(kind).or_default().push(format!("{id}: {shown}"));
    }

    /// Prints it, and returns how many differences nothing explains.
    fn show(&self) -> usize {
        println!("{} events, {} matches of either engine, {} read a third time", self.events, self.pairs, self.read);
        let (here, there) = self.explained.values().fold((0, 0), |(here, there), (more, also)| (here + more, there + also));
        println!("explained: {here} only here, {there} only there");
        for (name, (here, there)) in &self.explained {
            println!("  {here:>7} {there:>7}  {name}");
            let class = CLASSES.iter().filter(|class| name.contains(class.name));
            class.for_each(|class| println!("{:>19}{}; {}", "", class.says, class.test));
        }
        let unexplained: usize = self.unexplained.values().map(Vec::len).sum();
        println!("not explained: {unexplained}");
        for (kind, lines) in &self.unexplained {
            println!("  {kind}: {}", lines.len());
            let mut seen = BTreeSet::new();
            let of_other_rules = lines.iter().filter(|line| seen.insert(line.split(": ").next().unwrap_or_default()));
            of_other_rules.take(SHOWN_MAX).for_each(|line| println!("    {line}"));
        }
        unexplained
    }
}

/// Runs over a folder of rules with so many events a rule. Returns how many differences nothing explains.
pub fn run(folder: &str, per_rule: usize) -> usize {
    let mut both = Both::load(folder);
    let (mut dice, mut tally) = (Dice(7), Tally::default());
    for at in 0..both.rules.rules.len() {
        let rule = &both.rules.rules[at];
        let Body::Single(detection) = &rule.body else { continue };
        let (detection, id) = (detection.clone(), rule.header.id.clone());
        let kind = if let LogSource::Kind(kind) = rule.logsource { kind } else { Kind::K8sAudit };
        for _ in 0..per_rule {
            let fields = making::fields(&detection, &mut dice);
            let value = making::json(&fields, &mut dice);
            both.compare(&value, kind, Some(&id), &mut tally);
        }
    }
    tally.show()
}

/// Runs over a corpus, a record a line, with the rules of a file or folder.
pub fn run_of(corpus: &str, rules: &str, events: usize) -> usize {
    let mut both = Both::load(rules);
    let mut tally = Tally::default();
    let text = std::fs::read_to_string(corpus).expect("the corpus is a text file");
    for line in text.lines().take(events) {
        let value: Value = serde_json::from_str(line).expect("the corpus is JSON");
        both.compare(&value, Kind::K8sAudit, None, &mut tally);
    }
    tally.show()
}
