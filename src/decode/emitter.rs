//! The container behind a record, as paths of log files, tags and labels of shippers name it.

use std::borrow::Cow;

use crate::model::{Emitter, Provider, Wrapping};

/// Length of a container's id in the name of its log file, in hex digits.
const ID_LEN: usize = 64;

/// The container whose log file this is: `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`,
/// `/var/log/pods/<namespace>_<pod>_<uid>/<container>/0.log`, wherever in a longer path or key, or the first with dots for slashes.
pub fn emitter_of_path(path: &str) -> Option<Emitter> {
    if let Some((_, name)) = path.rsplit_once("var.log.containers.") {
        return of_file(name);
    }
    let mut parts = path.rsplit('/');
    let file = parts.next()?;
    of_file(file).or_else(|| of_folders(file, parts.next()?, parts.next()?))
}

/// `<pod>_<namespace>_<container>-<id>.log`, and what rotation or compression puts behind it.
fn of_file(name: &str) -> Option<Emitter> {
    let (pod, rest) = name.split_once('_')?;
    let (namespace, rest) = rest.split_once('_')?;
    let (container, id) = rest.split(".log").next()?.rsplit_once('-')?;
    let is_id = id.len() == ID_LEN && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && rest.contains(".log")).then(|| named(namespace, pod, container)).flatten()
}

/// `<namespace>_<pod>_<uid>/<container>/<n>.log`.
fn of_folders(file: &str, container: &str, folder: &str) -> Option<Emitter> {
    let (count, _) = file.split_once(".log")?;
    let (namespace, rest) = folder.split_once('_')?;
    let (pod, uid) = rest.split_once('_')?;
    let is_uid = uid.len() >= 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_count = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    (is_uid && is_count).then(|| named(namespace, pod, container)).flatten()
}

fn named(namespace: &str, pod: &str, container: &str) -> Option<Emitter> {
    let is_name = |name: &&str| (1..=253).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'));
    [namespace, pod, container].iter().all(is_name).then(|| Emitter {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
    })
}

/// What labels, resource attributes or index fields of a shipper say.
#[derive(Debug, Default)]
pub(super) struct Labels {
    namespace: Option<String>,
    pod: Option<String>,
    container: Option<String>,
    said: Wrapping,
    path: Option<Emitter>,
}

impl Labels {
    /// Takes a label in. Of labels that say the same thing the first counts.
    pub(super) fn note(&mut self, key: &str, value: &str) {
        let name = key.strip_prefix("k8s.").or(key.strip_prefix("kubernetes_")).or(key.strip_prefix("kubernetes.")).unwrap_or(key);
        let slot = match name {
            "namespace.name" | "namespace" | "namespace_name" => &mut self.namespace,
            "pod.name" | "pod" | "pod_name" => &mut self.pod,
            "container.name" | "container" | "container_name" => &mut self.container,
            "cloud.account.id" => &mut self.said.account,
            "cluster.name" | "cluster" | "cluster_name" => {
                self.said.cluster = self.said.cluster.take().or_else(|| value.parse().ok());
                return;
            }
            "cloud.provider" => {
                let all = [Provider::Aws, Provider::Azure, Provider::Gcp, Provider::Yandex];
                self.said.provider = all.into_iter().find(|provider| value.starts_with(provider.name()));
                return;
            }
            "log.file.path" | "filename" | "file" | "source" => {
                self.path = self.path.take().or_else(|| emitter_of_path(value));
                return;
            }
            _ => return,
        };
        if slot.is_none() && !value.is_empty() {
            *slot = Some(value.to_owned());
        }
    }

    /// What they say together. A name of the pod counts for more than the path of its log.
    pub(super) fn wrapping(self) -> Wrapping {
        let Self { namespace, pod, container, said, path } = self;
        let by_name = pod.map(|pod| Emitter { namespace: namespace.unwrap_or_default(), pod, container: container.unwrap_or_default() });
        Wrapping { emitter: by_name.or(path), ..said }
    }

    /// All pairs of an object of JSON texts and numbers.
    pub(super) fn of(pairs: &[u8]) -> Self {
        let mut labels = Self::default();
        super::members::each_member(pairs, |key, value| {
            if let (Ok(key), Some(value)) = (std::str::from_utf8(key), super::members::text_of(value)) {
                labels.note(key, &value);
            }
            true
        });
        labels
    }
}

/// A lossy view of bytes that should be text.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &str) {
        let shown = emitter_of_path(path).map_or_else(String::new, |found| format!("{}/{}/{}", found.namespace, found.pod, found.container));
        assert_eq!(shown, expected, "{path}");
    }

    #[test]
    fn paths_name_containers() {
        let id = "0123456789abcdef".repeat(4);
        let uid = "536ab69f-1b3c-4bd9-9ba4-274a56188409";
        check(&format!("/var/log/containers/web-0_shop_app-{id}.log"), "shop/web-0/app");
        check(&format!("/var/log/containers/a.b-0_shop_app-two-{id}.log.20260101.gz"), "shop/a.b-0/app-two");
        check(&format!("s3://logs/node-1/var/log/containers/web-0_shop_app-{id}.log"), "shop/web-0/app");
        check(&format!("kube.var.log.containers.web-0_shop_app-{id}.log"), "shop/web-0/app");
        check(&format!("/var/log/pods/shop_web-0_{uid}/app/0.log"), "shop/web-0/app");
        check(&format!("/var/log/pods/shop_web-0_{uid}/app/12.log.20260101-000000.gz"), "shop/web-0/app");
        check(&format!("/var/log/pods/kube-system_etcd_{}/etcd/0.log", "a".repeat(32)), "kube-system/etcd/etcd");
        check("/var/log/containers/web-0_shop_app-1234.log", "");
        check(&format!("/var/log/containers/web-0_shop_app-{id}"), "");
        check(&format!("/var/log/pods/shop_web-0_{uid}/app/audit.log"), "");
        check(&format!("/var/log/containers/We b_shop_app-{id}.log"), "");
        check("/var/log/kubernetes/audit/audit.log", "");
        check("0.log", "");
        check("", "");
    }
}
