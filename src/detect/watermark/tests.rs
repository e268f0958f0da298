use super::*;
use crate::model::Kind;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// `cluster kinds time lateness`, and `idle` at the end for one that is silent.
fn mark(spec: &str) -> Mark {
    let words: Vec<&str> = spec.split(' ').collect();
    Mark {
        place: (words[0] != "*").then(|| (TenantId::default(), words[0].parse().unwrap())),
        kinds: words[1].split(',').map(|kind| Kind::by_name(kind).unwrap()).collect(),
        time: at(words[2].parse().unwrap()),
        lateness: Duration::seconds(words[3].parse().unwrap()),
        is_idle: words.get(4) == Some(&"idle"),
    }
}

/// After each round of marks: up to when a rule that reads these kinds is judged in this cluster.
fn check(kinds: &str, cluster: &str, rounds: &[(&[&str], Option<i64>)]) {
    let mut horizons = Horizons::new();
    let class = horizons.class(kinds.split(',').map(|kind| Kind::by_name(kind).unwrap()).collect());
    let place = horizons.place(&TenantId::default(), &cluster.parse().unwrap());
    for (marks, expected) in rounds {
        horizons.advance(&Watermarks(marks.iter().map(|spec| mark(spec)).collect()));
        let judged = horizons.judged(class, place);
        assert_eq!((judged != i64::MIN).then_some(judged), expected.map(|seconds| seconds * 1_000_000_000), "{kinds} in {cluster} by {marks:?}");
    }
}

#[test]
fn a_rule_waits_for_what_it_reads_where_its_group_is() {
    check("k8s_audit", "a", &[(&["a k8s_audit 1000 600", "b k8s_audit 10 0"], Some(400))]);
    check("k8s_audit", "a", &[(&["a k8s_audit 1000 600", "a flow 10 0"], Some(400))]);
    check("k8s_audit,flow", "a", &[(&["a k8s_audit 1000 600", "a flow 10 0"], Some(10))]);
    check("k8s_audit,flow", "a", &[(&["a k8s_audit,falco 1000 600", "a falco 10 0"], Some(400))]);
    check("k8s_audit", "a", &[(&["a k8s_audit 20000 600", "a k8s_audit 20000 10800"], Some(9200))]);
    check("k8s_audit", "a", &[(&["b k8s_audit 1000 0"], None)]);
    check("k8s_audit", "a", &[(&["* k8s_audit 1000 0"], Some(1000))]);
}

#[test]
fn an_idle_source_holds_back_no_time_but_keeps_its_lateness() {
    check("k8s_audit,flow", "a", &[(&["a k8s_audit 1000 100", "a flow 10 0 idle"], Some(900))]);
    check("k8s_audit,flow", "a", &[(&["a k8s_audit 1000 100", "a flow 10 300 idle"], Some(700))]);
    // A rule over flows alone goes on while anything else of the cluster speaks.
    check("flow", "a", &[(&["a k8s_audit 1000 100", "a flow 10 0 idle"], Some(1000))]);
    check("flow", "a", &[(&["a flow 10 0 idle", "b flow 1000 0"], Some(10))]);
}

#[test]
fn no_horizon_goes_back() {
    check("flow", "a", &[(&["a flow 100 0"], Some(100)), (&["a flow 100 0", "a flow 50 0"], Some(100)), (&["a flow 200 0"], Some(200))]);
}

#[test]
fn past_the_limit_clusters_share_a_place() {
    let mut horizons = Horizons::new();
    let class = horizons.class(Kinds::ALL);
    let name = |number: usize| format!("c{number}").parse::<ClusterId>().unwrap();
    for number in 0..PLACES_MAX {
        assert_ne!(horizons.place(&TenantId::default(), &name(number)), SHARED);
    }
    let marks = ["c0 flow 100 0", "extra-1 flow 50 0", "extra-2 flow 70 0"];
    horizons.advance(&Watermarks(marks.iter().map(|spec| mark(spec)).collect()));
    for (cluster, expected) in [("c0", 100), ("extra-1", 50), ("extra-2", 50), ("extra-3", 50)] {
        let place = horizons.place(&TenantId::default(), &cluster.parse().unwrap());
        assert_eq!(horizons.judged(class, place), expected * 1_000_000_000, "{cluster}");
    }
    assert_eq!(horizons.least(class), Some(at(50)));
}
