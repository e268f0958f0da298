use super::*;

fn show(node: &Node) -> String {
    match &node.value {
        Yaml::Null => "null".to_owned(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Number(_, number) => format!("#{number}"),
        Yaml::Text { text, .. } => format!("{text:?}"),
        Yaml::List(nodes) => format!("[{}]", nodes.iter().map(show).collect::<Vec<_>>().join(", ")),
        Yaml::Map(entries) => {
            format!("{{{}}}", entries.iter().map(|entry| format!("{}: {}", entry.key, show(&entry.value))).collect::<Vec<_>>().join(", "))
        }
    }
}

fn check(text: &str, expected: &str) {
    let shown = match parse(text, 0, DOCUMENT_BYTES_MAX) {
        Ok(Some(node)) => show(&node),
        Ok(None) => "nothing".to_owned(),
        Err(broken) => format!("{}:{} {}", broken.at.line, broken.at.column, broken.message),
    };
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn scalars_follow_the_core_schema() {
    for (text, expected) in [
        ("'1'", "\"1\""),
        ("1", "#1"),
        ("-1.5e3", "#-1500"),
        ("0x1F", "#31"),
        ("0o17", "#15"),
        ("017", "#17"),
        (".5", "#0.5"),
        ("1.2.3", "\"1.2.3\""),
        ("e", "\"e\""),
        (".inf", "\".inf\""),
        ("yes", "\"yes\""),
        ("True", "true"),
        ("'true'", "\"true\""),
        ("~", "null"),
        ("''", "\"\""),
        ("a: ", "{a: null}"),
        ("2024-01-02", "\"2024-01-02\""),
        ("!!str 1", "\"1\""),
        ("'a\\b'", "\"a\\\\b\""),
        ("", "nothing"),
        ("{\"a\": [1, {\"b\": \"\\u0041\\n\"}]}", "{a: [#1, {b: \"A\\n\"}]}"),
        ("k: |\n  two\n  lines\n", "{k: \"two\\nlines\\n\"}"),
    ] {
        check(text, expected);
    }
}

#[test]
fn what_is_not_read_says_where() {
    check("a: &x 1\nb: *x", "1:4 anchors and aliases are not read");
    check("a: *x", "1:4 no valid YAML: while parsing node, found unknown anchor");
    check("a: 1\na: 2", "2:1 key `a` is given twice");
    check("a: !!binary eA==", "1:4 tag `tag:yaml.org,2002:!binary` is not read");
    check("? [a]\n: b", "1:3 a key is a list; it must be text");
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    check(&deep, "1:33 nested deeper than 32");
    let long = format!("a: {}", "x".repeat(DOCUMENT_BYTES_MAX));
    check(&long, "1:1 the document has 524291 bytes; 524288 are read");
}

#[test]
fn documents_are_cut_at_markers() {
    let cut = |text: &str| documents(text).iter().map(|(line, text)| format!("{line}:{}", text.replace('\n', "/"))).collect::<Vec<_>>().join(" ");
    assert_eq!(cut("a: 1\n---\nb: 2\n"), "0:a: 1/ 1:---/b: 2/");
    assert_eq!(cut("# note\n---\nb: 2\n---\n# end\n"), "1:---/b: 2/");
    assert_eq!(cut("%YAML 1.2\n---\na: |\n  ---\n  x\n...\n"), "1:---/a: |/  ---/  x/.../");
    assert_eq!(cut("--- {a: 1}\r\n---\r\nb: 1\r\n"), "0:--- {a: 1}\r/ 1:---\r/b: 1\r/");
    assert_eq!(cut(""), "");
}
