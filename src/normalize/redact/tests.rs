use proptest::prelude::*;

use super::*;
use crate::model::lanes;
use crate::model::{EnvelopeKind, Wrapped, write_json_string};

#[path = "../../../tests/bench/corpus.rs"]
mod corpus;

fn redact(json: &str, kind: Kind) -> (String, RedactCounts) {
    let mut parser = Parser::default();
    let doc = parser.parse(json.as_bytes(), None).unwrap();
    let mut redactor = Redactor::default();
    let record = Record { doc, kind, envelope: EnvelopeKind::Native, offset: 0, wrapped: Wrapped::default() };
    let once = redactor.redact(record, &mut parser);
    let counts = redactor.counts();
    let text = once.doc.text().to_owned();
    let twice = redactor.redact(once, &mut parser);
    assert_eq!(twice.doc.text(), text, "redaction is idempotent");
    (text, counts)
}

/// One string value, before and after.
fn check(value: &str, expected: &str) {
    let mut json = "{\"x\":".to_owned();
    write_json_string(value, &mut json);
    json.push('}');
    let (text, _) = redact(&json, Kind::Falco);
    let doc = Parser::default().parse(text.as_bytes(), None).unwrap();
    assert_eq!(doc.text_at(Path::of(["x"])), Some(expected), "{value}");
}

fn check_json(json: &str, expected: &str) {
    assert_eq!(redact(json, Kind::K8sAudit).0, expected);
}

#[test]
fn data_of_secrets_goes_and_keys_stay() {
    check_json(
        r#"{"objectRef":{"resource":"secrets"},"requestObject":{"data":{"a":"eA=="},"stringData":{"b":"x"},"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}}"#,
        r#"{"objectRef":{"resource":"secrets"},"requestObject":{"data":{"a":"[redacted:secret_data]"},"stringData":{"b":"[redacted:secret_data]"},"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"[redacted:secret_data]"}}}}"#,
    );
    check_json(
        r#"{"responseObject":{"kind":"SecretList","items":[{"data":{"a":"eA=="}},{"data":{"a":1}}]}}"#,
        r#"{"responseObject":{"kind":"SecretList","items":[{"data":{"a":"[redacted:secret_data]"}},{"data":{"a":"[redacted:secret_data]"}}]}}"#,
    );
    check_json(
        r#"{"objectRef":{"resource":"secrets"},"requestObject":[{"op":"add","path":"/data/a","value":"eA=="}]}"#,
        r#"{"objectRef":{"resource":"secrets"},"requestObject":[{"op":"add","path":"/data/a","value":"[redacted:secret_data]"}]}"#,
    );
    check_json(
        r#"{"objectRef":{"resource":"configmaps"},"requestObject":{"data":{"a":"b"}}}"#,
        r#"{"objectRef":{"resource":"configmaps"},"requestObject":{"data":{"a":"b"}}}"#,
    );
}

#[test]
fn fields_and_variables_that_are_named_for_secrets() {
    check_json(r#"{"responseObject":{"status":{"token":"abc"}}}"#, r#"{"responseObject":{"status":{"token":"[redacted:token]"}}}"#);
    check_json(
        r#"{"env":[{"name":"DB_PASSWORD","value":"x1"},{"name":"TOKEN_TTL","value":"3600"}]}"#,
        r#"{"env":[{"name":"DB_PASSWORD","value":"[redacted:credential]"},{"name":"TOKEN_TTL","value":"3600"}]}"#,
    );
    check_json(r#"{"command":["mysql","--password","x1","-h"]}"#, r#"{"command":["mysql","--password","[redacted:credential]","-h"]}"#);
    check_json(r#"{"headers":[{"key":"Cookie","value":"sid=1"}]}"#, r#"{"headers":[{"key":"Cookie","value":"[redacted:credential]"}]}"#);
}

/// Each word that `secrets` knows must be seen by the prefilter even where it stands alone.
#[test]
fn the_prefilter_passes_over_no_name() {
    let keys = ["token", "accessToken", "password", "passwd", "passphrase", "clientSecret", "client-key-data", "secretKey", "privateKey", "apiKey"];
    for key in keys {
        assert_eq!(redact(&format!("{{\"{key}\":\"v1\"}}"), Kind::Other).1.total(), 1, "{key}");
    }
    for name in
        ["SECRET_BASE", "TOKEN_A", "AWS_ACCESS_KEY", "X-Authorization", "set-cookie", "MY_PASSWORD_1", "DB_PASSPHRASE", "API_KEY", "PRIVATE_KEY"]
    {
        assert_eq!(redact(&format!("{{\"name\":\"{name}\",\"value\":\"v1\"}}"), Kind::Other).1.total(), 1, "{name}");
    }
}

#[test]
fn secrets_in_text() {
    check("curl -H 'Authorization: Bearer abcdef0123456789abcd'", "curl -H 'Authorization: Bearer [redacted:token]'");
    check("x eyJhbGciOiJI.eyJzdWIiOiIx.c2ln y", "x [redacted:jwt] y");
    check("mysql --password=hunter2 db", "mysql --password=[redacted:credential] db");
    check("mysql --password hunter2 db", "mysql --password [redacted:credential] db");
    check("/exec?command=mysql&command=--password%3Dhunter2&command=-v", "/exec?command=mysql&command=--password%3D[redacted:credential]&command=-v");
    check(
        "aws_access_key_id = \"MY-ID\"\naws_secret_access_key = \"MY-KEY\"",
        "aws_access_key_id = \"MY-ID\"\naws_secret_access_key = \"[redacted:credential]\"",
    );
    check("{\"password\":\"a b\",\"c\":1}", "{\"password\":\"[redacted:credential]\",\"c\":1}");
    check("{\\\"password\\\":\\\"a b\\\",\\\"c\\\":1}", "{\\\"password\\\":\\\"[redacted:credential]\\\",\\\"c\\\":1}");
    check("postgres://u:p@h/db", "postgres://u:[redacted:credential]@h/db");
    check("/exec?command=curl&command=http%3A%2F%2Fu%3Ap%40h", "/exec?command=curl&command=http%3A%2F%2Fu%3A[redacted:credential]%40h");
    check(
        "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----[redacted:credential]-----END RSA PRIVATE KEY-----",
    );
    for plain in [
        "password",
        "password=$(PASS)",
        "invalid bearer token",
        "https://host:6443/api",
        "-----BEGIN CERTIFICATE-----\nMII",
        "basic auth",
        "passwordFile=/x",
    ] {
        check(plain, plain);
    }
}

#[test]
fn card_numbers_and_what_only_looks_like_them() {
    check("pay 4111111111111111 now", "pay 411111[redacted:pan]1111 now");
    check("4111 1111 1111 1111", "4111 11[redacted:pan]1111");
    check("card=3782-822463-10005", "card=3782-82[redacted:pan]0005");
    check("5555555555554444,6011111111111117", "555555[redacted:pan]4444,601111[redacted:pan]1117");
    check("/pay?card=4111%201111%201111%201111&x", "/pay?card=4111%2011[redacted:pan]1111&x");
    check("/pay?card=4111+1111+1111+1111", "/pay?card=4111+11[redacted:pan]1111");
    check("é 4111%2D1111%2d1111%2D1111", "é 4111%2D11[redacted:pan]1111");
    for plain in [
        "4111111111111112",
        "/pay?card=4111%201111%201111%201112",
        "4111%201111+1111%2D1111",
        "1739178940698757000",
        "44372567-0241-4123-8888-123456789012",
        "a4111111111111111",
        "41111111111111110000000",
        "2026-01-01 00:00:00.123456789",
    ] {
        check(plain, plain);
    }
    let (text, counts) = redact(r#"{"n":4111111111111111}"#, Kind::Other);
    assert_eq!((text.as_str(), counts.get(Class::Pan), counts.total()), (r#"{"n":"411111[redacted:pan]1111"}"#, 1, 1));
}

#[test]
fn what_lies_past_the_limits_is_redacted_too() {
    let many: Vec<String> = (0..20_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let (text, _) = redact(&format!("{{{},\"z\":\"eyJhbGciOiJI.eyJzdWIiOiIx.c2ln\"}}", many.join(",")), Kind::Other);
    assert!(text.ends_with("\"z\":\"[redacted:jwt]\"}"));
    let deep = format!("{{\"a\":{}\"--password=hunter2\"{}}}", "[".repeat(200), "]".repeat(200));
    assert!(!redact(&deep, Kind::Other).0.contains("hunter2"));
}

/// Masked digits are text, and a text under this name is a token: the second pass took what the first had left.
#[test]
fn a_number_that_masking_turns_into_text_is_judged_by_its_name_at_once() {
    check_json(r#"{"token":[-3643637856712321082]}"#, r#"{"token":["[redacted:token]"]}"#);
    check_json(
        r#"{"env":[{"name":"DB_PASSWORD","value":"3643637856712321082"}]}"#,
        r#"{"env":[{"name":"DB_PASSWORD","value":"[redacted:credential]"}]}"#,
    );
}

/// Of what is left of a name nothing new is learnt.
#[test]
fn a_name_that_was_redacted_is_not_judged_again() {
    check_json(r#"{"value":"eyJ","name":"token=://"}"#, r#"{"value":"eyJ","name":"token=[redacted:token]"}"#);
}

/// The look at every leaf, which the look at suspects must not fall short of.
fn check_suspects(json: &str, suspects: &mut Suspects) -> usize {
    let Ok(doc) = Parser::default().parse(json.as_bytes(), None) else { return 0 };
    let all = Suspect::all(&doc);
    let mut found = 0;
    for kind in [Kind::K8sAudit, Kind::Other] {
        let (names, mut parser) = (Names::default(), Parser::default());
        let expected = Look::new(&names, &mut parser).edits(&doc, kind, &all);
        assert_eq!(Look::new(&names, &mut parser).edits(&doc, kind, suspects.of(&doc)), expected, "{json}");
        found += expected.len();
    }
    found
}

#[test]
fn suspects_are_all_that_there_is_in_corpora() {
    let (mut lines, mut found, mut suspects) = (0, 0, Suspects::default());
    for kind in ["audit", "falco", "flow"] {
        let text = String::from_utf8(corpus::lines(kind, 3_000, 5)).unwrap();
        found += text.lines().map(|line| check_suspects(line, &mut suspects)).sum::<usize>();
        lines += 3_000;
    }
    let roots = ["/../shared/fixtures", "/../../shared/fixtures"].map(|tail| format!("{}{tail}", env!("CARGO_MANIFEST_DIR")));
    let mut folders: Vec<std::path::PathBuf> = roots.iter().map(std::path::PathBuf::from).filter(|root| root.is_dir()).take(1).collect();
    if folders.is_empty() {
        eprintln!("no shared samples here: own corpora checked alone");
    }
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(path) {
                // Whole files too: many are one value.
                // Of lines every seventh: recordings repeat themselves.
                for line in text.lines().step_by(7).chain([text.as_str()]).filter(|line| line.starts_with(['{', '['])) {
                    found += check_suspects(line, &mut suspects);
                    lines += 1;
                }
            }
        }
    }
    println!("{lines} samples, {found} edits");
}

/// Pieces that make secrets, or nearly.
const PIECES: &[&str] = &[
    "eyJ",
    "eyj",
    "hbGciOiJI.",
    "eyJzdWIiOiIx.",
    "c2ln",
    "-----BEGIN",
    " RSA PRIVATE KEY",
    "-----",
    "Bearer",
    "bearer",
    "authorization: ",
    "Basic",
    "password",
    "PassWd",
    "passphrase",
    "secret",
    "Secret",
    "SECRETS",
    "SecretList",
    "secretoken=",
    "secret_access_key",
    "client_secret",
    "client-secret",
    "clientsecret",
    "secretAccessKey",
    "api_key",
    "apikey",
    "API-KEY",
    "secret-key",
    "private_key",
    "private-key",
    "access_token",
    "refresh_token",
    "--token",
    "--pass-word",
    "---token",
    "--",
    "-",
    "_",
    "token",
    "token=",
    "TOKEN",
    "://",
    "%3A%2F%2f",
    "u:p@h",
    "u%3Ap%40h",
    "%40",
    "@",
    ":",
    "=",
    " ",
    "/",
    "\"",
    "\\",
    "'",
    ",",
    "\n",
    "x",
    "é",
    "abcdef0123456789ab",
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111%201111+1111%201111",
    "4111%2D1111%2D1111%2D1111",
    "%20",
    "+",
    "378282246310005",
    "41",
    "1111",
    "[redacted:",
    "$(",
    "http",
    "cookie",
    "value",
    "name",
    "data",
    "kind",
    "{",
    "}",
    "[",
    "\":\"",
    "{\"token\":\"",
    "\"data\":{\"",
    "\\\"privateKey\\\":\\\"",
];
/// Keys that mean something, or nearly.
const KEYS: &[&str] = &[
    "token",
    "to-ken",
    "accessToken",
    "pass_word",
    "password",
    "client-key-data",
    "CLIENT_SECRET",
    "value",
    "name",
    "key",
    "path",
    "kind",
    "data",
    "stringData",
    "metadata",
    "annotations",
    "kubectl.kubernetes.io/last-applied-configuration",
    "items",
    "object",
    "objectRef",
    "resource",
    "requestObject",
    "responseObject",
    "x",
    "secret",
];

/// A JSON string that says the same as a text, with some characters escaped.
fn spelled(text: &str, escape: u64) -> String {
    let mut out = "\"".to_owned();
    for (at, c) in text.chars().enumerate() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '/' if escape >> (at % 64) & 1 == 1 => out.push_str("\\/"),
            c if escape >> (at % 64) & 1 == 1 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn soup() -> impl Strategy<Value = String> {
    // Half of the texts have no escapes but those that JSON asks for.
    let escape = prop_oneof![Just(0_u64), any::<u64>().prop_map(|bits| bits & bits.rotate_left(7) & bits.rotate_left(19))];
    let text =
        (prop::collection::vec(prop::sample::select(PIECES), 0..6), escape.clone()).prop_map(|(pieces, escape)| spelled(&pieces.concat(), escape));
    let number = prop_oneof![any::<i64>().prop_map(|n| n.to_string()), Just("4111111111111111".to_owned()), Just("null".to_owned())];
    let leaf = prop_oneof![4 => text, 1 => number];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let key = (prop::sample::select(KEYS), escape.clone()).prop_map(|(key, escape)| spelled(key, escape));
        let member = (key, inner.clone()).prop_map(|(key, value)| format!("{key}:{value}"));
        prop_oneof![
            2 => prop::collection::vec(member, 1..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            // JSON as a text.
            1 => inner.clone().prop_map(|json| spelled(&json, 0)),
            1 => prop::collection::vec(inner, 0..4).prop_map(|elements| format!("[{}]", elements.join(",")))
        ]
    })
}

/// A place in each run of digits.
fn runs(text: &[u8]) -> Vec<usize> {
    let (mut runs, mut found) = (pan::Runs::default(), Vec::new());
    lanes::each_block(text, |start, block| {
        runs.block(text, (start, block), block.are(b' ') | block.are(b'-'), &mut |at| found.push(at));
    });
    found
}

proptest! {
    #[test]
    fn suspects_are_all_that_there_is(json in soup()) {
        check_suspects(&json, &mut Suspects::default());
    }

    #[test]
    fn what_is_redacted_has_nothing_left_to_redact(json in soup()) {
        if Parser::default().parse(json.as_bytes(), None).is_ok() {
            redact(&json, Kind::K8sAudit);
        }
    }

    #[test]
    fn runs_of_digits_are_all_found(text in "[0-9 -]{0,24}[a-z,./ -]{0,9}[0-9 -]{0,40}") {
        let found = runs(text.as_bytes());
        pan::find(&text, |range| assert!(found.iter().any(|at| (range.start.saturating_sub(24)..range.end + 24).contains(at)), "{text}"));
    }
}

/// Against the plain way, at every place within the words that `runs` reads.
#[test]
fn each_byte_is_told_in_a_run() {
    for byte in 0..=u8::MAX {
        let is_inner = byte.is_ascii_digit() || matches!(byte, b' ' | b'-');
        for at in 0..25 {
            let mut bytes = [b'7'; 25];
            bytes[at] = byte;
            let found = runs(&bytes).len();
            // What is no part of a run leaves one of 13 on one side, or on both sides of the middle none.
            assert_eq!(found, usize::from(is_inner || at != 12), "{byte} at {at}");
        }
    }
}

/// A marker is met in a text by a literal, and a key by its role, wherever either stands.
#[test]
fn escaped_slashes_and_parted_names_are_seen() {
    check_json(r#"{"x":"postgres:\/\/u:p1@h\/db"}"#, r#"{"x":"postgres://u:[redacted:credential]@h/db"}"#);
    check_json(r#"{"pass_word":"x1"}"#, r#"{"pass_word":"[redacted:credential]"}"#);
    check_json(r#"{"x":["--to-ken","x1"]}"#, r#"{"x":["--to-ken","[redacted:token]"]}"#);
    check_json(r#"{"env":[{"name":"DB_PASS_WORD","value":"x1"}]}"#, r#"{"env":[{"name":"DB_PASS_WORD","value":"[redacted:credential]"}]}"#);
}

#[test]
fn json_in_a_text_is_redacted_by_its_own_places() {
    let secret = r#"{"kind":"Secret","data":{"a":"eA=="},"metadata":{"name":"s"}}"#;
    let gone = secret.replace("eA==", "[redacted:secret_data]");
    check(secret, &gone);
    check(&format!("  {secret}\n"), &format!("  {gone}\n"));
    check(r#"{"token":"v1","a":{"password":"x"}}"#, r#"{"token":"[redacted:token]","a":{"password":"[redacted:credential]"}}"#);
    // Within a text within it, as carriers of carriers write.
    let mut outer = r#"{"log":"#.to_owned();
    write_json_string(secret, &mut outer);
    outer.push('}');
    let mut expected = r#"{"log":"#.to_owned();
    write_json_string(&gone, &mut expected);
    expected.push('}');
    check(&outer, &expected);
    // With words around it, in a list, cut, or damaged.
    check(&format!("applied: {secret}"), &format!("applied: {gone}"));
    check(&format!("[{secret}, x]"), &format!("[{gone}, x]"));
    check(r#"{"kind":"Secret","data":{"a":"eA=="#, r#"{"kind":"Secret","data":{"a":"[redacted:secret_data]"#);
    check(r#"{"token": "v1""#, r#"{"token": "[redacted:token]""#);
    check(
        r#"x {\"kind\":\"Secret\",\"data\":{\"a\":\"eA==\",\"b\":[\"x\"]},\"type\":\"Opaque\"}"#,
        r#"x {\"kind\":\"Secret\",\"data\":{\"a\":\"[redacted:secret_data]\",\"b\":[\"[redacted:secret_data]\"]},\"type\":\"Opaque\"}"#,
    );
    check(
        r#"{"objectRef":{"resource":"secrets"},"requestObject":{"data":{"a":"eA=="}"#,
        r#"{"objectRef":{"resource":"secrets"},"requestObject":{"data":{"a":"[redacted:secret_data]"}"#,
    );
    for plain in [r#"{"kind":"ConfigMap","data":{"a":"b"}}"#, r#"{"a":"b"} {"c""#, r#"said "data": {"a":"b"}"#, r#"\"\\\"\"#, r#"{"token":"#] {
        check(plain, plain);
    }
}

#[test]
fn names_of_the_configuration_are_masked_with_all_that_is_in_them() {
    let check = |json: &str, expected: &str| {
        let mut parser = Parser::default();
        let doc = parser.parse(json.as_bytes(), None).unwrap();
        let mut redactor = Redactor::new(Names::new(["iban", "Card-Holder", &"x".repeat(200)]));
        let record = Record { doc, kind: Kind::Other, envelope: EnvelopeKind::Native, offset: 0, wrapped: Wrapped::default() };
        let once = redactor.redact(record, &mut parser);
        assert_eq!(once.doc.text(), expected);
        assert_eq!(redactor.redact(once, &mut parser).doc.text(), expected);
    };
    const M: &str = "[redacted:configured]";
    check(r#"{"iban":"DE00","a":1}"#, &format!(r#"{{"iban":"{M}","a":1}}"#));
    check(r#"{"IBAN":12,"iban":null,"cardholder":["A",{"b":"c"}]}"#, &format!(r#"{{"IBAN":"{M}","iban":null,"cardholder":["{M}",{{"b":"{M}"}}]}}"#));
    check(
        r#"{"card_holder":{"first":"A","n":1},"x":"{\"iban\":\"DE00\"}"}"#,
        &format!(r#"{{"card_holder":{{"first":"{M}","n":"{M}"}},"x":"{{\"iban\":\"{M}\"}}"}}"#),
    );
    check(r#"{"ibans":"DE00"}"#, r#"{"ibans":"DE00"}"#);
}

#[test]
fn what_was_taken_out_is_told() {
    let check = |text: &str, expected: &[Class]| assert_eq!(hits(text).collect::<Vec<_>>(), expected);
    check("", &[]);
    check("[redacted:", &[]);
    check("[redacted:other] [redacted:pan", &[]);
    check("x[redacted:pan]y[redacted:token] [redacted:pan]", &[Class::Token, Class::Pan]);
}
