//! GKE's audit entries in the words of `audit.k8s.io`: rules, search and facts read them like any other audit event. The record itself stays as Google
//! wrote it.
//!
//! `protoPayload` has the call (`io.k8s.GROUP.VERSION.RESOURCE[.SUBRESOURCE].VERB`), the object (`GROUP/VERSION/[namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE]]`,
//! `core` for no group), the caller's mail, and the bodies. It does not have groups, uid and extra of the user, nor the stage; its status is a
//! `google.rpc.Code` and no HTTP code, unless the response is a `Status`.

use std::sync::LazyLock;

use super::slots::{Gathered, Table, slots, table};
use crate::model::{Doc, Graft, Path};

slots!(Slot {
    InsertId "insertId";
    Time "timestamp";
    Method "protoPayload methodName";
    Object "protoPayload resourceName";
    User "protoPayload authenticationInfo principalEmail";
    CallerIp "protoPayload requestMetadata callerIp|protoPayload requestMetadata callerIP";
    Agent "protoPayload requestMetadata callerSuppliedUserAgent";
    RpcCode "protoPayload status code";
    RpcMessage "protoPayload status message";
    HttpCode "protoPayload response code";
    HttpMessage "protoPayload response message";
    HttpReason "protoPayload response reason";
    ResponseKind "protoPayload response kind|protoPayload response @type|protoPayload response at_sign_type";
    Command "protoPayload request command";
});

static TABLE: LazyLock<Table<Slot>> = LazyLock::new(|| table(Slot::ROWS));
static SERVICE: LazyLock<Path> = LazyLock::new(|| Path::of(["protoPayload", "serviceName"]));
static MOVES: LazyLock<[(Path, &str); 3]> = LazyLock::new(|| {
    [
        (Path::of(["protoPayload", "request"]), "requestObject"),
        (Path::of(["protoPayload", "response"]), "responseObject"),
        (Path::of(["labels"]), "annotations"),
    ]
});

/// Whether a cloud audit entry is a call to a cluster's API server.
fn is_call(doc: &Doc) -> bool {
    doc.text_at(*SERVICE) == Some("k8s.io")
}

/// Adds the native names.
pub(super) fn translate(doc: &mut Doc) {
    if !is_call(doc) {
        return;
    }
    let call = Call::of(doc);
    let mut graft = Graft::new(doc);
    for (from, to) in MOVES.iter() {
        graft.move_up(*from, to);
    }
    for (group, key, text) in &call.texts {
        graft.text(group, key, text);
    }
    graft.number("responseStatus", "code", &call.code);
}

/// What the entry says, in native words.
struct Call {
    texts: Vec<(&'static str, &'static str, String)>,
    code: String,
}

impl Call {
    fn of(doc: &Doc) -> Self {
        let fields = Gathered::gather(doc, &TABLE);
        let mut texts: Vec<(&'static str, &'static str, String)> = vec![("", "stage", "ResponseComplete".to_owned())];
        let mut add = |group, key, text: Option<&str>| {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                texts.push((group, key, text.to_owned()));
            }
        };
        let method = fields.text(Slot::Method).unwrap_or_default();
        let verb = method.rsplit('.').next().unwrap_or_default();
        let object = Object::of(fields.text(Slot::Object).unwrap_or_default(), method);
        // Only a `Status` has a code: an object of somebody's own kind may have a member of that name. What is not named was cut to what counts.
        let is_status = fields.texts(Slot::ResponseKind).all(|kind| kind.rsplit('.').next() == Some("Status"));
        let of_status = |slot| fields.text(slot).filter(|_| is_status);
        add("", "verb", Some(verb));
        add("", "auditID", fields.text(Slot::InsertId));
        add("", "requestReceivedTimestamp", fields.text(Slot::Time));
        add("", "stageTimestamp", fields.text(Slot::Time));
        add("user", "username", fields.text(Slot::User));
        add("", "sourceIPs", fields.text(Slot::CallerIp));
        add("", "userAgent", fields.text(Slot::Agent));
        add("objectRef", "apiGroup", Some(object.group));
        add("objectRef", "apiVersion", Some(object.version));
        add("objectRef", "namespace", object.namespace);
        add("objectRef", "resource", object.resource);
        add("objectRef", "name", object.name);
        add("objectRef", "subresource", object.subresource);
        add("", "requestURI", Some(&object.uri(fields.texts(Slot::Command))));
        add("responseStatus", "message", of_status(Slot::HttpMessage).or_else(|| fields.text(Slot::RpcMessage)));
        add("responseStatus", "reason", of_status(Slot::HttpReason));
        let http = of_status(Slot::HttpCode).filter(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()));
        let code = http.map_or_else(|| http_code(fields.text(Slot::RpcCode).unwrap_or("0"), verb, object.subresource).to_owned(), str::to_owned);
        Self { texts, code }
    }
}

/// The HTTP code that a `google.rpc.Code` stands for here.
fn http_code(rpc: &str, verb: &str, subresource: Option<&str>) -> &'static str {
    match (rpc, verb) {
        ("0", _) if matches!(subresource, Some("exec" | "attach" | "portforward")) => "101",
        ("0", "create") => "201",
        ("0", _) => "200",
        ("3" | "9" | "11", _) => "400",
        ("5", _) => "404",
        ("6" | "10", _) => "409",
        ("7", _) => "403",
        ("8", _) => "429",
        ("12", _) => "501",
        ("14", _) => "503",
        ("4", _) => "504",
        ("16", _) => "401",
        _ => "500",
    }
}

/// What a resource name says.
#[derive(Default)]
struct Object<'t> {
    /// Of a path that names no object: `healthz`.
    path: &'t str,
    group: &'t str,
    version: &'t str,
    namespace: Option<&'t str>,
    resource: Option<&'t str>,
    name: Option<&'t str>,
    subresource: Option<&'t str>,
}

impl<'t> Object<'t> {
    fn of(text: &'t str, method: &str) -> Self {
        // A call of no resource is a verb alone: `io.k8s.get`.
        if method.strip_prefix("io.k8s.").is_some_and(|call| !call.contains('.')) {
            return Self { path: text.trim_start_matches('/'), ..Self::default() };
        }
        let mut parts = text.split('/').filter(|part| !part.is_empty());
        let group = parts.next().filter(|group| *group != "core").unwrap_or_default();
        let version = parts.next().unwrap_or_default();
        let mut rest: Vec<&str> = parts.collect();
        let mut namespace = None;
        // A namespace itself, or a subresource of it, looks like an object in one.
        if let ["namespaces", name, ..] = rest[..] {
            namespace = Some(name);
            if rest.len() > 2 && !method.rsplit('.').skip(1).take(2).any(|word| word == "namespaces") {
                rest.drain(..2);
            }
        }
        let at = |place: usize| rest.get(place).copied();
        Self { path: "", group, version, namespace, resource: at(0), name: at(1), subresource: at(2) }
    }

    /// The path of the request. An exec's command is a parameter of it.
    fn uri<'c>(&self, command: impl Iterator<Item = &'c str>) -> String {
        if self.version.is_empty() {
            return if self.path.is_empty() { String::new() } else { format!("/{}", self.path) };
        }
        let mut uri = if self.group.is_empty() { format!("/api/{}", self.version) } else { format!("/apis/{}/{}", self.group, self.version) };
        let namespace = self.namespace.filter(|_| self.resource != Some("namespaces")).into_iter().flat_map(|name| ["namespaces", name]);
        for part in namespace.chain(self.resource).chain(self.name).chain(self.subresource) {
            uri.push('/');
            uri.push_str(part);
        }
        for (at, word) in command.enumerate() {
            uri.push_str(if at == 0 { "?command=" } else { "&command=" });
            for byte in word.bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                    uri.push(char::from(byte));
                } else {
                    uri.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        uri
    }
}

#[cfg(test)]
mod tests;
