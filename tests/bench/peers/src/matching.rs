//! Matching: parse and evaluate, and what parsing alone costs.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;

use bartizan::detect::matcher::Matcher;
use bartizan::detect::rule::RuleSet;
use bartizan::detect::sigma;
use bartizan::model::{ActId, ClusterId, Doc, EnvelopeKind, Event, EventId, Facts, Kind, Limits, Origin, Parser, Position, TenantId, Timestamp};
use rsigma_eval::event::JsonEvent;

use super::{Contender, race, show};

/// Pairs of an event's number and a rule's id.
type Pairs = BTreeSet<(usize, String)>;

/// An event of nothing.
pub fn event() -> Event {
    let origin = Origin::of("bench", Timestamp::from_seconds(0));
    Event {
        id: EventId([0; 16]),
        act: ActId([0; 16]),
        kind: Kind::K8sAudit,
        envelope: EnvelopeKind::Native,
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        time: Timestamp::from_seconds(0),
        origin: Arc::new(origin),
        position: Position(0),
        offset: 0,
        wrapped: Default::default(),
        facts: Facts::default(),
        doc: Doc::default(),
    }
}

/// Memory of this process now, in MiB.
pub fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

fn load(file: &str, text: &str) -> (RuleSet, Matcher) {
    let settings = sigma::Settings { any_logsource: true, ..sigma::Settings::default() };
    let (rules, problems) = sigma::parse(&[(Arc::from(file), text.to_owned())], &settings);
    let errors = problems.iter().filter(|problem| problem.severity == sigma::Severity::Error).count();
    let (matcher, refused) = Matcher::new(&rules);
    if errors + refused.len() > 0 {
        println!("  {errors} errors, {} rules cannot be run", refused.len());
    }
    (rules, matcher)
}

/// Runs one file of rules over the events.
pub fn run(file: &str, lines: &[&str], is_alone: bool) {
    let text = std::fs::read_to_string(file).expect("the rules are a text file");
    let (before, start) = (resident_mib(), super::cpu_s());
    let (rules, mut matcher) = load(file, &text);
    let (took, mib) = (super::cpu_s() - start, resident_mib() - before);
    let (before, start) = (resident_mib(), super::cpu_s());
    let collection = rsigma_parser::parse_sigma_yaml(&text).expect("the peer reads the rules");
    let mut peer = rsigma_eval::Engine::new();
    peer.add_collection(&collection).expect("the peer takes the rules");
    println!(
        "{file}: {} rules; load {:.0} ms, {mib:.0} MiB (peer {:.0} ms, {:.0} MiB)",
        rules.rules.len(),
        took * 1e3,
        (super::cpu_s() - start) * 1e3,
        resident_mib() - before
    );
    // The peer slows down with rules: it is given fewer events, the same ones every time.
    let few = (2_000_000 / rules.rules.len().max(200)).min(lines.len());
    let (ours, theirs) =
        (pairs(&rules, &mut matcher, &lines[..few.max(2_000).min(lines.len())]), peer_pairs(&peer, &lines[..few.max(2_000).min(lines.len())]));
    println!("  pairs in {} events: {} and {}, of both {}", few.max(2_000), ours.len(), theirs.len(), ours.intersection(&theirs).count());
    let (mut parser, mut other) = (Parser::new(Limits::default()), Parser::new(Limits::default()));
    let (mut event, mut found) = (event(), Vec::new());
    let before = matcher.evaluations();
    let mut seen = 0;
    let mut contenders = vec![
        Contender {
            name: "sonic-rs Value".to_owned(),
            events: lines.len(),
            pass: Box::new(|events| {
                lines[..events].iter().for_each(|line| drop(black_box(sonic_rs::from_str::<sonic_rs::Value>(line))));
                0
            }),
        },
        Contender {
            name: "bartizan: parse".to_owned(),
            events: lines.len(),
            pass: Box::new(move |events| {
                lines[..events].iter().for_each(|line| drop(black_box(other.parse(line.as_bytes(), None))));
                0
            }),
        },
        Contender {
            name: "bartizan: parse and match".to_owned(),
            events: lines.len(),
            pass: Box::new(|events| {
                let mut pairs = 0;
                for line in &lines[..events] {
                    event.doc = parser.parse(line.as_bytes(), None).expect("the corpus is JSON");
                    matcher.find(&event, &mut found);
                    pairs += found.len();
                }
                seen += events as u64;
                pairs
            }),
        },
        Contender {
            name: "rsigma 0.23: parse and match".to_owned(),
            events: few,
            pass: Box::new(|events| {
                let mut pairs = 0;
                for line in &lines[..events] {
                    let value: serde_json::Value = serde_json::from_str(line).expect("the corpus is JSON");
                    pairs += peer.evaluate(&JsonEvent::borrow(&value)).len();
                }
                pairs
            }),
        },
    ];
    contenders.truncate(if is_alone { 3 } else { contenders.len() });
    let rates = race(&mut contenders);
    show(&contenders, &rates);
    drop(contenders);
    println!("  {:.2} rules evaluated an event", (matcher.evaluations() - before) as f64 / seen.max(1) as f64);
}

fn pairs(rules: &RuleSet, matcher: &mut Matcher, lines: &[&str]) -> Pairs {
    let (mut parser, mut event, mut found, mut out) = (Parser::new(Limits::default()), event(), Vec::new(), Pairs::new());
    for (at, line) in lines.iter().enumerate() {
        event.doc = parser.parse(line.as_bytes(), None).expect("the corpus is JSON");
        matcher.find(&event, &mut found);
        out.extend(found.iter().map(|rule| (at, rules.rules[*rule as usize].header.id.clone())));
    }
    out
}

fn peer_pairs(peer: &rsigma_eval::Engine, lines: &[&str]) -> Pairs {
    let mut out = Pairs::new();
    for (at, line) in lines.iter().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line).expect("the corpus is JSON");
        out.extend(peer.evaluate(&JsonEvent::borrow(&value)).iter().map(|found| (at, found.header.rule_id.clone().unwrap_or_default())));
    }
    out
}
