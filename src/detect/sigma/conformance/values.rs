//! Values: equality, wildcards, escapes, lists.

use super::Row::Matches;
use super::Rows;

pub(super) const ROWS: Rows = &[
    (
        "value: case-insensitive equality",
        Matches("s: {f: AbC}\n  condition: s", &[r#"{"f":"abc"}"#, r#"{"f":"ABC"}"#], &[r#"{"f":"abcd"}"#, r#"{"f":"ab"}"#]),
    ),
    ("value: non-ASCII case folding", Matches("s: {f: ÄÖÜ}\n  condition: s", &[r#"{"f":"äöü"}"#, r#"{"f":"ÄÖÜ"}"#], &[r#"{"f":"aou"}"#])),
    ("value: number vs number", Matches("s: {f: 4624}\n  condition: s", &[r#"{"f":4624}"#, r#"{"f":4624.0}"#], &[r#"{"f":4625}"#])),
    ("value: number vs numeric string", Matches("s: {f: 4624}\n  condition: s", &[r#"{"f":"4624"}"#], &[r#"{"f":"46240"}"#])),
    ("value: quoted number vs number", Matches("s: {f: '4624'}\n  condition: s", &[r#"{"f":4624}"#, r#"{"f":"4624"}"#], &[r#"{"f":4625}"#])),
    ("value: bool", Matches("s: {f: true}\n  condition: s", &[r#"{"f":true}"#], &[r#"{"f":false}"#, "{}"])),
    ("value: bool vs string 'true'", Matches("s: {f: true}\n  condition: s", &[r#"{"f":"true"}"#, r#"{"f":"True"}"#], &[r#"{"f":"yes"}"#])),
    ("value: empty string", Matches("s: {f: ''}\n  condition: s", &[r#"{"f":""}"#], &[r#"{"f":" "}"#, r#"{"f":null}"#, "{}"])),
    ("value: null matches missing field", Matches("s: {f: null}\n  condition: s", &["{}", r#"{"g":1}"#], &[r#"{"f":""}"#, r#"{"f":0}"#])),
    ("value: null matches JSON null", Matches("s: {f: null}\n  condition: s", &[r#"{"f":null}"#], &[r#"{"f":"null"}"#])),
    (
        "value: not null",
        Matches("s: {g: 1}\n  n: {f: null}\n  condition: s and not n", &[r#"{"g":1,"f":"x"}"#], &[r#"{"g":1}"#, r#"{"g":1,"f":null}"#]),
    ),
    ("wildcard: *", Matches("s: {f: 'a*c'}\n  condition: s", &[r#"{"f":"abbc"}"#, r#"{"f":"ac"}"#], &[r#"{"f":"abcd"}"#, r#"{"f":"xac"}"#])),
    ("wildcard: ?", Matches("s: {f: 'a?c'}\n  condition: s", &[r#"{"f":"abc"}"#], &[r#"{"f":"ac"}"#, r#"{"f":"abbc"}"#])),
    ("wildcard: * spans newline", Matches("s: {f: 'a*c'}\n  condition: s", &[r#"{"f":"a\n\nc"}"#], &[])),
    ("wildcard: ? one non-ASCII char", Matches("s: {f: 'a?c'}\n  condition: s", &[r#"{"f":"aéc"}"#, r#"{"f":"a😀c"}"#], &[r#"{"f":"aééc"}"#])),
    (
        "wildcard alone '*' = present",
        Matches("s: {f: '*'}\n  condition: s", &[r#"{"f":"x"}"#, r#"{"f":""}"#, r#"{"f":0}"#], &["{}", r#"{"f":null}"#]),
    ),
    (
        r"escape: \* is literal",
        Matches(
            r"s: {f: 'a\*c'}
  condition: s",
            &[r#"{"f":"a*c"}"#],
            &[r#"{"f":"abc"}"#, r#"{"f":"a\\bc"}"#],
        ),
    ),
    (
        r"escape: \? is literal",
        Matches(
            r"s: {f: 'a\?c'}
  condition: s",
            &[r#"{"f":"a?c"}"#],
            &[r#"{"f":"abc"}"#],
        ),
    ),
    (
        "escape: plain backslash",
        Matches(
            r"s: {f: 'C:\Windows\cmd.exe'}
  condition: s",
            &[r#"{"f":"c:\\windows\\cmd.exe"}"#],
            &[r#"{"f":"c:windowscmd.exe"}"#],
        ),
    ),
    (
        r"escape: \\* backslash + wildcard",
        Matches(
            r"s: {f: 'a\\*'}
  condition: s",
            &[r#"{"f":"a\\b"}"#, r#"{"f":"a\\"}"#],
            &[r#"{"f":"a*"}"#, r#"{"f":"ab"}"#],
        ),
    ),
    (
        r"escape: \\\* backslash + literal *",
        Matches(
            r"s: {f: 'a\\\*'}
  condition: s",
            &[r#"{"f":"a\\*"}"#],
            &[r#"{"f":"a\\b"}"#, r#"{"f":"a*"}"#],
        ),
    ),
    (
        "escape: four backslashes",
        Matches(
            r"s: {f: '\\\\host\share'}
  condition: s",
            &[r#"{"f":"\\\\host\\share"}"#],
            &[r#"{"f":"\\host\\share"}"#],
        ),
    ),
    ("list = OR", Matches("s: {f: [a, b]}\n  condition: s", &[r#"{"f":"a"}"#, r#"{"f":"b"}"#], &[r#"{"f":"c"}"#])),
    ("map = AND", Matches("s: {f: a, g: b}\n  condition: s", &[r#"{"f":"a","g":"b"}"#], &[r#"{"f":"a"}"#, r#"{"g":"b"}"#])),
    ("list of maps = OR", Matches("s: [{f: a, g: b}, {h: c}]\n  condition: s", &[r#"{"f":"a","g":"b"}"#, r#"{"h":"c"}"#], &[r#"{"f":"a"}"#, "{}"])),
];
