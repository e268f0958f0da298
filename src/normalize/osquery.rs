//! osquery's result log. Every value is text. What a row is of, its columns say; the name of the query is the user's.

use std::sync::LazyLock;

use super::identity::{Place, act_of, whole_id};
use super::slots::{Gathered, Table, slots, table, table_under};
use super::{Head, entities, instant, object};
use crate::model::{Doc, Duration, Facts, Field, Timestamp};

slots!(Slot {
    Query "name";
    Host "hostname|hostIdentifier|host_identifier";
    UnixTime "unixTime";
    CalendarTime "calendarTime";
    Action "action";
});

slots!(Column {
    TargetPath "target_path|dest_path";
    Path "path";
    RowAction "action|operation";
    Category "category";
    Hash "md5|sha1|sha256";
    Uid "uid";
    Mode "mode";
    Size "size";
    Time "time";
    Pid "pid";
    Name "name";
    CommandLine "cmdline";
    User "username|user";
    Status "status";
    RemoteAddress "remote_address";
    RemotePort "remote_port";
    LocalAddress "local_address";
    LocalPort "local_port";
    // A row of kubequery: the host is a cluster then.
    Cluster "cluster_uid";
    Namespace "namespace";
    PodName "pod_name";
});

/// Where rows stand.
const ROWS_UNDER: &[&str] = &["columns", "snapshot", "diffResults added", "diffResults removed"];
/// How much older than the query a row's own time may be: past it the time is a thing of the row's, not of the event.
const ROW_AGE_MAX: Duration = Duration::hours(24);
/// Folder of a pod's files on its node, whatever is mounted above.
const PODS: &str = "/kubelet/pods/";

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));
static COLUMNS: LazyLock<Table<Column>> = LazyLock::new(|| table_under(ROWS_UNDER, Column::ROWS));

pub(super) fn read(doc: &Doc, place: &Place<'_>, facts: &mut Facts) -> Head {
    let fields = Gathered::gather(doc, &TABLE);
    let rows = Gathered::gather(doc, &COLUMNS);
    fields.alias_first(Slot::Action, Field::EventAction, facts);
    rows.alias(Column::RowAction, Field::EventAction, facts);
    if rows.has(Column::Cluster) {
        rows.alias_first(Column::Namespace, Field::K8sNamespace, facts);
        rows.alias_first(Column::PodName, Field::K8sPod, facts);
    } else {
        object::push_node(fields.text(Slot::Host), facts);
    }
    if rows.has(Column::TargetPath) {
        file_facts(doc, &rows, facts);
    } else {
        process_facts(doc, &rows, facts);
    }
    net_facts(&rows, facts);
    let queried = [Slot::UnixTime, Slot::CalendarTime].into_iter().find_map(|slot| fields.text(slot).and_then(instant::read));
    let time = row_time(&rows, queried).or(queried);
    let id = whole_id(doc, place, time);
    Head {
        id,
        act: act_of(id),
        time,
        outcome: match rows.text(Column::Status) {
            Some("succeeded" | "success") => "success",
            Some("failed" | "failure") => "failure",
            _ => "unknown",
        },
        count: 1,
        is_truncated: fields.is_cut() || rows.is_cut(),
    }
}

/// When the event itself happened; the queries of tables of events ask for it later.
fn row_time(rows: &Gathered<'_>, queried: Option<Timestamp>) -> Option<Timestamp> {
    let mut times = rows.texts(Column::Time).filter_map(instant::read);
    let first = times.next().filter(|first| times.all(|time| time == *first))?;
    queried.is_none_or(|queried| (0..=ROW_AGE_MAX.0).contains(&queried.since(first).0)).then_some(first)
}

/// Every value of a column; an empty text is none.
fn alias_said(doc: &Doc, rows: &Gathered<'_>, column: Column, field: Field, facts: &mut Facts) {
    for at in rows.indices(column) {
        if doc.leaves().get(at).is_some_and(|leaf| !doc.value(leaf).text.is_empty()) {
            facts.push_leaf(field, at);
        }
    }
}

fn file_facts(doc: &Doc, rows: &Gathered<'_>, facts: &mut Facts) {
    let aliases = [
        (Column::TargetPath, Field::FilePath),
        (Column::RowAction, Field::FileAction),
        (Column::Hash, Field::FileHashes),
        (Column::Uid, Field::FileOwner),
        (Column::Mode, Field::FileMode),
        (Column::Size, Field::FileSize),
        (Column::Category, Field::PolicyCategory),
    ];
    for (column, field) in aliases {
        alias_said(doc, rows, column, field, facts);
    }
    for path in rows.texts(Column::TargetPath) {
        pod_facts(path, facts);
    }
    // Of the process that did it, where the table knows it.
    alias_said(doc, rows, Column::Pid, Field::ProcessPid, facts);
}

/// `/var/lib/kubelet/pods/<uid>/volumes/...` and `.../containers/<name>/...`: the pod whose file it is.
fn pod_facts(path: &str, facts: &mut Facts) {
    let Some((_, rest)) = path.split_once(PODS) else { return };
    let mut segments = rest.split('/');
    let is_uid = |uid: &&str| matches!(uid.len(), 32 | 36) && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let Some(uid) = segments.next().filter(is_uid) else { return };
    facts.push_text(Field::K8sPodUid, uid);
    if let (Some("containers"), Some(container)) = (segments.next(), segments.next().filter(|name| !name.is_empty())) {
        facts.push_text(Field::K8sContainer, container);
    }
}

fn process_facts(doc: &Doc, rows: &Gathered<'_>, facts: &mut Facts) {
    if !rows.has(Column::Pid) {
        alias_said(doc, rows, Column::Path, Field::FilePath, facts);
        return;
    }
    let aliases = [
        (Column::Pid, Field::ProcessPid),
        (Column::Path, Field::ProcessExecutable),
        (Column::CommandLine, Field::ProcessCommandLine),
        (Column::User, Field::ProcessUserName),
        (Column::Uid, Field::ProcessUserUid),
    ];
    for (column, field) in aliases {
        alias_said(doc, rows, column, field, facts);
    }
    if rows.has(Column::Name) {
        alias_said(doc, rows, Column::Name, Field::ProcessName, facts);
        return;
    }
    for name in rows.texts(Column::Path).filter_map(|path| path.rsplit('/').next()).filter(|name| !name.is_empty()) {
        facts.push_text(Field::ProcessName, name);
    }
}

/// Who opened the connection is its source: of one that was accepted, the far end.
fn net_facts(rows: &Gathered<'_>, facts: &mut Facts) {
    if !rows.has(Column::RemoteAddress) {
        return;
    }
    let is_inbound = matches!(rows.text(Column::RowAction), Some("accept" | "bind"));
    let (near, far) = ((Column::LocalAddress, Column::LocalPort), (Column::RemoteAddress, Column::RemotePort));
    let ((source, _), (target, port)) = if is_inbound { (far, near) } else { (near, far) };
    for (column, field) in [(source, Field::SrcIp), (target, Field::DstIp)] {
        for ip in rows.texts(column).filter(|ip| entities::is_ip(ip)) {
            facts.push_text(field, ip);
            entities::ip(Some(ip), facts);
        }
    }
    for port in rows.texts(port).filter_map(|port| port.parse::<u16>().ok()).filter(|port| *port > 0) {
        facts.push_number(Field::DstPort, i64::from(port));
    }
}
