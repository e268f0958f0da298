use super::*;

/// Every leaf as `path=value`, with `#item` where it lies in a list.
fn check(json: &str, expected: &str) {
    let shown = match Parser::new(Limits::default()).parse(json.as_bytes(), None) {
        Err(error) => error.to_string(),
        Ok(doc) => {
            let mut lines = Vec::new();
            for leaf in doc.leaves() {
                let mut path = String::new();
                doc.write_path(leaf, &mut path);
                let item = if leaf.item == 0 { String::new() } else { format!("#{}", leaf.item) };
                lines.push(format!("{path}{item}={}", doc.value(leaf).text.escape_debug()));
            }
            lines.join(" ")
        }
    };
    assert_eq!(shown, expected, "{json}");
}

#[test]
fn leaves_have_paths_and_items() {
    check(r#"{"a":1,"b":{"c":"x","d":[true,null]}}"#, "a=1 b.c=x b.d#1=true b.d#2=null");
    check(r#"{"c":[{"n":"a","p":[1,2]},{"n":"b"}]}"#, "c.n#1=a c.p#2=1 c.p#3=2 c.n#4=b");
    check(r#"{"a.b/c":{"":1}}"#, "a.b/c.=1");
    check(r#"{"a":{},"b":[],"c":[[1],[2]]}"#, "a={} b=[] c#2=1 c#4=2");
    check(" { } ", "");
    check("[1,2]", "#1=1 #2=2");
}

#[test]
fn escapes_are_undone_and_lone_surrogates_survive() {
    check(r#"{"a\u0062":"\"\\\/\n\u00e9\ud83d\ude00"}"#, "ab=\\\"\\\\/\\né😀");
    check(r#"{"a":"\ud800x"}"#, "a=\u{fffd}x");
    check(r#"{"a":"\q"}"#, "an unknown escape at byte 6");
    check(r#"{"a":"\u12"}"#, "an escape lacks its four hex digits at byte 6");
}

#[test]
fn odd_numbers_are_kept_and_duplicates_too() {
    check(r#"{"a":1e400,"a":-0,"a":12345678901234567890123}"#, "a=1e400 a=-0 a=12345678901234567890123");
    check(r#"{"a":1.}"#, "a digit is missing at byte 7");
    check(r#"{"a":NaN}"#, "no value starts like this at byte 5");
}

#[test]
fn broken_text_says_where() {
    check("", "a value is missing at byte 0");
    check(r#"{"a":1"#, "the text ends within an object or list at byte 6");
    check(r#"{"a" 1}"#, "a colon is missing at byte 5");
    check(r#"{"a":1,}"#, "a key in quotes is missing at byte 7");
    check(r#"{"a":"x"#, "the text ends within a string at byte 7");
    check(r#"{"a":1]"#, "a comma or the end of the object or list is missing at byte 6");
    check(r#"{"a":1} x"#, "text follows the record at byte 7");
}

#[test]
fn deep_nesting_becomes_a_raw_leaf() {
    let deep = format!("{{\"verb\":\"get\",\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let doc = Parser::new(Limits::default()).parse(deep.as_bytes(), None).unwrap();
    assert!(doc.is_cut());
    assert_eq!(doc.text_at(Path::of(["verb"])), Some("get"));
    assert_eq!(doc.leaves().last().map(|leaf| leaf.kind), Some(LeafKind::Raw));
    let open = "[".repeat(100_000);
    assert!(Parser::new(Limits::default()).parse(open.as_bytes(), None).is_err());
}

#[test]
fn too_many_keys_cut_the_leaves_and_not_the_record() {
    let many: Vec<String> = (0..20_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let doc = Parser::new(Limits::default()).parse(format!("{{{}}}", many.join(",")).as_bytes(), None).unwrap();
    assert!(doc.is_cut());
    assert!(doc.leaves().len() < 10_000);
}

#[test]
fn invalid_utf8_becomes_lossy_text() {
    let doc = Parser::new(Limits::default()).parse(b"{\"a\":\"x\xffy\"}", None).unwrap();
    assert!(doc.is_lossy());
    assert_eq!(doc.text_at(Path::of(["a"])), Some("x\u{fffd}y"));
}

#[test]
fn a_lifted_member_is_transparent() {
    let doc = Parser::new(Limits::default()).parse(br#"{"flow":{"verdict":"DROPPED","IP":{"source":"10.0.0.1"}},"time":"t"}"#, Some("flow")).unwrap();
    assert_eq!(doc.text_at(Path::of(["verdict"])), Some("DROPPED"));
    assert_eq!(doc.text_at(Path::of(["IP", "source"])), Some("10.0.0.1"));
    assert_eq!(doc.text_at(Path::of(["time"])), Some("t"));
}

#[test]
fn dotted_names_reach_dotted_keys() {
    let doc = Parser::new(Limits::default()).parse(br#"{"annotations":{"authorization.k8s.io/decision":"allow"}}"#, None).unwrap();
    let spellings = Path::spellings("annotations.authorization.k8s.io/decision");
    assert_eq!(doc.leaves().iter().filter(|leaf| spellings.contains(&leaf.path)).count(), 1);
}
