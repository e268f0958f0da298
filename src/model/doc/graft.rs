//! Other paths for what a record says in other words. The text stays as it is; leaves are added to the list, or moved in it.

use super::{Container, Doc, Leaf, LeafKind, Path, SIDE, Span};

/// Builds up the changes to one record.
#[derive(Debug)]
pub struct Graft<'d> {
    doc: &'d mut Doc,
    side: String,
}

impl<'d> Graft<'d> {
    /// On this record.
    pub fn new(doc: &'d mut Doc) -> Self {
        let side = doc.side.as_ref().to_owned();
        Self { doc, side }
    }

    /// The record, as it is so far.
    pub fn doc(&self) -> &Doc {
        self.doc
    }

    fn span(&mut self, text: &str) -> Span {
        let start = u32::try_from(self.side.len()).unwrap_or(SIDE - 1);
        self.side.push_str(text);
        Span { start: start | SIDE, len: u32::try_from(text.len()).unwrap_or_default() }
    }

    /// Gives the object or list at this path another place: right below the record, by this name. Says whether there was one.
    pub fn move_up(&mut self, from: Path, to: &str) -> bool {
        let Some(root) = self.doc.containers.iter().skip(1).position(|container| container.path == from).map(|at| at + 1) else { return false };
        let key = self.span(to);
        let path = Path::ROOT.child(to);
        // Children come after their parents.
        let mut is_moved = vec![false; self.doc.containers.len()];
        if let (Some(container), Some(moved)) = (self.doc.containers.get_mut(root), is_moved.get_mut(root)) {
            (container.key, container.path, container.parent, *moved) = (key, path, 0, true);
        }
        for at in root + 1..self.doc.containers.len() {
            let Some(container) = self.doc.containers.get(at).copied() else { continue };
            if is_moved.get(container.parent as usize) == Some(&true) {
                let path = self.path_below(container.parent, container.key);
                if let (Some(container), Some(moved)) = (self.doc.containers.get_mut(at), is_moved.get_mut(at)) {
                    (container.path, *moved) = (path, true);
                }
            }
        }
        for at in 0..self.doc.leaves.len() {
            let Some(leaf) = self.doc.leaves.get(at).copied() else { continue };
            if is_moved.get(leaf.parent as usize) == Some(&true) {
                let path = self.path_below(leaf.parent, leaf.key);
                if let Some(leaf) = self.doc.leaves.get_mut(at) {
                    leaf.path = path;
                }
            }
        }
        true
    }

    fn path_below(&self, parent: u32, key: Span) -> Path {
        let Some(parent) = self.doc.containers.get(parent as usize) else { return Path::ROOT };
        if parent.is_array { parent.path } else { parent.path.child(self.doc.slice(key)) }
    }

    /// Adds a text at `group.key`, or at `key` where the group is empty.
    pub fn text(&mut self, group: &str, key: &str, text: &str) {
        self.add(LeafKind::Text, group, key, text);
    }

    /// Adds a number, as JSON spells it.
    pub fn number(&mut self, group: &str, key: &str, number: &str) {
        self.add(LeafKind::Number, group, key, number);
    }

    fn add(&mut self, kind: LeafKind, group: &str, key: &str, text: &str) {
        let parent = if group.is_empty() { 0 } else { self.group(group) };
        let (path, outer) = match self.doc.containers.get(parent as usize) {
            Some(container) => (container.path.child(key), container.item),
            None => return,
        };
        let (key, value) = (self.span(key), self.span(text));
        self.doc.leaves.push(Leaf { path, parent, item: outer, kind, key, value, json_start: 0 });
    }

    /// The object of this name right below the record, made if there is none.
    fn group(&mut self, name: &str) -> u32 {
        let path = Path::ROOT.child(name);
        let at = self.doc.containers.iter().position(|container| container.path == path && container.parent == 0).unwrap_or_else(|| {
            let key = self.span(name);
            let value = Span::default();
            self.doc.containers.push(Container { path, parent: 0, item: 0, is_array: false, key, value });
            self.doc.containers.len() - 1
        });
        u32::try_from(at).unwrap_or_default()
    }
}

impl Drop for Graft<'_> {
    fn drop(&mut self) {
        self.doc.side = std::mem::take(&mut self.side).into();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Parser};
    use super::*;

    /// Every leaf by its path, after the change.
    fn check(json: &str, change: impl FnOnce(&mut Graft<'_>), expected: &str) {
        let mut doc = Parser::new(Limits::default()).parse(json.as_bytes(), None).unwrap();
        change(&mut Graft::new(&mut doc));
        let shown: Vec<String> = doc
            .leaves()
            .iter()
            .map(|leaf| {
                let mut path = String::new();
                doc.write_path(leaf, &mut path);
                // A name with dots is one key: every spelling of it finds the leaf.
                assert!(Path::spellings(&path).contains(&leaf.path), "{path}");
                format!("{path}={}", doc.value(leaf).text)
            })
            .collect();
        assert_eq!(shown.join(" "), expected, "{json}");
        assert_eq!(doc.text(), json);
    }

    #[test]
    fn what_is_moved_is_found_at_its_new_place() {
        let json = r#"{"p":{"request":{"a":{"b":[{"c":1},{"c":"x\ny"}]},"e.f":true},"name":"n"},"labels":{"k.io/d":"allow"}}"#;
        check(json, |_| {}, "p.request.a.b.c=1 p.request.a.b.c=x\ny p.request.e.f=true p.name=n labels.k.io/d=allow");
        check(
            json,
            |graft| {
                assert!(graft.move_up(Path::of(["p", "request"]), "requestObject") && graft.move_up(Path::of(["labels"]), "annotations"));
                assert!(!graft.move_up(Path::of(["p", "response"]), "responseObject"));
            },
            "requestObject.a.b.c=1 requestObject.a.b.c=x\ny requestObject.e.f=true p.name=n annotations.k.io/d=allow",
        );
    }

    #[test]
    fn what_is_added_stands_beside() {
        check(
            r#"{"objectRef":{"name":"x\ty"}}"#,
            |graft| {
                graft.text("", "verb", "get");
                graft.text("objectRef", "resource", "pods");
                graft.number("responseStatus", "code", "403");
                graft.text("responseStatus", "reason", "Forbidden");
            },
            "objectRef.name=x\ty verb=get objectRef.resource=pods responseStatus.code=403 responseStatus.reason=Forbidden",
        );
    }
}
