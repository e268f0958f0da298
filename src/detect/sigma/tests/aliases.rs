//! Names and values that rules for Kubernetes make up.

use super::*;

/// The one selection of a rule of this log source, and its notes.
fn check(source: &str, selection: &str, expected: &str, notes: &str) {
    let text = format!("{HEAD}logsource: {source}\ndetection:\n  s: {selection}\n  condition: s\n");
    let (set, problems) = read(&text, &settings());
    let Some(Body::Single(detection)) = set.rules.first().map(|rule| &rule.body) else { panic!("{selection}: {}", show_problems(&problems)) };
    assert_eq!(show_selection(&detection.selections[0].1), expected, "{selection}");
    assert_eq!(show_problems(&problems), notes, "{selection}");
}

#[test]
fn made_up_names_lead_to_what_events_have() {
    let audit = "{product: kubernetes, service: audit}";
    check(
        audit,
        "{hostPath: '*'}",
        "pod.host_paths *",
        "6:7 note alias-used: no audit event has `hostPath` as it is asked for here; `pod.host_paths` is asked instead: mounts of the node are part of the \
         pod's specification",
    );
    check(
        audit,
        "{apiGroup|startswith: apps}",
        "k8s.api_group 'apps'..",
        "6:7 note alias-used: no audit event has `apiGroup` as it is asked for here; `k8s.api_group` is asked instead: the group is part of `objectRef`",
    );
    check(
        audit,
        "{responseStatus.code: ALLOW}",
        "annotations.authorization.k8s.io/decision 'ALLOW'",
        "6:7 note alias-used: no audit event has `responseStatus.code` as it is asked for here; `annotations.authorization.k8s.io/decision` is asked instead: \
         the code is a number; what the authorizer decided is an annotation",
    );
    check(
        audit,
        "{verb: [Replace, patch]}",
        "verb 'update' | 'patch'",
        "6:7 note alias-used: no audit event has the verb `Replace`; `update` is asked instead: `replace` is a command of kubectl; its request has the verb \
         `update`",
    );
}

#[test]
fn all_else_stays_as_it_is_written() {
    let audit = "{product: kubernetes, service: audit}";
    check(audit, "{responseStatus.code: [401, 403]}", "responseStatus.code =401 | =403", "");
    check(audit, "{responseStatus.code: [ALLOW, 403]}", "responseStatus.code 'ALLOW' | =403", "");
    check(audit, "{raw.hostPath: '*'}", "hostPath *", "");
    check(audit, "{verb|contains: replace}", "verb ..'replace'..", "");
    check(audit, "{objectRef.name: replace}", "objectRef.name 'replace'", "");
    check("{product: falco}", "{hostPath: '*'}", "hostPath *", "");
    check("{product: windows}", "{verb: replace}", "verb 'replace'", "");
    let field_mappings = [("hostPath".to_owned(), "objectRef.name".to_owned())].into();
    let text = format!("{HEAD}logsource: {audit}\ndetection: {{s: {{hostPath: a}}, condition: s}}\n");
    let (set, problems) = read(&text, &Settings { field_mappings, ..Settings::default() });
    let Body::Single(detection) = &set.rules[0].body else { panic!("a detection") };
    assert_eq!((show_selection(&detection.selections[0].1).as_str(), problems.len()), ("objectRef.name 'a'", 0));
}
