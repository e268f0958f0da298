//! MITRE ATT&CK, from tags: Sigma's `attack.t1609` and `attack.execution`, Falco's `T1059` and `mitre_execution`.

use super::object::Object;

/// Tactics by the word of their tag.
const TACTICS: &[(&str, &str, &str)] = &[
    ("reconnaissance", "TA0043", "Reconnaissance"),
    ("resource_development", "TA0042", "Resource Development"),
    ("initial_access", "TA0001", "Initial Access"),
    ("execution", "TA0002", "Execution"),
    ("persistence", "TA0003", "Persistence"),
    ("privilege_escalation", "TA0004", "Privilege Escalation"),
    ("defense_evasion", "TA0005", "Defense Evasion"),
    ("credential_access", "TA0006", "Credential Access"),
    ("discovery", "TA0007", "Discovery"),
    ("lateral_movement", "TA0008", "Lateral Movement"),
    ("collection", "TA0009", "Collection"),
    ("exfiltration", "TA0010", "Exfiltration"),
    ("command_and_control", "TA0011", "Command and Control"),
    ("impact", "TA0040", "Impact"),
];

/// One attack a tag that names a tactic or a technique, in the order of the tags.
pub(super) fn list<'t>(tags: impl Iterator<Item = &'t str>) -> Vec<Object> {
    tags.filter_map(attack).collect()
}

fn attack(tag: &str) -> Option<Object> {
    let tag = tag.to_ascii_lowercase();
    let word = tag.strip_prefix("attack.").or_else(|| tag.strip_prefix("mitre_")).unwrap_or(&tag);
    if is_technique(word) {
        let id = word.to_ascii_uppercase();
        let mut attack = Object::default();
        if let Some((technique, _)) = id.split_once('.') {
            attack.put("technique", Object::with("uid", technique));
            attack.put("sub_technique", Object::with("uid", id.as_str()));
        } else {
            attack.put("technique", Object::with("uid", id));
        }
        return Some(attack);
    }
    let word = word.replace('-', "_");
    let is_named = word.len() < tag.len();
    let (_, uid, name) = TACTICS.iter().find(|(known, ..)| is_named && *known == word)?;
    let mut tactic = Object::with("uid", *uid);
    tactic.put("name", *name);
    Some(Object::with("tactic", tactic))
}

/// `t1059`, or `t1059.004`.
fn is_technique(word: &str) -> bool {
    let Some(rest) = word.strip_prefix('t') else { return false };
    let (number, sub) = rest.split_once('.').map_or((rest, None), |(number, sub)| (number, Some(sub)));
    let are_digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(number, 4) && sub.is_none_or(|sub| are_digits(sub, 3))
}
