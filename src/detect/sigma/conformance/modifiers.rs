//! Modifiers: places, encodings, expressions, networks, numbers, times.

use super::Row::{Matches, Rejected};
use super::Rows;

pub(super) const ROWS: Rows = &[
    ("contains", Matches("s: {f|contains: bCd}\n  condition: s", &[r#"{"f":"aBCDe"}"#], &[r#"{"f":"b-c-d"}"#])),
    ("startswith", Matches("s: {f|startswith: ab}\n  condition: s", &[r#"{"f":"ABC"}"#], &[r#"{"f":"cab"}"#])),
    ("endswith", Matches("s: {f|endswith: bc}\n  condition: s", &[r#"{"f":"aBC"}"#], &[r#"{"f":"bca"}"#])),
    ("contains with inner wildcard", Matches("s: {f|contains: 'a*d'}\n  condition: s", &[r#"{"f":"xabcdy"}"#], &[r#"{"f":"xdcbay"}"#])),
    ("all", Matches("s: {f|contains|all: [a, b]}\n  condition: s", &[r#"{"f":"b-a"}"#], &[r#"{"f":"a"}"#, r#"{"f":"b"}"#])),
    ("cased", Matches("s: {f|cased: Ab}\n  condition: s", &[r#"{"f":"Ab"}"#], &[r#"{"f":"ab"}"#, r#"{"f":"AB"}"#])),
    ("contains|cased", Matches("s: {f|contains|cased: Ab}\n  condition: s", &[r#"{"f":"xAbx"}"#], &[r#"{"f":"xabx"}"#])),
    ("exists: true", Matches("s: {f|exists: true}\n  condition: s", &[r#"{"f":""}"#, r#"{"f":0}"#], &["{}"])),
    ("exists: true on null value", Matches("s: {f|exists: true}\n  condition: s", &[r#"{"f":null}"#], &["{}"])),
    ("exists: false", Matches("s: {f|exists: false}\n  condition: s", &["{}"], &[r#"{"f":"x"}"#, r#"{"f":null}"#])),
    ("re", Matches("s: {f|re: '^a[0-9]+$'}\n  condition: s", &[r#"{"f":"a12"}"#], &[r#"{"f":"A12"}"#, r#"{"f":"a"}"#])),
    ("re unanchored", Matches("s: {f|re: 'b+c'}\n  condition: s", &[r#"{"f":"abbcd"}"#], &[r#"{"f":"abd"}"#])),
    ("re|i", Matches("s: {f|re|i: abc}\n  condition: s", &[r#"{"f":"xABCx"}"#], &[r#"{"f":"ab"}"#])),
    ("re|m", Matches("s: {f|re|m: '^b$'}\n  condition: s", &[r#"{"f":"a\nb\nc"}"#], &[r#"{"f":"abc"}"#])),
    ("re|s", Matches("s: {f|re|s: 'a.c'}\n  condition: s", &[r#"{"f":"a\nc"}"#], &[r#"{"f":"ac"}"#])),
    ("re|i|m|s", Matches("s: {f|re|i|m|s: '^A.B$'}\n  condition: s", &[r#"{"f":"x\na\nb\ny"}"#], &[r#"{"f":"xa\nby"}"#])),
    ("re: PCRE lookahead (outside the spec subset)", Rejected("s: {f|re: '(?=a)b'}\n  condition: s", "bad-regex")),
    ("cidr v4", Matches("s: {f|cidr: 10.0.0.0/8}\n  condition: s", &[r#"{"f":"10.1.2.3"}"#], &[r#"{"f":"11.0.0.1"}"#, r#"{"f":"10.x"}"#])),
    ("cidr v6", Matches("s: {f|cidr: 'fd00::/8'}\n  condition: s", &[r#"{"f":"fd12::1"}"#], &[r#"{"f":"fe80::1"}"#])),
    (
        "cidr over array field (sourceIPs)",
        Matches("s: {sourceIPs|cidr: 10.0.0.0/8}\n  condition: s", &[r#"{"sourceIPs":["1.2.3.4","10.0.0.1"]}"#], &[r#"{"sourceIPs":["1.2.3.4"]}"#]),
    ),
    (
        "lt/lte/gt/gte",
        Matches(
            "s: {a|lt: 5, b|lte: 5, c|gt: 5, d|gte: 5}\n  condition: s",
            &[r#"{"a":4,"b":5,"c":6,"d":5}"#],
            &[r#"{"a":5,"b":5,"c":6,"d":5}"#, r#"{"a":4,"b":6,"c":6,"d":5}"#, r#"{"a":4,"b":5,"c":5,"d":5}"#, r#"{"a":4,"b":5,"c":6,"d":4}"#],
        ),
    ),
    ("gt on numeric string", Matches("s: {f|gt: 5}\n  condition: s", &[r#"{"f":"10"}"#], &[r#"{"f":"5"}"#, r#"{"f":"x"}"#])),
    ("neq", Matches("s: {f|neq: a}\n  condition: s", &[r#"{"f":"b"}"#], &[r#"{"f":"A"}"#])),
    ("base64|contains", Matches("s: {f|base64|contains: foobar}\n  condition: s", &[r#"{"f":"x Zm9vYmFy y"}"#], &[r#"{"f":"foobar"}"#])),
    (
        "base64offset|contains",
        Matches(
            "s: {f|base64offset|contains: foobar}\n  condition: s",
            &[r#"{"f":"Zm9vYmFy"}"#, r#"{"f":"YWZvb2Jhcg=="}"#, r#"{"f":"YWFmb29iYXI="}"#],
            &[r#"{"f":"foobar"}"#],
        ),
    ),
    (
        "utf16le|base64offset (wide)",
        Matches(
            "s: {f|wide|base64offset|contains: ping}\n  condition: s",
            &[r#"{"f":"cABpAG4AZwA="}"#, r#"{"f":"YXAAaQBuAGcA"}"#],
            &[r#"{"f":"cGluZw=="}"#],
        ),
    ),
    ("utf16be|base64", Matches("s: {f|utf16be|base64|contains: ping}\n  condition: s", &[r#"{"f":"AHAAaQBuAGc="}"#], &[r#"{"f":"cABpAG4AZwA="}"#])),
    (
        "windash",
        Matches(
            "s: {f|windash|contains: ' -f '}\n  condition: s",
            &[r#"{"f":"a -f b"}"#, r#"{"f":"a /f b"}"#, r#"{"f":"a –f b"}"#, r#"{"f":"a —f b"}"#, r#"{"f":"a ―f b"}"#],
            &[r#"{"f":"a +f b"}"#],
        ),
    ),
    ("fieldref", Matches("s: {f|fieldref: g}\n  condition: s", &[r#"{"f":"a","g":"a"}"#], &[r#"{"f":"a","g":"b"}"#, r#"{"f":"a"}"#])),
    ("fieldref|neq", Matches("s: {f|fieldref|neq: g}\n  condition: s", &[r#"{"f":"a","g":"b"}"#], &[r#"{"f":"a","g":"a"}"#])),
    ("fieldref|startswith", Matches("s: {f|fieldref|startswith: g}\n  condition: s", &[r#"{"f":"abc","g":"ab"}"#], &[r#"{"f":"ab","g":"abc"}"#])),
    (
        "time: hour",
        Matches(
            "s: {f|hour: 3}\n  condition: s",
            &[r#"{"f":"2026-01-02T03:59:00Z"}"#, r#"{"f":1767322800}"#, r#"{"f":"2026-01-02T05:00:00+02:00"}"#],
            &[r#"{"f":"2026-01-02T04:00:00Z"}"#, r#"{"f":"03"}"#, r#"{"f":3}"#, "{}"],
        ),
    ),
    (
        "time: day/month/year/minute",
        Matches(
            "s: {f|day: 29, f|month: 12, f|year: 2025, f|minute: 5, f|week: 1}\n  condition: s",
            &[r#"{"f":"2025-12-29T00:05:59Z"}"#, r#"{"f":1766966700000}"#],
            &[
                r#"{"f":"2025-12-28T00:05:59Z"}"#,
                r#"{"f":"2025-11-29T00:05:00Z"}"#,
                r#"{"f":"2024-12-29T00:05:00Z"}"#,
                r#"{"f":"2025-12-29T00:06:00Z"}"#,
            ],
        ),
    ),
    (
        "time: hour|gte",
        Matches(
            "s: {f|hour|gte: 20}\n  condition: s",
            &[r#"{"f":"2026-01-02T20:00:00Z"}"#, r#"{"f":"2026-01-02 23:59:59"}"#],
            &[r#"{"f":"2026-01-02T19:59:59Z"}"#],
        ),
    ),
    ("expand without a placeholder source: the rule is rejected", Rejected("s: {f|expand: '%admins%'}\n  condition: s", "unknown-placeholder")),
];
