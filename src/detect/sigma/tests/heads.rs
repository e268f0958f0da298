//! Everything around the detection.

use super::*;
use crate::model::Duration;

const DETECTION: &str = "detection:\n  s: {f: a}\n  condition: s\n";

fn one(text: &str, settings: &Settings) -> (Rule, Vec<Diagnostic>) {
    let (mut set, problems) = read(text, settings);
    assert_eq!(set.rules.len(), 1, "{}", show_problems(&problems));
    (set.rules.remove(0), problems)
}

#[test]
fn a_head_is_kept() {
    let text = "\
title: Shell opened\nid: 7c0ffee0-0000-4000-8000-000000000001\nname: shell\nstatus: stable\ndescription: |\n  Somebody did.\nauthor: [A, B]\n\
references: ['https://example.com']\ntags: [attack.t1609]\nfalsepositives: Debugging\nlevel: high\nx-own: 1\n\
logsource: {product: kubernetes, service: audit}\nbartizan:\n  title: '{actor.user.name} opened {{a}} shell in {k8s.pod}'\n  \
group_by: [cluster, k8s.pod]\n  group_window: 2h\n  runbook: https://example.com/r\n";
    let (rule, problems) = one(&format!("# head\n---\n{text}{DETECTION}"), &settings());
    assert_eq!(show_problems(&problems), "");
    assert_eq!((rule.header.id.as_str(), rule.header.author.as_deref()), ("7c0ffee0-0000-4000-8000-000000000001", Some("A, B")));
    assert_eq!((rule.header.level, rule.header.tags.as_slice()), (Level::High, ["attack.t1609".to_owned()].as_slice()));
    assert_eq!(rule.header.runbook.as_deref(), Some("https://example.com/r"));
    assert_eq!((rule.name.as_deref(), rule.description.as_deref(), rule.status.as_deref()), (Some("shell"), Some("Somebody did."), Some("stable")));
    assert_eq!((rule.false_positives.as_slice(), rule.line), (["Debugging".to_owned()].as_slice(), 3));
    let title: Vec<String> = rule
        .extras
        .title
        .iter()
        .flat_map(|title| &title.0)
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(field) => format!("<{}>", field.name()),
        })
        .collect();
    assert_eq!(title.concat(), "<actor.user.name> opened {a} shell in <k8s.pod>");
    assert_eq!(rule.extras.group_by.map(|fields| fields.len()), Some(2));
    assert_eq!(rule.extras.group_window, Some(Duration::hours(2)));
}

#[test]
fn log_sources_choose_the_kind() {
    for (source, expected) in [
        ("", "any"),
        ("logsource: {product: bartizan}\n", "any"),
        ("logsource: {definition: x}\n", "any"),
        ("logsource: {product: kubernetes, service: audit}\n", "k8s_audit"),
        ("logsource: {product: Kubernetes, category: Audit}\n", "k8s_audit"),
        ("logsource: {product: kubernetes, category: application, service: audit}\n", "k8s_audit"),
        ("logsource: {product: kubernetes}\n", "not product: kubernetes"),
        ("logsource: {product: falco}\n", "falco"),
        ("logsource: {product: cilium, service: x}\n", "flow"),
        ("logsource: {product: hubble}\n", "flow"),
        ("logsource: {product: windows, category: process_creation}\n", "not product: windows, category: process_creation"),
        ("logsource: {service: audit}\n", "not service: audit"),
    ] {
        let text = format!("{HEAD}{source}{DETECTION}");
        let shown = match one(&text, &settings()).0.logsource {
            LogSource::Any => "any".to_owned(),
            LogSource::Kind(kind) => kind.name().to_owned(),
            LogSource::NotApplicable(written) => format!("not {written}"),
        };
        assert_eq!(shown, expected, "{source}");
        let everywhere = one(&text, &Settings { any_logsource: true, ..settings() }).0.logsource;
        assert_eq!(everywhere == LogSource::Any, shown == "any" || shown.starts_with("not"), "{source}");
    }
}

#[test]
fn fields_of_foreign_rules_are_their_own() {
    let text = format!("{HEAD}logsource: {{product: windows}}\ndetection:\n  s: {{process.own_field: a}}\n  condition: s\n");
    assert_eq!(show_problems(&one(&text, &settings()).1), "");
}

#[test]
fn problems_have_a_place_and_help() {
    let with = |lines: &str| format!("{HEAD}{lines}{DETECTION}");
    for (text, expected) in [
        (format!("id: a\nlevel: low\n{DETECTION}"), "1:1 error missing-title: the rule has no title"),
        (format!("title: t\nid: a\n{DETECTION}"), "1:1 warning missing-level: the rule has no level; medium is assumed"),
        (format!("title: t\nid: a\nlevel: hihg\n{DETECTION}"), "3:8 error bad-level: `hihg` is no level"),
        (format!("title: t\nname: n\nlevel: low\n{DETECTION}"), "1:1 warning missing-id: the rule has no id; `n` is used"),
        ("title: t\nid: a\nlevel: low\n".to_owned(), "1:1 error missing-detection: the rule has neither `detection` nor `correlation`"),
        (with("falsepositive: [x]\n"), "4:1 warning unknown-key: unknown key `falsepositive` is ignored"),
        (with("status: finished\n"), "4:9 warning bad-status: `finished` is no status"),
        (with("status: unsupported\n"), "4:9 error unsupported-status: the rule says of itself that it cannot be used in its current state"),
        (
            with("correlation: high\n"),
            "4:14 warning legacy-correlation: `correlation` is a text beside a detection: a remark, which correlates nothing",
        ),
        (
            format!("{HEAD}detection: {{s: {{f: [a, null]}}, condition: s}}\n"),
            "4:24 warning null-in-list: null stands in a list, where the specification has it alone; a field that is missing or null passes",
        ),
        (
            format!("action: global\ntitle: t\n---\n{DETECTION}---\naction: reset\n"),
            "1:9 error unsupported-action: `action` documents are no longer part of Sigma\n\
             4:1 error unsupported-action: the document was to be completed by an `action` document, which is no longer part of Sigma\n\
             8:9 error unsupported-action: `action` documents are no longer part of Sigma",
        ),
        (with("action: global\n"), "4:9 error unsupported-action: `action` documents are no longer part of Sigma"),
        (with("bartizan: {titel: x}\n"), "4:12 error unknown-key: unknown key `titel` in bartizan"),
        (with("bartizan: {title: 'a {b'}\n"), "4:22 error bad-template: a `{` in the title is never closed"),
        (with("bartizan: {title: 'a } b'}\n"), "4:22 error bad-template: a `}` in the title closes nothing"),
        (with("bartizan: {group_window: 1y}\n"), "4:26 error bad-timespan: group_window: a time span of 1y is longer than the limit of 31d"),
        (with("bartizan: {group_window: 32d}\n"), "4:26 error bad-timespan: group_window: a time span of 32d is longer than the limit of 31d"),
        (
            with("bartizan: {group_by: [k8s.nope_at_all]}\n"),
            "4:23 error unknown-field: unknown field `k8s.nope_at_all` (a native key of that name is `raw.k8s.nope_at_all`)",
        ),
        (with("title: again\n"), "4:1 error bad-yaml: key `title` is given twice"),
        ("- a\n- b\n".to_owned(), "1:1 error not-a-rule: a rule is a map, and this is a list"),
        ("# nothing\n".to_owned(), "1:1 warning empty-file: the file has no rule"),
    ] {
        check_problems(&text, expected);
    }
    let filter = "title: f\nlogsource: {product: falco}\nfilter:\n  rules: [a]\n  s: {f: a}\n  condition: s\n";
    check_problems(filter, "4:11 error unknown-rule: no rule has the id or name `a`");
    let (_, problems) = read(&with("falsepositive: [x]\n"), &settings());
    assert_eq!(
        problems[0].to_string(),
        "r.yml:4:1: warning[unknown-key]: unknown key `falsepositive` is ignored\n  help: did you mean `falsepositives`?"
    );
}

#[test]
fn a_broken_document_leaves_the_others_alone() {
    let text = format!("{HEAD}{DETECTION}---\ntitle: [\n---\ntitle: t\nid: b\nlevel: low\n{DETECTION}---\ntitle: t\nid: a\nlevel: low\n{DETECTION}");
    let (set, problems) = read(&text, &settings());
    assert_eq!(set.rules.iter().map(|rule| format!("{}@{}", rule.header.id, rule.line)).collect::<Vec<_>>(), ["a@1", "b@10"]);
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["bad-yaml", "duplicate-id"]);
}

#[test]
fn settings_have_the_last_word() {
    let text = format!("{HEAD}name: n\n{DETECTION}");
    let levels = [("a".to_owned(), Level::Critical), ("gone".to_owned(), Level::Low)].into();
    let (rule, problems) = one(&text, &Settings { levels, ..settings() });
    assert_eq!(rule.header.level, Level::Critical);
    assert_eq!(show_problems(&problems), "0:0 warning unknown-rule: the settings name rule `gone`, which is not loaded");
    assert!(read(&text, &Settings { disable: vec!["a".to_owned()], ..settings() }).0.rules.is_empty());
    let few = Settings { rules_max: 1, ..settings() };
    let (set, problems) = read(&format!("{text}---\n{HEAD}{DETECTION}"), &few);
    assert_eq!((set.rules.len(), problems[0].code), (1, "too-many-rules"));
}

#[test]
fn an_id_is_made_where_none_is() {
    let (rule, _) = one(&format!("title: t\nlevel: low\n{DETECTION}"), &settings());
    assert_eq!((rule.header.id.len(), rule.header.id.matches('-').count()), (36, 4));
    assert_eq!(rule.header.id, one(&format!("level: high\ntitle: t\n{DETECTION}"), &settings()).0.header.id);
}
