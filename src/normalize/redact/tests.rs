use super::*;
use crate::model::{EnvelopeKind, Wrapped};

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
    for plain in [
        "4111111111111112",
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
