//! A rule for each feature of Sigma's detections, and its opposite: what public rules do not use is compared with the peer by these.

use std::sync::Arc;

/// A field with its modifiers, and values.
const ITEMS: [&str; 84] = [
    "num: 400",
    "num: '400'",
    "num: 1.0",
    "num: '1.0'",
    "num|contains: 4",
    "num: 9007199254740993",
    "num: -1",
    "num: '0'",
    "flag: true",
    "flag: false",
    "flag: 'true'",
    "flag|contains: true",
    "a: ''",
    "a: null",
    "a: [x, null]",
    "a|neq: x",
    "a|neq: [x, 'y*']",
    "num|neq: 5",
    "a|contains|neq: kube",
    "a|neq: null",
    "a|exists: true",
    "a|exists: false",
    "a.b.c|exists: true",
    "a: '*'",
    "a|contains: '*'",
    "a.b: '*'",
    "a: 'x*y?z'",
    "a: '?'",
    "a: '??*'",
    "a: 'Σ*ſ?İ'",
    "a|startswith: 'ab*cd'",
    "a|endswith: 'ab?cd'",
    "a|contains: 'ab*c?d'",
    "a|cased: 'aB*Cd'",
    "a: ['x*', '*y', 'a?c']",
    "a|startswith: 'Straße'",
    "a|endswith: 'ΟΔΟΣ'",
    "a: ['İstanbul', 'Kelvin', 'ſecret', 'ΌΣΟΣ']",
    "a|cased: 'ÄpfeL'",
    "a|contains|cased: [Foo, 'bAr', 'é']",
    "a|contains|all: [foo, bar, 'é']",
    "a|startswith|all: [a, ab]",
    "a|contains|all: ['x*y', 'z?']",
    "a|contains: [aa, bb, cc, dd, ee, ff, gg, hh, ii, 'éé']",
    "a|re: '^x.+y$'",
    r"a|re|i: 'Secret\d{1,3}'",
    "a|re|m: '^b$'",
    "a|re|s: 'a.b'",
    "a|re: ['x+', 'y{2}', '^z']",
    "a|re|i: ['x+S', 'y{2}k', '^zé']",
    r"num|re: '^4\d\d$'",
    "ip|cidr: 10.0.0.0/8",
    "ip|cidr: [192.168.0.0/16, 'fe80::/10', '2001:db8::/32']",
    "ip|cidr: '0.0.0.0/0'",
    "ip|cidr: '::/0'",
    "ip|cidr: 172.16.0.0/13",
    "num|gt: 5",
    "num|gte: 1.5",
    "num|lt: 0",
    "num|lte: 1000",
    "a|fieldref: b",
    "a|fieldref|neq: b",
    "a|fieldref|startswith: b",
    "a|fieldref|endswith: b",
    "a|fieldref|contains: b.c",
    "a|fieldref|cased: b",
    "a|base64: 'foobar!'",
    "a|base64|contains: '/bin/bash'",
    "a|base64offset|contains: 'cmd.exe /c'",
    "a|base64offset: 'whoami'",
    "a|wide|base64offset|contains: 'ping'",
    "a|utf16be|base64offset|contains: 'ping'",
    "a|utf16|base64|contains: 'ping'",
    "a|windash: '-flag'",
    "a|contains|windash: ' /c dir'",
    "a|contains|windash: ' -long-name'",
    "a|windash: '* -x *'",
    "a|contains|windash|all: [' -a', ' -b ']",
    "metadata.labels.app.kubernetes.io/name: web",
    "metadata.labels.app.kubernetes.io/name: null",
    "metadata.labels.app|neq: web",
    "a field with spaces: x",
    r"a|endswith: ['\\*', '\?', 'C:\\Dir\*', '\\\*']",
    r"a|contains: '\\\\server\share'",
];

/// What stands below `detection:`, its condition left out, and the condition.
const DETECTIONS: [(&str, &str); 8] = [
    ("words: [curl, 'wget*evil', 443]", "words"),
    ("words: ['É?s']", "words"),
    ("words: {'|all': [curl, ' -o ', 'h?t*p']}", "words"),
    ("selection: [{a: x, b|startswith: y}, {a|contains: z}, word]", "selection"),
    ("{s1: {a: x}, s2: {b: y}, s3: {c: z}, _s4: {d: q}}", "2 of s*"),
    ("{s1: {a: x}, s2: {b: y}, _s4: {d: q}}", "1 of them"),
    ("{s1: {a: x}, s2: {b: y}, f1: {c|contains: z}}", "all of s* and not 1 of f*"),
    ("{s1: {a: x}, s2: {b: y}, s3: {c: z}}", "[s1 and not s2, s2 and (s1 or not s3)]"),
];

/// Each rule as a file.
pub fn rules() -> Vec<(Arc<str>, String)> {
    let mut rules = Vec::new();
    let mut add = |selections: &str, condition: &str| {
        let number = rules.len();
        let inner = selections.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(selections);
        let text = format!(
            "title: feature {number}\nid: 00000000-0000-4000-8000-{number:012}\nlogsource: {{product: kubernetes, service: audit}}\nlevel: low\n\
             detection: {{{inner}, condition: {condition}}}\n"
        );
        rules.push((Arc::from(format!("feature-{number}.yml")), text));
    };
    for item in ITEMS {
        // In a flow map a key may not have all characters: quoted it may.
        let (key, values) = item.split_once(": ").unwrap_or((item, "''"));
        add(&format!("selection: {{\"{key}\": {values}}}"), "selection");
        add(&format!("other: {{k: v}}, selection: {{\"{key}\": {values}}}"), "other and not selection");
    }
    DETECTIONS.iter().for_each(|(selections, condition)| add(selections, condition));
    rules
}
