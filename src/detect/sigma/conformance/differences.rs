//! Where another engine decides otherwise, one test each: `tests/bench/peers` explains every difference of match sets by one of these.

use super::Row::Matches;
use super::*;
use crate::detect::sample::with;
use crate::model::Field;

/// Below `detection:`, with the condition `selection`.
fn check(selection: &'static str, yes: &'static [&'static str], no: &'static [&'static str]) {
    let detection: &'static str = String::leak(format!("selection:\n    {selection}\n  condition: selection"));
    super::check(selection, Matches(detection, yes, no));
}

#[test]
fn words_of_all_are_found_anywhere_in_any_value() {
    let words = "'|all':\n      - curl\n      - ' -O '\n      - 'h?t*p'";
    check(
        words,
        &[r#"{"a":"curl -o x http://"}"#, r#"{"a":"CURL","b":["x -o y",{"c":"hotlap"}]}"#],
        &[r#"{"a":"curl -o"}"#, r#"{"a":"curl","b":"http"}"#],
    );
}

#[test]
fn words_look_at_numbers() {
    check("- 443", &[r#"{"port":443}"#, r#"{"port":["x",8443]}"#, r#"{"port":"443"}"#], &[r#"{"port":44}"#, r#"{"443":"x"}"#]);
    check("- '4?3'", &[r#"{"port":403}"#], &[r#"{"port":true}"#]);
}

#[test]
fn wildcards_go_past_the_end_of_a_line() {
    check("a: 'x*y?z'", &[r#"{"a":"x\n\ny\nz"}"#, r#"{"a":"x\r\ny\rz"}"#], &[r#"{"a":"x\ny\n\nz"}"#]);
    check("- 'x*y'", &[r#"{"a":"1 x\ny 2"}"#], &[]);
}

#[test]
fn a_value_with_wildcards_stands_where_its_modifier_says() {
    check("a|startswith: 'ab*cd'", &[r#"{"a":"ab-cd-x"}"#, r#"{"a":"ABCD"}"#], &[r#"{"a":"x-ab-cd"}"#]);
    check("a|endswith: '1?'", &[r#"{"a":"0x10"}"#, r#"{"a":"1f"}"#], &[r#"{"a":"10x"}"#, r#"{"a":"1"}"#]);
}

#[test]
fn null_is_seen_among_elements() {
    check("a: null", &[r#"{"a":["x",null]}"#, r#"{"a":[null]}"#, r#"{"b":1}"#], &[r#"{"a":["x"]}"#, r#"{"a":[]}"#]);
    check("a.b: null", &[r#"{"a":[{"b":"x"},{"b":null}]}"#], &[r#"{"a":[{"b":"x"},{}]}"#]);
}

#[test]
fn null_in_a_list_of_values_means_what_it_means_alone() {
    check("a: [x, null]", &["{}", r#"{"a":null}"#, r#"{"a":"X"}"#], &[r#"{"a":"y"}"#]);
}

#[test]
fn neq_holds_of_a_field_that_is_missing() {
    check("a|neq: [x, 'y*']", &["{}", r#"{"a":null}"#, r#"{"a":"z"}"#], &[r#"{"a":"x"}"#, r#"{"a":["z","yz"]}"#]);
    check("a|neq: null", &[r#"{"a":"z"}"#], &["{}", r#"{"a":null}"#]);
}

#[test]
fn a_field_that_is_null_exists() {
    check("a|exists: true", &[r#"{"a":null}"#, r#"{"a":""}"#, r#"{"a":[]}"#], &["{}"]);
    check("a|exists: false", &["{}"], &[r#"{"a":null}"#]);
}

#[test]
fn fieldref_compares_elements_and_never_null() {
    check(
        "a|fieldref: b",
        &[r#"{"a":["x","y"],"b":"Y"}"#, r#"{"a":"1","b":[2,1]}"#, r#"{"a":["X"],"b":["x"]}"#],
        &[r#"{"a":null,"b":null}"#, r#"{"a":[],"b":[]}"#, r#"{"a":{"c":1},"b":{"c":1}}"#, r#"{"a":1.0,"b":1}"#],
    );
    check("a|fieldref|endswith: b", &[r#"{"a":"xy","b":["q","Y"]}"#], &[r#"{"a":"yx","b":"y"}"#]);
}

#[test]
fn base64_is_cut_at_both_edges() {
    // `foobar!` behind no, one and two bytes, and before others that change its last character.
    check(
        "a|base64offset|contains: 'foobar!'",
        &[r#"{"a":"Zm9vYmFyIXh4"}"#, r#"{"a":"eGZvb2JhciF4"}"#, r#"{"a":"eHhmb29iYXIhenp6"}"#],
        &[r#"{"a":"Zm9vYmE="}"#],
    );
    // Without a place the whole value is the encoded text.
    check("a|base64offset: 'foobar'", &[r#"{"a":"Zm9vYmFy"}"#], &[r#"{"a":"xZm9vYmFy"}"#]);
}

#[test]
fn dashes_and_slashes_of_arguments_are_one() {
    check(
        "a|contains|windash: ' /c dir-x'",
        &[r#"{"a":"cmd /c dir-x"}"#, r#"{"a":"cmd -C DIR-X"}"#, r#"{"a":"cmd ―c dir-x"}"#],
        &[r#"{"a":"cmd /c dir/x"}"#, r#"{"a":"cmd c dir-x"}"#],
    );
    check("a|windash: '* -x *'", &[r#"{"a":"run —x it"}"#], &[r#"{"a":"* -x"}"#]);
}

#[test]
fn a_boolean_is_the_text_that_spells_it() {
    check("a: true", &[r#"{"a":true}"#, r#"{"a":"True"}"#], &[r#"{"a":"yes"}"#, r#"{"a":"1"}"#, r#"{"a":1}"#]);
    check("a|contains: true", &[r#"{"a":"untrue"}"#], &[]);
}

#[test]
fn words_are_no_numbers() {
    check("a|gt: 5", &[r#"{"a":"6"}"#, r#"{"a":"1e300"}"#], &[r#"{"a":"inf"}"#, r#"{"a":"NaN"}"#, r#"{"a":"1e999"}"#, r#"{"a":" 6"}"#]);
    let long: &'static str = String::leak(format!(r#"{{"a":"{}7"}}"#, "0".repeat(70)));
    check("a: 7", &[r#"{"a":"7.0"}"#], Vec::leak(vec![long]));
}

#[test]
fn a_number_is_spelled_as_the_record_has_it() {
    check("a: '1.0'", &[r#"{"a":1.0}"#, r#"{"a":"1.0"}"#], &[r#"{"a":1}"#]);
    check("a: '1'", &[r#"{"a":1}"#], &[r#"{"a":1.0}"#]);
    check("a: 1", &[r#"{"a":1.0}"#, r#"{"a":"1e0"}"#], &[]);
}

#[test]
fn long_numbers_are_compared_exactly() {
    check("a: 9007199254740993", &[r#"{"a":9007199254740993}"#], &[r#"{"a":9007199254740992}"#, r#"{"a":9007199254740992.0}"#]);
    check("a: 9007199254740991", &[r#"{"a":9007199254740991.0}"#], &[r#"{"a":9007199254740992}"#]);
}

#[test]
fn mapped_addresses_count_as_what_they_map() {
    check("a|cidr: 10.0.0.0/8", &[r#"{"a":"::ffff:10.0.0.1"}"#], &[r#"{"a":"::10.0.0.1"}"#]);
    check("a|cidr: 'fe80::/10'", &[r#"{"a":"fe80::1%eth0"}"#], &[]);
    check("a|cidr: '::/0'", &[r#"{"a":"::1"}"#], &[r#"{"a":"::ffff:10.0.0.1"}"#]);
}

#[test]
fn dots_part_keys_or_belong_to_them() {
    check(
        "labels.app.kubernetes.io/name: web",
        &[r#"{"labels":{"app.kubernetes.io/name":"web"}}"#, r#"{"labels.app":{"kubernetes":[{"io/name":"web"}]}}"#],
        &[r#"{"app.kubernetes.io/name":"web"}"#],
    );
    check("a.b: x", &[r#"{"a.b":"y","a":{"b":"x"}}"#], &[]);
    check("a.b|neq: x", &[], &[r#"{"a.b":"y","a":{"b":"x"}}"#]);
}

#[test]
fn any_value_may_be_an_object() {
    check("a: '*'", &[r#"{"a":{"b":1}}"#, r#"{"a":[{"b":null}]}"#, r#"{"a":""}"#], &[r#"{"a":{}}"#, r#"{"a":[[]]}"#, r#"{"a":null}"#]);
    check("a: 'x*'", &[], &[r#"{"a":{"x":"x"}}"#]);
}

#[test]
fn case_folds_character_by_character() {
    check("a|endswith: 'ΟΔΟΣ'", &[r#"{"a":"Οδός οδος"}"#, r#"{"a":"οδοσ"}"#], &[]);
    check("a|contains: 'οσ'", &[r#"{"a":"ΟΣ x"}"#, r#"{"a":"ος"}"#], &[]);
    check("a: 'Secret'", &[r#"{"a":"ſecret"}"#], &[]);
    check("a: 'Straße'", &[r#"{"a":"STRAẞE"}"#], &[r#"{"a":"STRASSE"}"#]);
}

/// The small form of `İ` is two characters: folded so, `?` would have to stand for two.
#[test]
fn a_letter_whose_small_form_is_two_characters_is_one() {
    check("a: 'x?y'", &[r#"{"a":"xİy"}"#, r#"{"a":"Xéy"}"#], &[r#"{"a":"xi\u0307y"}"#]);
    check("a: 'İstanbul'", &[r#"{"a":"İSTANBUL"}"#], &[r#"{"a":"i\u0307stanbul"}"#, r#"{"a":"istanbul"}"#]);
}

/// What events of Kubernetes match a rule of this detection, with the lists of the settings.
fn of_kubernetes(detection: &str, settings: &Settings, events: &[&str]) -> Vec<bool> {
    let text = format!(
        "title: t\nid: a\nlevel: low\nlogsource: {{product: kubernetes, service: audit}}\ndetection:\n  selection:\n    {detection}\n  condition: selection\n"
    );
    let (rules, _) = parse(&[(Arc::from("r.yml"), text)], settings);
    let (mut matcher, refused) = Matcher::new(&rules);
    assert!(refused.is_empty() && rules.rules.len() == 1, "{refused:?}");
    let mut found = Vec::new();
    let mut hits = |json: &&str| {
        matcher.find(&with(event("e", 0, json), Field::K8sApiGroup, "apps"), &mut found);
        !found.is_empty()
    };
    events.iter().map(&mut hits).collect()
}

#[test]
fn names_that_no_event_has_lead_to_what_events_have() {
    assert_eq!(of_kubernetes("apiGroup: apps", &Settings::default(), &["{}", r#"{"apiGroup":"batch"}"#]), [true, true]);
    let code = "responseStatus.code: ALLOW";
    let events = [r#"{"annotations":{"authorization.k8s.io/decision":"allow"}}"#, r#"{"responseStatus":{"code":"ALLOW"}}"#];
    assert_eq!(of_kubernetes(code, &Settings::default(), &events), [true, false]);
}

#[test]
fn placeholders_are_lists() {
    let lists = [("people".to_owned(), vec!["alice".to_owned(), "b*b".to_owned()])].into();
    let settings = Settings { lists, ..Settings::default() };
    let events = [r#"{"a":"ALICE"}"#, r#"{"a":"bob"}"#, r#"{"a":"carol","people":"carol"}"#];
    assert_eq!(of_kubernetes("a|expand: '%people%'", &settings, &events), [true, true, false]);
}

#[test]
fn normalised_fields_have_no_null() {
    let events = [r#"{"k8s.api_group":[null]}"#, r#"{"k8s":{"api_group":{"x":1}}}"#];
    assert_eq!(of_kubernetes("k8s.api_group: null", &Settings::default(), &events), [false, false]);
    assert_eq!(of_kubernetes("k8s.api_group: apps", &Settings::default(), &events), [true, true]);
}
