//! Correlations: what they say, and what they refer to.

use super::*;
use crate::detect::rule::CorrelationKind;
use crate::model::RuleType;

/// Two rules, by id and by name.
const RULES: &str = "\
title: one\nid: id-one\nname: one\nlevel: low\ndetection:\n  s: {f: a}\n  condition: s\n---\n\
title: two\nid: id-two\nname: two\nlevel: low\ndetection:\n  s: {f: b}\n  condition: s\n---\n";

/// Lines before the correlation.
const LINES: usize = 16;

fn show_rule(rule: &Rule) -> String {
    let silent = if rule.is_silent { "~" } else { "" };
    let Body::Correlation(body) = &rule.body else { return format!("{silent}{}", rule.header.id) };
    let groups: Vec<String> = body
        .group_by
        .iter()
        .map(|group| format!("{}={}", group.name, group.fields.iter().map(|field| field.name()).collect::<Vec<_>>().join("+")))
        .collect();
    let bounds: String = body.bounds.iter().map(|(bound, value)| format!(" {}{value}", bound.sign())).collect();
    let count: String = body.count_fields.iter().map(|field| format!(" of {}", field.name())).collect();
    let percentile = if body.kind == CorrelationKind::ValuePercentile { format!(" at {}%", body.percentile) } else { String::new() };
    let condition = body.condition.as_ref().map_or_else(String::new, |condition| format!(" {condition:?}"));
    format!(
        "{silent}{} {:?} {:?} by [{}] in {}s{bounds}{count}{percentile}{condition}",
        rule.header.id,
        body.kind,
        body.rules,
        groups.join(" "),
        body.timespan.0 / 1_000_000_000
    )
}

/// The rules after the two, else the problems.
fn check(correlation: &str, expected: &str) {
    let text = format!("{RULES}title: c\nid: c\nlevel: low\ncorrelation:\n{correlation}");
    let (set, problems) = read(&text, &settings());
    let shown = if problems.is_empty() {
        set.rules.iter().map(show_rule).collect::<Vec<_>>().join("; ")
    } else {
        problems.iter().map(|p| format!("{}:{} {}: {}", p.line - LINES, p.column, p.code, p.message)).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(shown, expected, "{correlation}");
}

#[test]
fn correlations_are_read() {
    for (correlation, expected) in [
        (
            "  type: event_count\n  rules: [one]\n  group-by: [User, src.ip]\n  timespan: 10m\n  condition: {gte: 3}\n",
            "~id-one; id-two; c EventCount [0] by [User=actor.user.name src.ip=src.ip] in 600s >=3",
        ),
        (
            "  type: event_count\n  rules: id-two\n  timespan: 1d\n  condition: {gt: 1, lte: 5, neq: 3}\n  generate: true\n",
            "id-one; id-two; c EventCount [1] by [] in 86400s >1 <=5 !=3",
        ),
        (
            "  type: value_count\n  rules: [id-one, two]\n  group-by: User\n  timespan: 30s\n  condition: {field: [g, h.i], lt: 2}\n",
            "~id-one; ~id-two; c ValueCount [0, 1] by [User=actor.user.name+actor.user.name] in 30s <2 of g of h.i",
        ),
        (
            "  type: temporal\n  rules: [two, one]\n  group-by: [who]\n  timespan: 1h\n  aliases:\n    who: {one: src.ip, id-two: dst.ip}\n",
            "~id-one; ~id-two; c Temporal [1, 0] by [who=dst.ip+src.ip] in 3600s",
        ),
        (
            "  type: temporal_ordered\n  rules: [one, two]\n  timespan: 5m\n  condition: {eq: 2}\n",
            "~id-one; ~id-two; c TemporalOrdered [0, 1] by [] in 300s =2",
        ),
        (
            "  type: value_sum\n  rules: [one]\n  timespan: 1w\n  condition: {field: bytes, gt: -1.5, lt: 1000000}\n",
            "~id-one; id-two; c ValueSum [0] by [] in 604800s >-1.5 <1000000 of bytes",
        ),
        (
            "  type: value_avg\n  rules: [one]\n  timespan: 1M\n  condition: {field: bytes, gte: 0.5}\n",
            "~id-one; id-two; c ValueAvg [0] by [] in 2629746s >=0.5 of bytes",
        ),
        (
            "  type: value_percentile\n  rules: [one]\n  timespan: 1h\n  condition: {field: bytes, percentile: 99.9, gte: 7}\n",
            "~id-one; id-two; c ValuePercentile [0] by [] in 3600s >=7 of bytes at 99.9%",
        ),
        (
            "  type: value_median\n  rules: [one]\n  timespan: 1h\n  condition: {field: bytes, lte: 7}\n",
            "~id-one; id-two; c ValueMedian [0] by [] in 3600s <=7 of bytes",
        ),
        (
            "  type: temporal\n  rules: [one, id-two]\n  timespan: 1h\n  condition: one and not id-two\n",
            "~id-one; ~id-two; c Temporal [0, 1] by [] in 3600s And([Selection(0), Not(Selection(1))])",
        ),
        (
            "  type: temporal_extended\n  rules: [one, two]\n  timespan: 1h\n  condition: 1 of *\n",
            "~id-one; ~id-two; c Temporal [0, 1] by [] in 3600s Or([Selection(0), Selection(1)])",
        ),
        (
            "  type: temporal_ordered_extended\n  timespan: 1h\n  condition: two and (one or two)\n",
            "~id-one; ~id-two; c TemporalOrdered [1, 0] by [] in 3600s And([Selection(0), Or([Selection(1), Selection(0)])])",
        ),
    ] {
        check(correlation, expected);
    }
}

#[test]
fn what_is_wrong_has_its_place() {
    for (correlation, expected) in [
        ("  type: event_cuont\n  rules: [one]\n  timespan: 1h\n", "5:9 unknown-correlation: unknown correlation type `event_cuont`"),
        ("  type: event_count\n  rules: [one]\n  timespan: 1h\n", "5:3 missing-condition: the correlation has no condition"),
        ("  type: temporal\n  rules: [one, tow]\n  timespan: 1h\n", "6:16 unknown-rule: no rule has the id or name `tow`"),
        ("  type: temporal\n  rules: [one, id-one]\n  timespan: 1h\n", "6:16 repeated-value: `id-one` is a rule that stands in the list already"),
        ("  type: temporal\n  rules: []\n  timespan: 1h\n", "6:10 missing-rules: the correlation refers to no rule"),
        ("  type: temporal\n  rules: [one]\n", "5:3 missing-timespan: the correlation has no timespan"),
        ("  type: temporal\n  rules: [one]\n  timespan: 5M\n", "7:13 bad-timespan: timespan: a time span of 5M is longer than the limit of 31d"),
        ("  type: temporal\n  rules: [one]\n  timespan: 0s\n", "7:13 bad-timespan: timespan: a time span of nothing holds no events"),
        ("  type: temporal\n  rules: [one]\n  timespan: 1h\n  timeframe: 1h\n", "8:3 unknown-key: unknown key `timeframe` in correlation"),
        (
            "  type: value_count\n  rules: [one]\n  timespan: 1h\n  condition: {gte: 2}\n",
            "8:14 missing-field: `value_count` needs the field whose values it counts",
        ),
        (
            "  type: event_count\n  rules: [one]\n  timespan: 1h\n  condition: {gte: 2.5}\n",
            "8:20 bad-value: `gte` takes a whole number that is not negative",
        ),
        (
            "  type: event_count\n  rules: [one]\n  timespan: 1h\n  condition: {field: a, gte: 2}\n",
            "8:15 bad-condition: only `value_` types look at the values of a field",
        ),
        (
            "  type: temporal\n  rules: [one, two]\n  group-by: [w]\n  timespan: 1h\n  aliases: {w: {one: f}}\n",
            "9:13 incomplete-alias: alias `w` has no field for `two`",
        ),
        (
            "  type: temporal\n  rules: [one]\n  group-by: [w]\n  timespan: 1h\n  aliases: {w: {one: f, three: g}}\n",
            "9:25 unknown-rule: alias `w` names `three`, which is not in `rules`",
        ),
    ] {
        check(correlation, expected);
    }
}

#[test]
fn what_is_wrong_with_a_condition_has_its_place() {
    for (correlation, expected) in [
        ("  type: value_sum\n  rules: [one]\n  timespan: 1h\n", "5:3 missing-condition: the correlation has no condition"),
        ("  type: temporal_extended\n  rules: [one]\n  timespan: 1h\n", "5:3 missing-condition: the correlation has no condition"),
        (
            "  type: temporal_extended\n  rules: [one]\n  timespan: 1h\n  condition: {gte: 1}\n",
            "8:14 bad-condition: the condition is a map; an expression over rules is wanted",
        ),
        ("  type: event_count\n  rules: [one]\n  timespan: 1h\n  condition: one\n", "8:14 bad-condition: the condition is text; a map is wanted"),
        (
            "  type: value_percentile\n  rules: [one]\n  timespan: 1h\n  condition: {field: a, gte: 1, percentile: 101}\n",
            "8:45 bad-value: `percentile` takes a number from 0 to 100",
        ),
        (
            "  type: value_percentile\n  rules: [one]\n  timespan: 1h\n  condition: {field: a, gte: 1}\n",
            "8:14 missing-percentile: no `percentile:` is named: the percentile 50 is taken",
        ),
        (
            "  type: value_median\n  rules: [one]\n  timespan: 1h\n  condition: {field: a, gte: 1, percentile: 50}\n",
            "8:33 bad-condition: only `value_percentile` has a percentile",
        ),
        (
            "  type: value_sum\n  rules: [one]\n  timespan: 1h\n  condition: {field: [a, b], gte: 1}\n",
            "8:15 bad-condition: `value_sum` takes the numbers of one field",
        ),
        (
            "  type: value_avg\n  rules: [one]\n  timespan: 1h\n  condition: {gte: 1}\n",
            "8:14 missing-field: `value_avg` needs the field whose numbers it takes",
        ),
        ("  type: temporal\n  rules: [one, two]\n  timespan: 1h\n  condition: one and\n", "8:21 bad-condition: the condition breaks off"),
        (
            "  type: temporal\n  rules: [one, two]\n  timespan: 1h\n  condition: one and two or three\n",
            "8:29 bad-condition: no rule is called `three`",
        ),
        (
            "  type: temporal\n  rules: [one, two]\n  timespan: 1h\n  condition: one or not two\n",
            "8:14 bad-condition: the condition can hold where nothing happened: it must ask for a rule beside what it rules out",
        ),
        (
            "  type: temporal\n  rules: [one, two]\n  timespan: 1h\n  condition: one\n",
            "6:16 unused-rule: `two` stands in `rules` and not in the condition",
        ),
        ("  type: temporal\n  timespan: 1h\n  condition: one and three\n", "7:22 unknown-rule: no rule has the id or name `three`"),
        ("  type: temporal\n  timespan: 1h\n  condition: 1 of o*\n", "7:14 missing-rules: `of` needs a list of rules to choose from"),
    ] {
        check(correlation, expected);
    }
}

/// A correlation of others.
fn over(id: &str, rules: &str) -> String {
    format!("title: {id}\nid: {id}\nlevel: low\ncorrelation:\n  type: temporal\n  rules: [{rules}]\n  timespan: 1h\n---\n")
}

fn check_chain(documents: &str, expected: &str) {
    let (set, problems) = read(documents, &settings());
    let problems: Vec<String> = problems.iter().map(|problem| format!("{} {}", problem.rule.as_deref().unwrap_or("-"), problem.code)).collect();
    let rules: Vec<String> = set.rules.iter().map(show_rule).map(|shown| shown.split(" by").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(format!("{} | {}", rules.join(", "), problems.join(", ")), expected);
}

#[test]
fn chains_are_followed_and_circles_refused() {
    check_chain(&format!("{}{}{RULES}", over("x", "y, two"), over("y", "one")), "x Temporal [1, 3], ~y Temporal [2], ~id-one, ~id-two | ");
    check_chain(&format!("{}{}{RULES}", over("x", "y"), over("y", "x, one")), "id-one, id-two | x cycle, y cycle");
    check_chain(&over("x", "x"), " | x cycle");
    check_chain(&format!("{}{}{RULES}", over("x", "y"), over("y", "gone")), "id-one, id-two | x refused-rule, y unknown-rule");
    let deep: String = (0..12).map(|at| over(&format!("c{at}"), &if at == 0 { "one".to_owned() } else { format!("c{}", at - 1) })).collect();
    let (set, problems) = read(&format!("{RULES}{deep}"), &settings());
    assert_eq!((set.rules.len(), problems.len()), (10, 4));
    let broken = "title: b\nid: b\nlevel: low\ndetection:\n  s: {f|nope: a}\n  condition: s\n---\n";
    check_chain(&format!("{broken}{}", over("x", "b")), " | b unknown-modifier, x refused-rule");
    let unfit = "title: b\nid: b\nstatus: unsupported\nlevel: low\ndetection:\n  s: {f: a}\n  condition: s\n---\n";
    check_chain(&format!("{unfit}{}", over("x", "b")), " | b unsupported-status, x refused-rule");
    let twins = RULES.replace("name: two", "name: one");
    check_chain(&format!("{twins}{}", over("x", "one")), "id-one, id-two | x ambiguous-rule");
}

#[test]
fn a_disabled_rule_is_matched_for_others_only() {
    let text = format!("{RULES}{}", over("x", "one"));
    let disabled = |ids: &[&str]| {
        let settings = Settings { disable: ids.iter().map(|id| (*id).to_owned()).collect(), ..settings() };
        read(&text, &settings).0.rules.iter().map(|rule| format!("{}{}", if rule.is_silent { "~" } else { "" }, rule.header.id)).collect::<Vec<_>>()
    };
    assert_eq!(disabled(&[]), ["~id-one", "id-two", "x"]);
    assert_eq!(disabled(&["id-one", "id-two"]), ["~id-one", "x"]);
    assert_eq!(disabled(&["x"]), ["id-one", "id-two"]);
    let (set, _) = read(&text, &settings());
    assert_eq!(set.rules[2].header.kind, RuleType::Temporal);
}

#[test]
fn over_rules_of_other_systems_reserved_names_are_theirs() {
    let check = |source: &str, expected: &str| {
        let text = format!(
            "title: r\nid: r\nlevel: low\nlogsource: {{{source}}}\ndetection:\n  s: {{f: a}}\n  condition: s\n---\n\
             title: c\nid: c\nlevel: low\ncorrelation:\n  type: event_count\n  rules: [r]\n  group-by: [dns.question.name]\n  timespan: 1h\n  condition: {{gte: 2}}\n"
        );
        let (set, problems) = read(&text, &settings());
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(format!("{} {}", set.rules.len(), codes.join(" ")), expected, "{source}");
    };
    check("category: network, service: dns", "2 ");
    check("product: kubernetes, service: audit", "1 unknown-field");
}
