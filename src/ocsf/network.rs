//! Network Activity (4001), DNS Activity (4003) and HTTP Activity (4002) of flows. What the network did about a flow, its verdict, is told by the
//! profile `security_control`.

use std::net::IpAddr;

use super::UNKNOWN;
use super::class::{Choice, DNS_ACTIVITY, HTTP_ACTIVITY, NETWORK_ACTIVITY, NOT_KNOWN, OTHER};
use super::draft::{Draft, Shape};
use super::object::Object;
use crate::model::Field;

/// What a verdict is: action and disposition.
const VERDICTS: &[(&str, Choice<'static>, Choice<'static>)] = &[
    ("forwarded", (1, "Allowed"), (1, "Allowed")),
    ("dropped", (2, "Denied"), (6, "Dropped")),
    ("audit", (3, "Observed"), (17, "Logged")),
    ("redirected", (OTHER, "redirected"), (OTHER, "redirected")),
    ("error", (OTHER, "error"), (27, "Error")),
];
/// Numbers of protocols, by IANA.
const PROTOCOLS: &[(&str, i64)] = &[("icmp", 1), ("igmp", 2), ("tcp", 6), ("udp", 17), ("vrrp", 112), ("sctp", 132)];
/// ICMP over IP version 6.
const ICMP_V6: i64 = 58;
const SOURCE_PORTS: &[&str] = &["l4.TCP.source_port", "l4.UDP.source_port", "l4.SCTP.source_port"];
/// Answers of name servers by their code.
const RCODES: &[&str] =
    &["NoError", "FormError", "ServError", "NXDomain", "NotImp", "Refused", "YXDomain", "YXRRSet", "NXRRSet", "NotAuth", "NotZone", "DSOTYPENI"];
/// Methods of HTTP that are activities of their own.
const METHODS: &[(&str, Choice<'static>)] = &[
    ("CONNECT", (1, "Connect")),
    ("DELETE", (2, "Delete")),
    ("GET", (3, "Get")),
    ("HEAD", (4, "Head")),
    ("OPTIONS", (5, "Options")),
    ("POST", (6, "Post")),
    ("PUT", (7, "Put")),
    ("TRACE", (8, "Trace")),
    ("PATCH", (9, "Patch")),
];

pub(super) fn shape<'e>(draft: &mut Draft<'e>) -> Shape<'e> {
    let mut body = Object::default();
    ends(draft, &mut body);
    let mut shape = if draft.peek(Field::DnsQuery).is_some() {
        dns(draft, body)
    } else if draft.peek(Field::HttpMethod).or(draft.peek(Field::HttpStatus)).or(draft.peek(Field::HttpPath)).is_some() {
        http(draft, body)
    } else {
        if let Some(is_reply) = draft.take(Field::NetIsReply) {
            body.choose("initiator", if is_reply == "true" { (2, "Destination Endpoint") } else { (1, "Source Endpoint") });
        }
        Shape::new(&NETWORK_ACTIVITY, activity(draft), body)
    };
    verdict(draft, &mut shape);
    shape
}

/// Both ends, and how they are connected.
fn ends(draft: &mut Draft<'_>, body: &mut Object) {
    let port = SOURCE_PORTS.iter().find_map(|name| draft.native(name)).and_then(|port| port.parse().ok());
    draft.take_all(Field::SrcIps);
    let version = draft.peek(Field::SrcIp).or(draft.peek(Field::DstIp)).and_then(|ip| ip.parse::<IpAddr>().ok());
    let mut from = draft.endpoint(Field::SrcIp, port, Field::SrcPod);
    let port = draft.take_port(Field::DstPort);
    let mut to = draft.endpoint(Field::DstIp, port, Field::DstPod);
    to.put("hostname", draft.take(Field::DstNames));
    for end in [&mut from, &mut to] {
        // A port alone is no endpoint.
        if !end.is_empty() && !["ip", "name", "hostname"].iter().any(|key| end.has(key)) {
            end.put("name", UNKNOWN);
        }
    }
    if from.is_empty() && to.is_empty() {
        from.put("name", UNKNOWN);
    }
    body.put("src_endpoint", from);
    body.put("dst_endpoint", to);
    let mut connection = Object::default();
    let (direction, observed) = match draft.take(Field::NetDirection) {
        Some("ingress") => ((1, "Inbound"), Some((2, "Destination"))),
        Some("egress") => ((2, "Outbound"), Some((1, "Source"))),
        _ => (NOT_KNOWN, None),
    };
    connection.choose("direction", direction);
    if let Some(observed) = observed {
        body.choose("observation_point", observed);
    }
    if let Some(protocol) = draft.take(Field::NetProtocol) {
        connection.put("protocol_name", protocol);
        let number = PROTOCOLS.iter().find(|(known, _)| *known == protocol).map(|(_, number)| *number);
        let is_v6 = version.is_some_and(|ip| ip.is_ipv6());
        connection.put("protocol_num", if protocol == "icmp" && is_v6 { Some(ICMP_V6) } else { number });
    }
    match version {
        Some(IpAddr::V4(_)) => connection.choose("protocol_ver", (4, "Internet Protocol version 4 (IPv4)")),
        Some(IpAddr::V6(_)) => connection.choose("protocol_ver", (6, "Internet Protocol version 6 (IPv6)")),
        None => {}
    }
    body.put("connection_info", connection);
}

fn verdict(draft: &mut Draft<'_>, shape: &mut Shape<'_>) {
    let Some(word) = draft.take(Field::NetVerdict) else { return };
    let known = VERDICTS.iter().find(|(known, ..)| *known == word).map(|(_, action, disposition)| (*action, *disposition));
    let (action, disposition) = known.unwrap_or(((OTHER, word), (OTHER, word)));
    shape.body.choose("action", action);
    shape.body.choose("disposition", disposition);
    if draft.peek(Field::PolicyName).is_some() {
        shape.body.put("policy", Object::with("name", draft.take(Field::PolicyName)));
    }
    shape.body.put("status_detail", draft.take(Field::NetDropReason));
    shape.profiles.push("security_control");
}

/// What became of the connection, by the verdict and the flags of TCP.
fn activity(draft: &Draft<'_>) -> Choice<'static> {
    let has = |flag: &str| draft.native(&format!("l4.TCP.flags.{flag}")) == Some("true");
    match draft.peek(Field::NetVerdict) {
        Some("dropped") => (5, "Refuse"),
        Some("error") => (4, "Fail"),
        _ if has("RST") => (3, "Reset"),
        _ if has("FIN") => (2, "Close"),
        _ if has("SYN") && !has("ACK") => (1, "Open"),
        _ => (6, "Traffic"),
    }
}

fn dns<'e>(draft: &mut Draft<'e>, mut body: Object) -> Shape<'e> {
    let mut query = Object::with("hostname", draft.take(Field::DnsQuery));
    query.put("type", draft.native("l7.dns.qtypes"));
    body.put("query", query);
    if let Some(code) = draft.take_number(Field::DnsRcode) {
        let caption = usize::try_from(code).ok().and_then(|at| RCODES.get(at));
        match caption {
            Some(caption) => body.choose("rcode", (code, caption)),
            None => body.choose("rcode", (OTHER, &code.to_string())),
        }
    }
    let records = draft.natives("l7.dns.ips").map(|ip| (ip, if ip.contains(':') { "AAAA" } else { "A" }));
    let answers = records.chain(draft.natives("l7.dns.cnames").map(|name| (name, "CNAME"))).map(|(data, kind)| {
        let mut answer = Object::with("rdata", data);
        answer.put("type", kind);
        answer
    });
    body.put("answers", answers.collect::<Vec<_>>());
    let time = draft.event.time.millis();
    let activity = match draft.native("l7.type") {
        Some("REQUEST") => {
            body.put("query_time", time);
            (1, "Query")
        }
        Some("RESPONSE") => {
            body.put("response_time", time);
            (2, "Response")
        }
        _ => NOT_KNOWN,
    };
    Shape::new(&DNS_ACTIVITY, activity, body)
}

fn http<'e>(draft: &mut Draft<'e>, mut body: Object) -> Shape<'e> {
    let mut url = Object::with("path", draft.take(Field::HttpPath));
    url.put("url_string", draft.native("l7.http.url"));
    let mut request = Object::with("url", url);
    request.put("version", draft.native("l7.http.protocol"));
    let method = draft.peek(Field::HttpMethod);
    let known = method.and_then(|method| METHODS.iter().find(|(known, _)| *known == method));
    if let Some((method, _)) = known {
        request.put("http_method", *method);
        draft.take(Field::HttpMethod);
    }
    body.put("http_request", request);
    if let Some(code) = draft.take_number(Field::HttpStatus) {
        body.put("http_response", Object::with("code", code));
        body.put("status_code", code.to_string());
    }
    let activity = known.map(|(_, choice)| *choice).or(method.map(|method| (OTHER, method))).unwrap_or(NOT_KNOWN);
    if !body.has("http_request") && !body.has("http_response") {
        // A method that the schema does not know, and nothing else: not an HTTP activity that it would take.
        return Shape::new(&NETWORK_ACTIVITY, (6, "Traffic"), body);
    }
    Shape::new(&HTTP_ACTIVITY, activity, body)
}
