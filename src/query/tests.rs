use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{ActId, ClusterId, EnvelopeKind, Event, EventId, Facts, FieldRef, Kind, Origin, Parser, Path, Position, TenantId, Timestamp};

/// The outline of a parsed query, or the error with its position.
fn check(text: &str, expected: &str) {
    let found = match parse(text) {
        Ok(query) => query.to_string(),
        Err(error) => format!("{}: {}", error.at, error.message),
    };
    assert_eq!(found, expected, "{text}");
}

#[test]
fn reads_the_language() {
    for (text, expected) in [
        ("", "*"),
        ("  ", "*"),
        ("*", "*"),
        ("***", "*"),
        ("NOT *", "NOT *"),
        ("NOT NOT *", "*"),
        ("shell", "shell"),
        ("Shell", "shell"),
        ("web-0", "\"web-0\""),
        ("sh*l?", "sh*l?"),
        ("\"a b\"", "\"a b\""),
        ("verb:create", "verb:create"),
        ("verb:create k8s.resource:pods", "verb:create AND k8s.resource:pods"),
        ("a OR b c", "a OR (b AND c)"),
        ("(a OR b) c", "(a OR b) AND c"),
        ("((a))", "a"),
        ("NOT(a)", "NOT a"),
        ("a AND(b)OR(c)", "(a AND b) OR c"),
        ("NOT a OR b", "(NOT a) OR b".replace(['(', ')'], "").as_str()),
        (
            "verb:create AND k8s.resource:(pods OR secrets) AND NOT actor.user.name:system\\:*",
            r"verb:create AND (k8s.resource:pods OR k8s.resource:secrets) AND NOT actor.user.name:system\:*",
        ),
        ("actor.user.name:system:serviceaccount:a:b", "actor.user.name:\"system:serviceaccount:a:b\""),
        ("k8s.name:a-b", "k8s.name:a-b"),
        ("k8s.name:-b", "k8s.name:-b"),
        ("k8s.name:*", "k8s.name:*"),
        ("k8s.name:**", "k8s.name:*"),
        (r"k8s.name:\*", "k8s.name:\"*\""),
        ("k8s.name:\"\"", "k8s.name:\"\""),
        ("k8s.name:(NOT a b)", "NOT k8s.name:a AND k8s.name:b"),
        ("k8s.name:(a:b OR \"c d\")", "k8s.name:\"a:b\" OR k8s.name:\"c d\""),
        ("http.status:>=400", "http.status:[\"400\" TO *]"),
        ("http.status:<400", "http.status:[* TO \"400\"}"),
        ("http.status:{400 TO 500]", "http.status:{\"400\" TO \"500\"]"),
        ("http.status:[* TO *]", "http.status:*"),
        ("event.time:>2026-01-01T00:00:00Z", "event.time:{\"2026-01-01T00:00:00Z\" TO *]"),
        ("src.ip:10.0.0.0/8", "src.ip:10.0.0.0/8"),
        ("src.ip:fd00::/8", "src.ip:fd00::/8"),
        ("src.ip:\"10.0.0.0/8\"", "src.ip:\"10.0.0.0/8\""),
        ("sourceIPs:10.0.0.0/8", "sourceIPs:10.0.0.0/8"),
        ("image:a/b", "image:\"a/b\""),
        ("raw.event.x:1", "raw.event.x:1"),
        ("responseStatus.code:403", "responseStatus.code:403"),
        (r"a\:b", "\"a:b\""),
        ("and or not", "and AND or AND not"),
        ("ANDREW", "andrew"),
    ] {
        check(text, expected);
    }
}

#[test]
fn errors_name_the_character() {
    for (text, expected) in [
        ("(", "1: the query ends where a term should stand"),
        ("(a", "0: the parenthesis is never closed"),
        ("é (a", "2: the parenthesis is never closed"),
        ("a)", "1: this parenthesis closes nothing"),
        ("()", "1: a term is missing before the parenthesis"),
        ("AND a", "0: a term is missing before the operator"),
        ("a AND", "5: the query ends where a term should stand"),
        ("a OR OR b", "5: a term is missing before the operator"),
        ("NOT", "3: the query ends where a term should stand"),
        ("\"a", "0: the quote is never closed"),
        ("\"\"", "0: nothing between the quotes"),
        ("a\"b", "1: a quote within a word"),
        ("\"a\"b", "3: text follows without a blank"),
        ("a(b)", "1: a parenthesis within a word"),
        ("a\\", "1: nothing follows the backslash"),
        (":a", "0: a field name is missing"),
        ("verb:", "5: a value of `verb` is missing"),
        ("verb: a", "5: a value of `verb` is missing"),
        ("ve*:a", "0: a wildcard in a field name"),
        ("k8s.nam:a", "0: unknown field `k8s.nam`: did you mean `k8s.name`? (a native key of that name is `raw.k8s.nam`)"),
        ("src.ip:10.0.0.0/33", "7: this is no network"),
        ("code:[1 TO", "10: an end of the range is missing"),
        ("code:[1 2]", "8: `TO` is missing in the range"),
        ("code:[1 TO 2", "5: the range is never closed"),
        ("code:[1* TO 2]", "6: a wildcard in a range"),
        ("code:>", "6: a value is missing"),
        ("code:>1*", "6: a wildcard in a comparison"),
        (">5", "0: a range without a field"),
        ("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q:1", "0: a field name of more than 16 segments"),
    ] {
        check(text, expected);
    }
}

#[test]
fn limits_hold() {
    let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    check(&nested(DEPTH_MAX), "a");
    check(&nested(DEPTH_MAX + 1), "33: nested deeper than 32 levels");
    check(&nested(4000), "33: nested deeper than 32 levels");
    check(&format!("{}a", "NOT ".repeat(2000)), "132: nested deeper than 32 levels");
    assert!(parse(&"a ".repeat(CLAUSES_MAX)).is_ok());
    check(&"a ".repeat(CLAUSES_MAX + 1), "512: more than 256 clauses");
    check(&"é".repeat(QUERY_BYTES_MAX), "4096: the query is longer than 8192 bytes");
    check(&format!("{}*", "a".repeat(WILD_CHARS_MAX)), "0: a pattern longer than 256 characters");
}

fn event() -> Event {
    let record =
        br#"{"verb":"Create","code":403,"spelled":"403","size":1.5,"none":null,"list":["One","two",3],"ip":"10.1.2.3","at":"2026-01-02T00:00:00Z",
        "b":true,"deep":{"er":"x:y-z"},"a.b":"dotted","event":{"x":"native"},"big":18446744073709551615,"six":"::ffff:10.1.2.3"}"#;
    let doc = Parser::default().parse(record, None).unwrap();
    let mut facts = Facts::default();
    for (field, text) in [
        (Field::Message, "Pods \"web-0\" is forbidden: User Alice can't"),
        (Field::ActorUserName, "Alice"),
        (Field::Entity, "user:alice"),
        (Field::Entity, "pod:prod/web-0"),
        (Field::K8sPod, "web-0"),
        (Field::SrcIp, "fd00::1"),
        (Field::K8sImage, "nginx"),
    ] {
        facts.push_text(field, text);
    }
    facts.push_number(Field::HttpStatus, 403);
    facts.seal();
    let origin = Arc::new(Origin {
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        source: "s".into(),
        partition: "p".into(),
        object: Arc::from("o"),
        received: Timestamp::default(),
    });
    Event {
        id: EventId::default(),
        act: ActId::default(),
        kind: Kind::K8sAudit,
        envelope: EnvelopeKind::Native,
        tenant: TenantId::default(),
        cluster: ClusterId::default(),
        time: Timestamp::default(),
        origin,
        position: Position(0),
        offset: 0,
        wrapped: Default::default(),
        facts,
        doc,
    }
}

#[test]
fn matches_what_it_says() {
    let event = event();
    let check = |text: &str, expected: bool| assert_eq!(matches(&parse(text).unwrap(), &event), expected, "{text}");
    for yes in [
        "*",
        "verb:create",
        "verb:CREATE",
        "verb:c*e",
        "verb:?reate",
        "verb:*",
        "verb:*a*",
        "verb:c*t*",
        "code:403",
        "spelled:403",
        "code:4?3",
        "list:one",
        "list:3",
        "list:(two AND three*) OR list:two",
        "NOT list:four",
        "b:true",
        "deep.er:x:y-z",
        "deep.er:*:*",
        "a.b:dotted",
        "raw.event.x:native",
        "code:>=403",
        "code:[400 TO 499]",
        "code:{402 TO 404}",
        "spelled:>402",
        "size:>1",
        "size:<1.6",
        "big:>18446744073709551614",
        "ip:10.0.0.0/8",
        "six:10.0.0.0/8",
        "ip:[10.1.0.0 TO 10.1.9.0]",
        "at:>=2026-01-02",
        "at:<2026-01-02T00:00:01Z",
        "verb:[b TO d]",
        "src.ip:fd00::/8",
        "alice",
        "ALICE",
        "forbidden",
        "forb*",
        "web-0",
        "\"user:alice\"",
        "\"is forbidden\"",
        "\"pods web 0\"",
        "can",
        "t",
        "http.status:403",
        "none:* OR verb:create",
        "actor.user.name:alice",
        "fd00\\:\\:1",
    ] {
        check(yes, true);
    }
}

#[test]
fn does_not_match_what_it_does_not_say() {
    let event = event();
    let check = |text: &str, expected: bool| assert_eq!(matches(&parse(text).unwrap(), &event), expected, "{text}");
    for no in [
        "NOT *",
        "verb:creat",
        "verb:reate",
        "verb:c?e",
        "none:*",
        "none:null",
        "missing:*",
        "list:four",
        "code:>403",
        "code:<403",
        "verb:>=403",
        "ip:11.0.0.0/8",
        "ip:fd00::/8",
        "at:>2026-01-02T00:00:00Z",
        "nginx",
        "create",
        "\"forbidden is\"",
        "\"can t now\"",
        "pods*is",
        "deep:*",
        "actor.user.name:ali",
        "k8s.image:\"ngin*\"",
        "size:[1 TO 1.4]",
    ] {
        check(no, false);
    }
}

#[test]
fn words_are_runs_of_letters_and_digits() {
    let check = |text: &str, expected: &[&str]| assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text}");
    check("", &[]);
    check("--", &[]);
    check("Can't open /etc/Passwd:42", &["can", "t", "open", "etc", "passwd", "42"]);
    check("ÄÖ_ß", &["äö", "ß"]);
    check(&format!("a {} b", "x".repeat(WORD_CHARS_MAX + 1)), &["a", "b"]);
}

#[test]
fn a_hostile_pattern_is_quick() {
    let wild = match parse(&format!("x:{}b", "a*?".repeat(80))).unwrap() {
        Query::Field { test: ValueTest::Wild(wild), .. } => wild,
        other => panic!("{other:?}"),
    };
    assert!(!wild.matches(&"a".repeat(1 << 20)));
}

/// The plain definition of a pattern, by dynamic programming.
fn model(parts: &[WildPart], value: &str) -> bool {
    let value: Vec<char> = value.chars().collect();
    let mut reach = vec![false; value.len() + 1];
    reach[0] = true;
    for part in parts {
        let mut next = vec![false; value.len() + 1];
        for at in (0..=value.len()).filter(|at| reach[*at]) {
            match part {
                WildPart::Many => next[at..].fill(true),
                WildPart::One if at < value.len() => next[at + 1] = true,
                WildPart::One => {}
                WildPart::Text(text) => {
                    let text: Vec<char> = text.chars().collect();
                    if value[at..].starts_with(&text) {
                        next[at + text.len()] = true;
                    }
                }
            }
        }
        reach = next;
    }
    reach[value.len()]
}

fn any_wild() -> impl Strategy<Value = Wild> {
    proptest::collection::vec(prop_oneof![Just(None), Just(Some(None)), "[ab:é*\\\\\"( ]{1,3}".prop_map(|text| Some(Some(text)))], 0..6).prop_map(
        |list| {
            let mut parts: Vec<WildPart> = Vec::new();
            for part in list {
                match (part, parts.last_mut()) {
                    (None, Some(WildPart::Many)) => {}
                    (None, _) => parts.push(WildPart::Many),
                    (Some(None), _) => parts.push(WildPart::One),
                    (Some(Some(text)), Some(WildPart::Text(last))) => last.push_str(&text),
                    (Some(Some(text)), _) => parts.push(WildPart::Text(text)),
                }
            }
            Wild { parts }
        },
    )
}

fn any_field() -> impl Strategy<Value = FieldRef> {
    prop_oneof![
        proptest::sample::select(Field::ALL.to_vec()).prop_map(FieldRef::Fact),
        "[a-c:. *\\\\(\"A-Z]{1,6}".prop_map(|name: String| FieldRef::Native { paths: Path::spellings(&name), name: name.into() }),
        proptest::sample::select(vec!["event.id", "raw.x", "AND", "k8s.zz", ">"])
            .prop_map(|name| FieldRef::Native { name: name.into(), paths: Path::spellings(name) }),
    ]
}

fn any_bound() -> impl Strategy<Value = Bound> {
    prop_oneof![Just(Bound::Open), "\\PC{0,4}".prop_map(Bound::Inclusive), "\\PC{0,4}".prop_map(Bound::Exclusive)]
}

fn any_test() -> impl Strategy<Value = ValueTest> {
    prop_oneof![
        any_wild().prop_filter("that is `Exists`", |wild| wild.parts != [WildPart::Many]).prop_map(ValueTest::Wild),
        Just(ValueTest::Exists),
        (any_bound(), any_bound())
            .prop_filter("that is `Exists`", |(low, high)| (low, high) != (&Bound::Open, &Bound::Open))
            .prop_map(|(low, high)| ValueTest::Range { low, high }),
    ]
}

fn any_query() -> impl Strategy<Value = Query> {
    let leaf = prop_oneof![
        (any_field(), any_test()).prop_map(|(field, test)| Query::Field { field, test }),
        any_wild().prop_filter("that is a phrase", |wild| wild.as_literal().is_none() && wild.parts != [WildPart::Many]).prop_map(Query::Word),
        "[a-z0-9]{1,5}".prop_map(|text| Query::Word(Wild::literal(&text))),
        "\\PC{1,8}".prop_map(Query::Phrase),
        (any::<std::net::Ipv4Addr>(), 0..=32_u8)
            .prop_map(|(net, bits)| Query::Field { field: FieldRef::Fact(Field::SrcIp), test: ValueTest::Cidr { net: net.into(), bits } }),
    ];
    leaf.prop_recursive(5, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|query| Query::Not(Box::new(query))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Query::And),
            proptest::collection::vec(inner, 2..4).prop_map(Query::Or),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_is_its_text(query in any_query()) {
        let text = query.to_string();
        prop_assert_eq!(parse(&text), Ok(query), "{}", text);
    }

    #[test]
    fn any_text_is_a_query_or_an_error(text in prop_oneof!["\\PC{0,60}", "[a:()\\[\\]{}<>=*?\"\\\\ TONRAD./0-9]{0,60}"]) {
        let event = event();
        match parse(&text) {
            Ok(query) => {
                matches(&query, &event);
                prop_assert_eq!(parse(&query.to_string()), Ok(query));
            }
            Err(error) => prop_assert!(error.at <= text.chars().count()),
        }
    }

    #[test]
    fn a_pattern_means_what_the_model_says(wild in any_wild(), value in "[ab:é*( ]{0,8}") {
        prop_assert_eq!(wild.matches(&value), model(&wild.parts, &value));
    }
}
