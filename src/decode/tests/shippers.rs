//! What log shippers wrap around a record, and what they say of it.

use super::*;

/// Every record: its id, kind, envelope and what the envelopes say; every reject. One a line.
fn outcome(out: &Decoded) -> String {
    let path = |name: &str| crate::model::Path::of([name]);
    let records = out.records.iter().map(|record| {
        let by = record.wrapped.by.as_deref().cloned().unwrap_or_default();
        let id = record.doc.text_at(path("auditID")).or(record.doc.text_at(path("rule"))).unwrap_or("-");
        let emitter = by.emitter.map(|emitter| format!("{}/{}/{}", emitter.namespace, emitter.pod, emitter.container));
        let provider = by.provider.map(|provider| provider.name().to_owned());
        let at = record.wrapped.at.map(|at| format!("at {at}"));
        let cut = record.wrapped.is_cut.then(|| "cut".to_owned());
        let first = Some(format!("{id}: {}/{}", record.kind.name(), record.envelope.name()));
        let parts = [first, emitter, by.cluster.map(|cluster| cluster.to_string()), provider, by.account, by.stream, at, cut];
        (record.offset, parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
    });
    let rejects = out.rejects.iter().map(|reject| (reject.offset, format!("!{} +{}", reject.reason, reject.len)));
    let mut all: Vec<(u64, String)> = records.chain(rejects).collect();
    all.sort_by_key(|(offset, _)| *offset);
    all.into_iter().map(|(_, shown)| shown).collect::<Vec<_>>().join("\n")
}

fn check_bytes(name: &str, bytes: &[u8], expected: &str) {
    let out = whole(bytes, DecodeLimits::default());
    show(&out);
    let expected = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(outcome(&out), expected, "{name}");
    for sizes in [&[1][..], &[17, 5], &[1000]] {
        assert_eq!(outcome(&pieces(bytes, sizes, DecodeLimits::default())), expected, "{name} in pieces of {sizes:?}");
    }
}

/// A file of the project's own samples.
fn check(name: &str, expected: &str) {
    let path = format!("{}/tests/fixtures/envelopes/shippers/{name}", env!("CARGO_MANIFEST_DIR"));
    check_bytes(name, &std::fs::read(path).unwrap(), expected);
}

fn records(text: &str) -> Vec<String> {
    whole(text.as_bytes(), DecodeLimits::default()).records.iter().map(|record| record.doc.text().to_owned()).collect()
}

#[test]
fn shippers_of_files() {
    check(
        "fluent-bit.ndjson",
        "a-1: k8s_audit/carrier lager/shelf-0/app at 2026-03-01T10:00:00.250Z
         a-2: k8s_audit/native lager/shelf-0/app
         a-2: k8s_audit/native lager/shelf-0/app
         a-3: k8s_audit/carrier lager/shelf-0/app at 2026-03-01T10:00:00.500Z
         -: other/native lager/shelf-0/app
         a-4: k8s_audit/carrier lager/shelf-0/app at 2026-03-01T10:00:00Z cut
         a-5: k8s_audit/carrier lager/shelf-0/app at 2026-03-01T10:00:00.250Z
         -: other/carrier lager/shelf-0/app at 2026-03-01T10:00:00.250Z
         a-6: k8s_audit/carrier lager/shelf-0/app",
    );
    check(
        "vector.json",
        "a-1: k8s_audit/carrier lager/shelf-0/app at 2026-03-01T10:00:01Z
         a-2: k8s_audit/carrier lager/shelf-1/app at 2026-03-01T10:00:02Z
         -: other/native lager/shelf-0/app",
    );
    check(
        "fluentd.log",
        "a-1: k8s_audit/carrier lager/shelf-0/app at 2026-03-01T10:00:00Z
         a-2: k8s_audit/carrier at 2026-03-01T10:00:00Z
         !not_json +37",
    );
    check(
        "filebeat.ndjson",
        "a-1: k8s_audit/carrier at 2026-03-01T10:00:00.000Z
         a-2: k8s_audit/carrier at 2026-03-01T10:00:00.000Z
         a-3: k8s_audit/carrier lager/shelf-0/app at 2026-03-01T10:00:00.000Z
         a-4: k8s_audit/native
         a-5: k8s_audit/carrier at 2026-03-01T10:00:00.000Z",
    );
}

#[test]
fn container_runtimes() {
    check(
        "cri.log",
        "a-0: k8s_audit/cri at 2026-03-01T10:00:00.123456789Z
         a-1: k8s_audit/cri at 2026-03-01T10:00:00.123456789Z
         a-2: k8s_audit/cri at 2026-03-01T10:00:00.123456789Z
         !not_json +99
         !not_json +45
         a-3: k8s_audit/cri at 2026-03-01T10:00:00.123456789Z cut
         !bad_json +140",
    );
    check(
        "docker.log",
        "a-0: k8s_audit/cri at 2026-03-01T10:00:00.123456789Z
         a-1: k8s_audit/cri at 2026-03-01T10:00:00.123456789Z
         -: other/cri
         a-2: k8s_audit/cri at 2026-03-01T10:00:00.123456789Z
         -: other/cri
         !bad_json +187",
    );
    check(
        "logfmt.log",
        "a-1: k8s_audit/carrier at 2026-03-01T10:00:00Z
         a-2: k8s_audit/carrier at 2026-03-01T10:00:00.500Z
         !not_json +22
         a-3: k8s_audit/carrier at 2026-03-01T10:00:00Z cut
         -: other/carrier",
    );
}

#[test]
fn collectors() {
    check(
        "otlp.json",
        "a-1: k8s_audit/otlp lager/shelf-0/app prod-7 aws 123456789012 at 2026-03-01T10:00:00.000000001Z
         -: other/otlp lager/shelf-0/app prod-7 aws 123456789012 at 2026-03-01T10:00:09Z
         a-2: k8s_audit/otlp lager/shelf-1/app at 2026-03-01T10:00:09Z
         a-3: k8s_audit/otlp
         a-4: k8s_audit/carrier",
    );
    let path = format!("/var/log/containers/shelf-0_lager_app-{}.log", "0f".repeat(32));
    check(
        "splunk-hec.json",
        &format!(
            "a-1: k8s_audit/splunk_hec lager/shelf-0/app {path} at 2026-03-01T10:00:00.125Z
             a-2: k8s_audit/splunk_hec lager/shelf-0/app prod-7 httpevent at 2026-03-01T10:00:00.125Z
             a-3: k8s_audit/splunk_hec at 2026-03-01T10:00:00Z
             a-4: k8s_audit/native
             Shell in a shelf: falco/splunk_hec falco
             -: other/splunk_hec x"
        ),
    );
    check(
        "falcosidekick.ndjson",
        "Shell in a shelf: falco/native
         !control +13
         Shell in a shelf: falco/native
         !control +43
         Shell in a shelf: falco/native
         Shell in a shelf: falco/carrier prod-7 at 2026-03-01T10:00:00Z
         Shell in a shelf: falco/carrier prod-7 at 2026-03-01T10:00:00Z cut
         a-1: k8s_audit/carrier lager/shelf-0/app at 2026-03-01T10:00:00Z
         -: other/carrier lager/shelf-0/app at 2026-03-01T10:00:00Z
         Shell in a shelf: falco/carrier at 2026-03-01T10:00:00Z cut
         Shell in a shelf: falco/carrier at 2026-03-01T10:00:00Z
         Shell in a shelf: falco/carrier falco at 2026-03-01T10:00:00Z
         r: policy/splunk_hec Policy-Reporter
         !control +70",
    );
}

#[test]
fn syslog() {
    check(
        "syslog.log",
        "a-1: k8s_audit/syslog
         a-2: k8s_audit/syslog at 2026-03-01T10:00:00Z
         a-3: k8s_audit/syslog at 2026-03-01T10:00:00.25Z
         a-4: k8s_audit/syslog at 2026-03-01T10:00:00Z
         a-5: k8s_audit/syslog at 2026-03-01T10:00:00Z
         a-5: k8s_audit/syslog at 2026-03-01T10:00:00Z
         !not_json +11
         a-5: k8s_audit/syslog at 2026-03-01T10:00:00Z
         a-6: k8s_audit/syslog cut
         !not_json +36
         a-7: k8s_audit/carrier at 2026-03-01T10:00:00Z
         a-8: k8s_audit/syslog at 2026-03-01T10:00:00Z
         a-9: k8s_audit/syslog at 2026-03-01T10:00:00.000001Z",
    );
    check("syslog-ng.ndjson", "a-1: k8s_audit/syslog cut\na-2: k8s_audit/syslog cut");
}

#[test]
fn what_was_taken_apart_is_put_together() {
    let event = r#"{"verb":"create","user":{"username":"u","groups":"a,b"},"sourceIPs":"10.1.2.3","responseStatus":{"code":"201"},"auditID":"x",
        "requestObject":{"n":"[{\"a\\\"b\":1}]","t":"[{not json}]"},"annotations":{"a":{"k8s":{"io/y":"2","io/x":"1"}},"z":"3"}}"#;
    assert_eq!(
        records(event),
        [
            r#"{"verb":"create","user":{"username":"u","groups":["a","b"]},"sourceIPs":["10.1.2.3"],"responseStatus":{"code":201},"auditID":"x","requestObject":{"n":[{"a\"b":1}],"t":"[{not json}]"},"annotations":{"z":"3","a.k8s.io/y":"2","a.k8s.io/x":"1"}}"#
        ]
    );
    let body = r#"{"kvlistValue":{"values":[{"key":"auditID","value":{"stringValue":"x"}},{"key":"verb","value":{}},{"value":{"doubleValue":201},"key":"code"},{"key":"d","value":{"doubleValue":0.5}},{"key":"big","value":{"doubleValue":9007199254740992}},{"key":"i","value":{"intValue":"-7"}},{"key":"b","value":{"boolValue":true}},{"key":"o","value":{"kvlistValue":{}}},{"key":"l","value":{"arrayValue":{"values":[{},{"stringValue":"a\"b"}]}}}]}}"#;
    let expected = r#"{"auditID":"x","verb":null,"code":201,"d":0.5,"big":9007199254740992,"i":-7,"b":true,"o":{},"l":[null,"a\"b"]}"#;
    assert_eq!(records(&format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{body}}}]}}]}}]}}"#)), [expected]);
    let filebeat =
        r#"{"@timestamp":"2026-03-01T10:00:00Z","kubernetes":{"audit":{"auditID":"x","verb":"get","annotations":{"a_k8s_io/x_y":"1","b_c":"2"}}}}"#;
    assert_eq!(records(filebeat), [r#"{"auditID":"x","verb":"get","annotations":{"a.k8s.io/x_y":"1","b_c":"2"}}"#]);
    let labels = r#"{"rule":"r","priority":"Notice","source":"syscall","tags":"a,b","proc_name":"sh","cluster":"c"}"#;
    assert_eq!(
        records(&format!(r#"{{"stream":{labels},"values":[["1772359200000000000","text"]]}}"#)),
        [
            r#"{"rule":"r","priority":"Notice","output":"text","source":"syscall","time":"2026-03-01T10:00:00Z","tags":["a","b"],"output_fields":{"proc.name":"sh","cluster":"c"}}"#
        ]
    );
}

/// A field of the wire format with a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut len = content.len();
    while len >= 0x80 {
        out.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(content);
    out
}

fn pair(key: &str, value: &[u8]) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, value)].concat()
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

#[test]
fn protobuf() {
    let text = |text: &str| field(1, text.as_bytes());
    let at = |tag: u8, nanos: u64| [&[tag << 3 | 1][..], &nanos.to_le_bytes()].concat();
    let resource = field(1, &pair("k8s.pod.name", &text("shelf-0")));
    let event = format!(r#"{{"auditID":"a-1","verb":"get","pad":"{}"}}"#, "x".repeat(300));
    let one = field(2, &[at(1, 1_772_359_200_000_000_001), at(11, 7), field(5, &text(&event))].concat());
    // -7 in ten bytes, 201 as a double, true, a list of nothing and a text.
    let minus = [&[3 << 3][..], &[0xf9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]].concat();
    let pairs = [
        pair("auditID", &text("a-2")),
        pair("verb", &[]),
        pair("i", &minus),
        pair("d", &[&[4 << 3 | 1][..], &201_f64.to_le_bytes()].concat()),
        pair("b", &[2 << 3, 1]),
        pair("l", &field(5, &[field(1, &[]), field(1, &text("a\"b"))].concat())),
    ];
    let list = pairs.iter().flat_map(|pair| field(1, pair)).collect::<Vec<_>>();
    let two = field(2, &[at(11, 1_772_359_209_000_000_000), field(5, &field(6, &list))].concat());
    let three = field(2, &[field(5, &text("words")), field(6, &pair("auditID", &text("a-3"))), field(6, &pair("verb", &text("get")))].concat());
    let falco: Vec<u8> = [("rule", "a-4"), ("priority", "Notice"), ("tags", "a,b"), ("timestamp", "2026-03-01 10:00:00.5 +0000 UTC")]
        .iter()
        .flat_map(|(key, value)| field(6, &pair(key, &text(value))))
        .collect();
    let alert = field(2, &[field(5, &text("a shell")), falco].concat());
    let four = field(2, &field(5, &text("words")));
    // The resource may come last.
    let request = [
        field(1, &[field(2, &[one.clone(), two].concat()), field(1, &resource)].concat()),
        field(1, &[field(1, b""), field(2, &[field(1, b""), three, alert, four].concat())].concat()),
    ]
    .concat();
    let all = "a-1: k8s_audit/otlp /shelf-0/ at 2026-03-01T10:00:00.000000001Z
        a-2: k8s_audit/otlp /shelf-0/ at 2026-03-01T10:00:09Z
        a-3: k8s_audit/otlp
        a-4: falco/otlp cut
        -: other/otlp";
    check_bytes("a request", &request, all);
    check_bytes("requests with lengths", &[framed(&request), framed(&request)].concat(), &format!("{all}\n{all}"));
    let texts: Vec<String> = whole(&request, DecodeLimits::default()).records.iter().skip(1).map(|record| record.doc.text().to_owned()).collect();
    assert_eq!(
        texts,
        [
            r#"{"auditID":"a-2","verb":null,"i":-7,"d":201,"b":true,"l":[null,"a\"b"]}"#,
            r#"{"auditID":"a-3","verb":"get"}"#,
            r#"{"rule":"a-4","priority":"Notice","output":"a shell","time":"2026-03-01T10:00:00.500Z","tags":["a","b"],"output_fields":{}}"#,
            r#"{"body":"words"}"#
        ]
    );
    let json = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"{\"auditID\":\"a-1\",\"verb\":\"get\"}"}}]}]}]}"#;
    check_bytes("lengths and JSON", &framed(json), "a-1: k8s_audit/otlp");
    let first = field(1, &field(2, &one));
    let cut = [first.clone(), first[..20].to_vec()].concat();
    check_bytes("a request that is cut", &cut, "a-1: k8s_audit/otlp at 2026-03-01T10:00:00.000000001Z\n!binary +20");
    check_bytes(
        "a length past the end",
        &[framed(&first), vec![0, 0, 1]].concat(),
        "a-1: k8s_audit/otlp at 2026-03-01T10:00:00.000000001Z\n!binary +3",
    );
    // Spans have a text where logs have a time.
    check_bytes("traces", &field(1, &field(2, &field(2, &field(1, b"0123456789abcdef")))), "!binary +5\n!binary +17");
    check_bytes("text after a line break", b"\n{\n\n\n\n\"auditID\":\"a-1\",\"verb\":\"get\"}\n", "a-1: k8s_audit/native");
}
