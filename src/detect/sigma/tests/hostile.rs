//! Texts that want to break the reader: none may panic, and each ends soon.

use super::*;
use crate::detect::matcher::Matcher;

/// Numbers that are the same on every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below.max(1) as u64).unwrap()
    }
}

const SEED: &str = "\
title: t\nid: a\nname: n\nlevel: low\ntags: [attack.t1609]\nlogsource: {product: kubernetes, service: audit}\ndetection:\n  s:\n    f|contains|all: ['a*', \"b\\n\"]\n    \
g|re: '^a(b|c)+$'\n    h|cidr: 10.0.0.0/8\n    i|base64offset|wide|contains: abc\n    j|windash: ' -a /b'\n    k|expand: '%admins%'\n  w: [x, y]\n  \
condition: s and not 1 of w*\nbartizan:\n  title: '{k8s.pod} {{'\n  group_by: [cluster]\n---\ntitle: c\nid: c\nlevel: low\ncorrelation:\n  type: value_count\n  \
rules: [n]\n  group-by: [u]\n  timespan: 5m\n  aliases: {u: {n: user.username}}\n  condition: {field: x, gte: 2}\n---\ntitle: f\nid: f\nlogsource: {product: kubernetes}\nfilter:\n  rules: [n, a]\n  s:\n    'a.b[any].c[0]|hour|gte': 3\n    \
'd[all]': {x: 1, 'y[none]': {'.|contains': z}, condition: x}\n  condition: not s\n";

const PIECES: [&str; 30] = [
    "\n", " ", ":", "- ", "|", ">", "'", "\"", "{", "}", "[", "]", "&a ", "*a", "!!", "%", "---\n", "...\n", "#", "\\", "?", ",", "\t", "\u{0}",
    "\u{feff}", "é", "\r", "(", "not ", "0x",
];

#[test]
fn broken_rules_never_panic() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let settings = settings();
    let (set, problems) = read(SEED, &settings);
    assert!(set.rules.len() == 2 && problems.iter().all(|problem| problem.severity != Severity::Error), "{}", show_problems(&problems));
    for _ in 0..4_000 {
        let mut chars: Vec<char> = SEED.chars().collect();
        for _ in 0..=numbers.next(6) {
            let at = numbers.next(chars.len());
            match numbers.next(4) {
                0 => {
                    chars.remove(at);
                }
                1 => {
                    let to = (at + numbers.next(40)).min(chars.len());
                    chars.drain(at..to);
                }
                2 => {
                    let copied: Vec<char> = chars[at..(at + numbers.next(60)).min(chars.len())].to_vec();
                    let to = numbers.next(chars.len());
                    chars.splice(to..to, copied);
                }
                _ => {
                    chars.splice(at..at, PIECES[numbers.next(PIECES.len())].chars());
                }
            }
        }
        let text: String = chars.into_iter().collect();
        let (set, problems) = read(&text, &settings);
        assert!(problems.iter().all(|problem| problem.line <= text.lines().count() + 2), "{text}");
        lint(&set);
        Matcher::new(&set);
    }
}

#[test]
fn large_texts_end_soon() {
    for (what, text) in [
        ("brackets", "[".repeat(60_000)),
        ("braces", "{a: ".repeat(15_000)),
        ("dashes", "- ".repeat(30_000)),
        ("documents", "---\na\n".repeat(10_000)),
        ("quotes", "'".repeat(60_000)),
        ("indents", (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
        ("keys", (0..4_000).map(|at| format!("k{at}: 1\n")).collect()),
        ("laughs", format!("a: &a [x]\n{}", "b: [*a, *a]\n".repeat(100))),
        ("brackets of a condition", format!("{HEAD}detection:\n  s: {{f: a}}\n  condition: {}s\n", "(".repeat(8_000))),
        ("wildcards", format!("{HEAD}detection:\n  s: {{f: '{}'}}\n  condition: 1 of {}x\n", "*a".repeat(20_000), "*s".repeat(3_000))),
        ("braces of a title", format!("{HEAD}bartizan: {{title: '{}'}}\ndetection:\n  s: {{f: a}}\n  condition: s\n", "{".repeat(50_001))),
        ("placeholders", format!("{HEAD}detection:\n  s: {{f|expand: '{}'}}\n  condition: s\n", "%admins%".repeat(7_000))),
        ("scopes", format!("{HEAD}detection:\n  s: {{'{}': a}}\n  condition: s\n", "a[any].".repeat(20_000))),
        ("filters", "title: f\nlogsource: {product: x}\nfilter: {rules: any, s: {f: a}, condition: s}\n---\n".repeat(1_000)),
        ("dots", format!("{HEAD}detection:\n  s: {{'{}': a}}\n  condition: s\n", "a.".repeat(250))),
    ] {
        let (set, problems) = read(&text, &settings());
        assert!(!problems.is_empty() || what == "dots", "{what}: {} rules", set.rules.len());
        assert!(problems.len() <= 20_000, "{what}: {} problems", problems.len());
    }
}
