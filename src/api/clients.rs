//! What client certificates mean: who shows one that is named here stands for what is said beside its name, as with a token.
//!
//! The names in a certificate are its authority's word, and TLS has checked the chain before anything here reads it. A certificate that nothing names has no rights.
//! Nothing is revoked here: take an entry out, or let certificates be short-lived.

use std::sync::Arc;

use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::store::tokens::Principal;

/// One name, or two that must both be there.
#[derive(Debug, Clone)]
pub struct Client {
    /// The whole subject, as [`names_of`] spells it.
    pub subject: Option<String>,
    /// One alternative name, with its kind: `dns:node-1.example.com`, `uri:spiffe://prod/ns/kube-system/sa/falco`.
    pub san: Option<String>,
    /// What it stands for.
    pub principal: Principal,
}

/// All that are known. The first that fits counts.
#[derive(Debug, Clone, Default)]
pub struct Clients(pub Vec<Client>);

/// What a certificate says of whom it is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub subject: String,
    pub sans: Vec<String>,
}

/// Who a connection was made by.
#[derive(Debug, Clone, Default)]
pub(super) struct Certified {
    /// It showed a certificate.
    pub(super) is_shown: bool,
    pub(super) principal: Option<Arc<Principal>>,
}

impl Clients {
    /// Whom a certificate stands for, by its DER bytes.
    pub(super) fn of(&self, certificate: Option<&[u8]>) -> Certified {
        let Some(certificate) = certificate else { return Certified::default() };
        let names = names_of(certificate);
        let fits = |client: &&Client| {
            let is_subject = |wanted: &String| names.as_ref().is_some_and(|names| names.subject == *wanted);
            let is_san = |wanted: &String| names.as_ref().is_some_and(|names| names.sans.iter().any(|san| same(san, wanted)));
            (client.subject.is_some() || client.san.is_some())
                && client.subject.as_ref().is_none_or(is_subject)
                && client.san.as_ref().is_none_or(is_san)
        };
        Certified { is_shown: true, principal: self.0.iter().find(fits).map(|client| Arc::new(client.principal.clone())) }
    }
}

/// Names of hosts know no case.
fn same(san: &str, wanted: &str) -> bool {
    if san.starts_with("dns:") { san.eq_ignore_ascii_case(wanted) } else { san == wanted }
}

/// The names in a certificate: the subject as `CN=api-1, O=ops`, in the certificate's order, with a backslash before `,`, `=`, `+` and `\` in a value. `None` for what can not be read.
pub fn names_of(certificate: &[u8]) -> Option<Names> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut subject = Vec::new();
    for attribute in certificate.subject().iter_attributes() {
        let name = oid2abbrev(attribute.attr_type(), oid_registry()).map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
        let mut shown = name + "=";
        for c in attribute.as_str().ok()?.chars() {
            if matches!(c, ',' | '=' | '+' | '\\') {
                shown.push('\\');
            }
            shown.push(c);
        }
        subject.push(shown);
    }
    let mut sans = Vec::new();
    if let Some(names) = certificate.subject_alternative_name().ok()? {
        sans.extend(names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(format!("dns:{name}")),
            GeneralName::URI(uri) => Some(format!("uri:{uri}")),
            GeneralName::RFC822Name(mail) => Some(format!("email:{mail}")),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| format!("ip:{address}")),
            _ => None,
        }));
    }
    Some(Names { subject: subject.join(", "), sans })
}

fn address(bytes: &[u8]) -> Option<std::net::IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from)).ok()
}
