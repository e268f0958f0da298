//! What rules become, as tables: a snippet of YAML, and the rule in a few words.

use super::*;
use crate::detect::rule::{Body, Condition, Item, LogSource, Part, Pattern, Piece, Place, Rule, Selection, Test};

mod aliases;
mod correlations;
mod filters;
mod heads;
mod hostile;

const HEAD: &str = "title: t\nid: a\nlevel: low\n";

fn settings() -> Settings {
    let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    Settings {
        lists: [
            ("admins".to_owned(), list(&["alice", "ops-*"])),
            ("nets".to_owned(), list(&["10.0.0.0/8", "fd00::/8"])),
            ("none".to_owned(), vec![]),
        ]
        .into(),
        field_mappings: [("User".to_owned(), "actor.user.name".to_owned())].into(),
        ..Settings::default()
    }
}

fn read(text: &str, settings: &Settings) -> (RuleSet, Vec<Diagnostic>) {
    parse(&[(Arc::from("r.yml"), text.to_owned())], settings)
}

fn show_pattern(pattern: &Pattern) -> String {
    let text: String = pattern
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => format!("'{text}'"),
            Part::Many => "*".to_owned(),
            Part::One => "?".to_owned(),
        })
        .collect();
    let text = if text.is_empty() { "''".to_owned() } else { text };
    match pattern.place {
        Place::Whole => text,
        Place::Start => format!("{text}.."),
        Place::End => format!("..{text}"),
        Place::Anywhere => format!("..{text}.."),
    }
}

fn show_test(test: &Test) -> String {
    match test {
        Test::Text { pattern, cased } => format!("{}{}", if *cased { "cased " } else { "" }, show_pattern(pattern)),
        Test::Number { op: comparison, value } => format!("{}{value}", comparison.sign()),
        Test::Time { part, op: comparison, value } => format!("{}{}{value}", part.name(), comparison.sign()),
        Test::Regex { pattern, ignore_case, multi_line, dot_all } => {
            let flags: String = [(*ignore_case, 'i'), (*multi_line, 'm'), (*dot_all, 's')].iter().filter(|flag| flag.0).map(|flag| flag.1).collect();
            format!("/{pattern}/{flags}")
        }
        Test::Cidr { text } => format!("in {text}"),
        Test::Exists(exists) => if *exists { "exists" } else { "missing" }.to_owned(),
        Test::Null => "null".to_owned(),
        Test::Elements(elements) => {
            let selections: Vec<String> = elements.detection.selections.iter().map(|(_, selection)| show_selection(selection)).collect();
            format!("[{:?}]({})", elements.each, selections.join(" / "))
        }
        Test::FieldRef { other, place, cased } => format!("{}field {} {place:?}", if *cased { "cased " } else { "" }, other.name()),
    }
}

fn show_item(item: &Item) -> String {
    let tests: Vec<String> = item.tests.iter().map(show_test).collect();
    format!("{}{} {}", if item.negated { "not " } else { "" }, item.field.name(), tests.join(if item.all { " & " } else { " | " }))
}

fn show_selection(selection: &Selection) -> String {
    match selection {
        Selection::All(items) => items.iter().map(show_item).collect::<Vec<_>>().join("; "),
        Selection::Any(of) => format!("any({})", of.iter().map(show_selection).collect::<Vec<_>>().join(" / ")),
        Selection::Keywords { words, all } => {
            format!("words {}", words.iter().map(show_pattern).collect::<Vec<_>>().join(if *all { " & " } else { " | " }))
        }
    }
}

/// Every problem, as place, code and message.
fn show_problems(problems: &[Diagnostic]) -> String {
    problems.iter().map(|p| format!("{}:{} {} {}: {}", p.line, p.column, p.severity.name(), p.code, p.message)).collect::<Vec<_>>().join("\n")
}

/// The one selection of a rule, from what stands under its name; else the first problem.
fn check(selection: &str, expected: &str) {
    let text = format!("{HEAD}detection:\n  s: {selection}\n  condition: s\n");
    let (set, problems) = read(&text, &settings());
    let shown = match set.rules.first().map(|rule| &rule.body) {
        Some(Body::Single(detection)) => {
            assert!(problems.is_empty(), "{selection}: {}", show_problems(&problems));
            assert_eq!(detection.condition, Condition::Selection(0));
            show_selection(&detection.selections[0].1)
        }
        _ => problems
            .iter()
            .find(|problem| problem.severity == Severity::Error)
            .map(|problem| format!("{}: {}", problem.code, problem.message))
            .unwrap(),
    };
    assert_eq!(shown, expected, "{selection}");
}

#[test]
fn values() {
    for (selection, expected) in [
        ("{f: abc}", "f 'abc'"),
        ("{f: ''}", "f ''"),
        ("{f: null}", "f null"),
        ("{f: }", "f null"),
        ("{f: 4625}", "f =4625"),
        ("{f: '4625'}", "f '4625'"),
        ("{f: -1.5}", "f =-1.5"),
        ("{f: 0x10}", "f =16"),
        ("{f: 12345678901234567890}", "f '12345678901234567890'"),
        ("{f: true}", "f 'true'"),
        ("{f: 'true'}", "f 'true'"),
        ("{f|contains: 1}", "f ..'1'.."),
        ("{f: Ünï}", "f 'Ünï'"),
        ("{f: a, g.h: b}", "f 'a'; g.h 'b'"),
        ("{'name with spaces (1)': a}", "name with spaces (1) 'a'"),
        ("{annotations.authorization.k8s.io/reason: a}", "annotations.authorization.k8s.io/reason 'a'"),
        ("{User: a}", "actor.user.name 'a'"),
        ("{raw.user.name: a}", "user.name 'a'"),
        ("[{f: a}, {g: b, h: c}]", "any(f 'a' / g 'b'; h 'c')"),
        ("[{f: a}]", "f 'a'"),
        ("{f: []}", "bad-value: `f` has no values"),
        ("{f: {g: a}}", "bad-value: a value is a map; text, a number, a boolean or null is wanted"),
        ("{f: [[a]]}", "bad-value: a value is a list; text, a number, a boolean or null is wanted"),
        ("{}", "empty-selection: the selection is empty, and would match everything"),
        ("[]", "empty-selection: the selection is empty"),
        ("", "empty-selection: the selection is empty"),
        ("{k8s.nam: a}", "unknown-field: unknown field `k8s.nam`: did you mean `k8s.name`? (a native key of that name is `raw.k8s.nam`)"),
        ("{'f[any].g': a}", "f [Any](f.g 'a')"),
    ] {
        check(selection, expected);
    }
}

/// The specification's table of escapes, and what its text says around it.
#[test]
fn wildcards_and_escapes() {
    for (selection, expected) in [
        (r"{f: 'a*'}", "f 'a'*"),
        (r"{f: '*'}", "f *"),
        (r"{f: 'a**b'}", "f 'a'*'b'"),
        (r"{f: 'a?b'}", "f 'a'?'b'"),
        (r"{f: '??'}", "f ??"),
        (r"{f: '\*'}", "f '*'"),
        (r"{f: '\?'}", "f '?'"),
        (r"{f: 'C:\Windows\x.exe'}", r"f 'C:\Windows\x.exe'"),
        (r"{f: '\\'}", r"f '\'"),
        (r"{f: '\'}", r"f '\'"),
        (r"{f: 'a\\b'}", r"f 'a\b'"),
        (r"{f: '\\\\host'}", r"f '\\host'"),
        (r"{f: '\\host'}", r"f '\host'"),
        (r"{f: 'a\\*'}", r"f 'a\'*"),
        (r"{f: 'a\\\*'}", r"f 'a\*'"),
        (r"{f: 'a\\\\*'}", r"f 'a\\'*"),
        (r"{f: 'a\\\\\*'}", r"f 'a\\*'"),
        (r"{f|endswith: '\cmd.exe'}", r"f ..'\cmd.exe'"),
        (r#"{f: "a\\*"}"#, "f 'a*'"),
    ] {
        check(selection, expected);
    }
}

#[test]
fn modifiers() {
    for (selection, expected) in [
        ("{f|contains: a}", "f ..'a'.."),
        ("{f|startswith: [a, b]}", "f 'a'.. | 'b'.."),
        ("{f|endswith: a}", "f ..'a'"),
        ("{f|contains: 'a*b'}", "f ..'a'*'b'.."),
        ("{f|contains|all: [a, b]}", "f ..'a'.. & ..'b'.."),
        ("{f|all: [a]}", "f 'a'"),
        ("{f|cased: a}", "f cased 'a'"),
        ("{f|contains|cased: a}", "f cased ..'a'.."),
        ("{f|neq: [a, b]}", "not f 'a' | 'b'"),
        ("{f|contains|neq: a}", "not f ..'a'.."),
        ("{f|exists: true}", "f exists"),
        ("{f|exists: 'false'}", "f missing"),
        ("{f|exists: maybe}", "bad-value: `exists` takes true or false"),
        (r"{f|re: '^a\d+\*$'}", r"f /^a\d+\*$/"),
        ("{f|re|i: a}", "f /a/i"),
        ("{f|re|i|m|s: a}", "f /a/ims"),
        ("{f|re: 5}", "f /5/"),
        ("{f|cidr: [10.0.0.0/8, 'fd00::/8', 10.1.2.3]}", "f in 10.0.0.0/8 | in fd00::/8 | in 10.1.2.3"),
        ("{f|cidr: 10.0.0.0/33}", "bad-network: `10.0.0.0/33` is no network"),
        ("{f|cidr: 10.0.0.0/+8}", "bad-network: `10.0.0.0/+8` is no network"),
        ("{f|cidr: '10.0.*'}", "bad-network: `10.0.*` is no network"),
        ("{f|lt: 5, g|lte: 5, h|gt: '5', i|gte: 5.5}", "f <5; g <=5; h >5; i >=5.5"),
        ("{f|gt: many}", "bad-value: a comparison takes a number"),
        ("{f|fieldref: g}", "f field g Whole"),
        ("{f|fieldref|neq: User}", "not f field actor.user.name Whole"),
        ("{f|fieldref|startswith: g}", "f field g Start"),
        ("{f|contains|fieldref|cased: g}", "f cased field g Anywhere"),
        ("{f|hour: 3}", "f hour=3"),
        ("{f|hour|gte: '20'}", "f hour>=20"),
        ("{f|week|neq: [1, 53]}", "not f week=1 | week=53"),
        ("{event.time|minute|lt: 5}", "event.time minute<5"),
        ("{f|hour: 24}", "bad-value: no time has the hour 24"),
        ("{f|day: 0}", "bad-value: no time has the day 0"),
        ("{f|month: may}", "bad-value: a comparison takes a number"),
        ("{f|hour|minute: 3}", "modifier-conflict: only one of minute, hour, day, week, month and year can hold"),
        ("{f|hour|contains: 3}", "modifier-conflict: a part of a time cannot go with modifiers of text (`|hour|contains`)"),
        ("{f|year|re: 20..}", "modifier-conflict: a part of a time cannot go with a test that is not of numbers (`|year|re`)"),
        ("{f|contians: a}", "unknown-modifier: unknown modifier `contians`"),
        ("{f|: a}", "unknown-modifier: unknown modifier ``"),
        ("{f|contains|startswith: a}", "modifier-conflict: only one of contains, startswith and endswith can hold"),
        ("{f|re|cidr: a}", "modifier-conflict: only one of re, cidr, exists, fieldref, lt, lte, gt and gte can hold"),
        ("{f|i: a}", "modifier-conflict: modifier `i` belongs after `re`"),
        ("{f|re|contains: a}", "modifier-conflict: re cannot go with other modifiers of text (`|re|contains`)"),
        ("{f|contains: null}", "bad-value: null cannot be changed by a modifier"),
    ] {
        check(selection, expected);
    }
}

#[test]
fn encodings_and_lists() {
    for (selection, expected) in [
        ("{f|base64: foobar}", "f 'Zm9vYmFy'"),
        ("{f|base64offset|contains: foobar}", "f ..'Zm9vYmFy'.. | ..'Zvb2Jhc'.. | ..'mb29iYX'.."),
        ("{f|wide|base64offset|contains: ab}", "f ..'YQBiA'.. | ..'EAYg'.. | ..'hAGIA'.."),
        ("{f|utf16be|base64: ab}", "f 'AGEAYg=='"),
        ("{f|utf16|base64: ab}", "f '//5hAGIA'"),
        (
            "{f|wide: ab}",
            "modifier-conflict: utf16le, wide, utf16be and utf16 cannot go with values that no `base64` or `base64offset` follows (`|wide`)",
        ),
        ("{f|base64: 'a*'}", "bad-value: a value with wildcards cannot be encoded"),
        (r"{f|base64: 'a\*'}", "f 'YSo='"),
        ("{f|windash|contains: ' -a'}", "f ..' -a'.. | ..' /a'.. | ..' –a'.. | ..' —a'.. | ..' ―a'.."),
        ("{f|windash: 'a-b'}", "f 'a-b'"),
        ("{f|windash|contains|all: [-x, y]}", "f ..'-x'.. | ..'/x'.. | ..'–x'.. | ..'—x'.. | ..'―x'..; f ..'y'.."),
        ("{f|windash: -a -b -c -d -e -f}", "too-many-values: `windash` makes too many variants of this value"),
        ("{f|expand: '%admins%'}", "f 'alice' | 'ops-'*"),
        ("{f|expand: 'sa:%admins%:x'}", "f 'sa:alice:x' | 'sa:ops-'*':x'"),
        ("{f|expand|contains|all: ['%admins%', z]}", "f ..'alice'.. | ..'ops-'*..; f ..'z'.."),
        ("{f|cidr|expand: '%nets%'}", "f in 10.0.0.0/8 | in fd00::/8"),
        ("{f|expand: '%none%'}", "f "),
        ("{f|expand: '100% of %'}", "f '100% of %'"),
        ("{f: '%admins%'}", "f '%admins%'"),
        ("{f|expand: '%admin%'}", "unknown-placeholder: no list is called `admin`"),
    ] {
        check(selection, expected);
    }
}

#[test]
fn keywords() {
    for (selection, expected) in [
        ("[a, 'b*c', 5]", "words ..'a'.. | ..'b'*'c'.. | ..'5'.."),
        ("a", "words ..'a'.."),
        ("{'|all': [a, b]}", "words ..'a'.. & ..'b'.."),
        ("[a, {f: b}]", "any(f 'b' / words ..'a'..)"),
        ("['']", "bad-keywords: a word is empty; text or a number is wanted"),
        ("[null]", "bad-keywords: a word is null; text or a number is wanted"),
        ("{'|all': [a], f: b}", "bad-keywords: words cannot stand beside fields"),
        ("{'|re': a}", "bad-keywords: words without a field take no modifier but `|all`, not `|re`"),
    ] {
        check(selection, expected);
    }
}

#[test]
fn regular_expressions_stay_within_re2() {
    for pattern in ["(?=a)b", "(?<!a)b", r"(a)\1", "a{1000}{1000}", "("] {
        let (set, problems) = read(&format!("{HEAD}detection:\n  s: {{f|re: '{pattern}'}}\n  condition: s\n"), &settings());
        assert!(set.rules.is_empty(), "{pattern}");
        assert_eq!(problems[0].code, "bad-regex", "{pattern}");
        assert_eq!((problems[0].line, problems[0].column), (5, 13));
    }
    let long = "a".repeat(1_025);
    check(&format!("{{f|re: {long}}}"), "bad-regex: the regular expression cannot be used: it has 1025 bytes; 1024 are read");
}

/// A whole rule's problems.
fn check_problems(text: &str, expected: &str) {
    let (_, problems) = read(text, &settings());
    assert_eq!(show_problems(&problems), expected, "{text}");
}

#[test]
fn detections_and_their_conditions() {
    let condition = |condition: &str| format!("{HEAD}detection:\n  sel_a: {{f: a}}\n  sel_b: {{f: b}}\n  _h: {{f: c}}\n{condition}");
    let shown = |text: &str| match read(&condition(text), &settings()).0.rules.first().map(|rule| rule.body.clone()) {
        Some(Body::Single(detection)) => format!("{:?}", detection.condition),
        _ => "refused".to_owned(),
    };
    assert_eq!(shown("  condition: [sel_a, not sel_b]\n"), "Or([Selection(0), Not(Selection(1))])");
    assert_eq!(shown("  condition: 1 of them\n"), "Or([Selection(0), Selection(1)])");
    assert_eq!(shown("  condition: |\n    sel_a\n    and sel_b\n"), "And([Selection(0), Selection(1)])");
    for (text, expected) in [
        ("  condition: sel_a and sel_c\n", "8:24 error bad-condition: no selection is called `sel_c`"),
        ("  condition: 'sel_a and sel_c'\n", "8:25 error bad-condition: no selection is called `sel_c`"),
        ("  condition: |\n    sel_a\n    and sel_c\n", "9:5 error bad-condition: no selection is called `sel_c` (character 11 of the condition)"),
        ("  condition: sel_a | count() > 3\n", "8:20 error old-aggregation: aggregations after `|` are no longer part of Sigma"),
        ("", "5:3 error missing-condition: the detection has no condition"),
        ("  condition: []\n", "8:14 error missing-condition: the list of conditions is empty"),
        ("  timeframe: 5m\n  condition: sel_a\n", "8:3 error old-aggregation: `timeframe` is no longer part of Sigma"),
    ] {
        check_problems(&condition(text), expected);
    }
}
