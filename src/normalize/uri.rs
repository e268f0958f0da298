//! Request URIs: path, query, and the object that a Kubernetes API path names.

/// The path without the query.
pub(super) fn path(uri: &str) -> &str {
    uri.split(['?', '#']).next().unwrap_or_default()
}

/// The values of a query parameter, decoded, in order.
pub(super) fn parameters<'u>(uri: &'u str, name: &'u str) -> impl Iterator<Item = String> + 'u {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

/// Undoes percent and plus. What is no escape stays; bytes that are not UTF-8 become U+FFFD.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|digit| char::from(*digit).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
        match (byte, hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high * 16 + low);
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The name of the object of this resource, by its place in the path.
pub(super) fn object_name(uri: &str, resource: &str) -> Option<String> {
    let mut segments = path(uri).split('/').filter(|segment| !segment.is_empty());
    match segments.next()? {
        "api" => drop(segments.next()?),
        "apis" => drop((segments.next()?, segments.next()?)),
        _ => return None,
    }
    let mut kind = segments.next()?;
    if kind == "namespaces" && resource != "namespaces" {
        segments.next()?;
        kind = segments.next()?;
    }
    if kind != resource {
        return None;
    }
    segments.next().map(decode)
}

/// The path of a URL: without scheme, host, query and fragment.
pub(super) fn url_path(url: &str) -> &str {
    let rest = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => match rest.find(['/', '?']) {
            Some(at) => rest.get(at..).unwrap_or_default(),
            None => "",
        },
        _ => url,
    };
    match path(rest) {
        "" => "/",
        path => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_decoded() {
        let check = |uri: &str, expected: &str| assert_eq!(parameters(uri, "command").collect::<Vec<_>>().join(" "), expected, "{uri}");
        check("/exec?command=cat&command=%2Fetc%2Fpasswd&container=a", "cat /etc/passwd");
        check("/exec?command=echo&command=a+b&command=%zz%4", "echo a b %zz%4");
        check("/exec?%63ommand=sh", "sh");
        check("/exec?command=%ff", "\u{fffd}");
        check("/exec", "");
    }

    #[test]
    fn names_come_from_paths() {
        let check = |uri: &str, resource: &str, expected: Option<&str>| assert_eq!(object_name(uri, resource).as_deref(), expected, "{uri}");
        check("/api/v1/namespaces/prod/pods/web-0/exec?command=x", "pods", Some("web-0"));
        check("/apis/apps/v1/namespaces/prod/deployments/web", "deployments", Some("web"));
        check("/api/v1/namespaces/prod", "namespaces", Some("prod"));
        check("/api/v1/nodes/n1", "nodes", Some("n1"));
        check("/api/v1/namespaces/prod/pods", "pods", None);
        check("/healthz", "pods", None);
        check("", "pods", None);
    }

    #[test]
    fn urls_have_paths() {
        let check = |url: &str, expected: &str| assert_eq!(url_path(url), expected, "{url}");
        check("http://checkout.shop:8080/admin?q=1", "/admin");
        check("/admin#x", "/admin");
        check("http://host", "/");
        check("http://host?x=1", "/");
    }
}
