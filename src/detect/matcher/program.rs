//! Conditions as flat trees over predicates.

use std::ops::Range;

/// A node. Children are a range of one shared list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node {
    /// A predicate that the field indexes answer.
    Quick(u32),
    /// A predicate that is evaluated when asked for.
    Late(u32),
    Not(u32),
    And((u32, u32)),
    Or((u32, u32)),
    AtLeast(u32, (u32, u32)),
    /// What a filter asks, the same for many rules: the node, and its place among those that are remembered for an event.
    Shared(u32, u32),
}

/// What is known of the event at hand.
pub(super) trait Answers {
    fn quick(&self, predicate: u32) -> bool;
    fn late(&mut self, predicate: u32) -> bool;
    /// What a shared node came to, if it was asked.
    fn shared(&self, place: u32) -> Option<bool>;
    fn keep(&mut self, place: u32, holds: bool);
}

/// The conditions of all rules.
#[derive(Debug, Default)]
pub(super) struct Program {
    nodes: Vec<Node>,
    children: Vec<u32>,
    shared: u32,
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Program {
    pub(super) fn push(&mut self, node: Node) -> u32 {
        self.nodes.push(node);
        narrow(self.nodes.len() - 1)
    }

    fn list(&mut self, mut of: Vec<u32>) -> (u32, u32) {
        // What is cheap to ask comes first.
        of.sort_by_key(|node| self.weight(*node));
        let start = narrow(self.children.len());
        let len = narrow(of.len());
        self.children.append(&mut of);
        (start, len)
    }

    fn weight(&self, node: u32) -> u8 {
        match self.node(node) {
            Node::Quick(_) => 0,
            Node::Not(inner) | Node::Shared(inner, _) => self.weight(inner),
            Node::And(range) | Node::Or(range) | Node::AtLeast(_, range) => {
                self.children(range).iter().map(|child| self.weight(*child)).max().unwrap_or_default().max(1)
            }
            Node::Late(_) => 2,
        }
    }

    pub(super) fn and(&mut self, of: Vec<u32>) -> u32 {
        match of.as_slice() {
            [only] => *only,
            _ => {
                let range = self.list(of);
                self.push(Node::And(range))
            }
        }
    }

    pub(super) fn or(&mut self, of: Vec<u32>) -> u32 {
        match of.as_slice() {
            [only] => *only,
            _ => {
                let range = self.list(of);
                self.push(Node::Or(range))
            }
        }
    }

    pub(super) fn at_least(&mut self, count: usize, of: Vec<u32>) -> u32 {
        let range = self.list(of);
        self.push(Node::AtLeast(narrow(count), range))
    }

    pub(super) fn not(&mut self, of: u32) -> u32 {
        match self.node(of) {
            Node::Not(inner) => inner,
            _ => self.push(Node::Not(of)),
        }
    }

    /// A node that is evaluated once an event, whoever asks.
    pub(super) fn share(&mut self, of: u32) -> u32 {
        self.shared += 1;
        self.push(Node::Shared(of, self.shared - 1))
    }

    /// How many nodes are shared.
    pub(super) fn shared(&self) -> usize {
        self.shared as usize
    }

    pub(super) fn node(&self, at: u32) -> Node {
        self.nodes[at as usize]
    }

    pub(super) fn children(&self, (start, len): (u32, u32)) -> &[u32] {
        let range: Range<usize> = start as usize..start as usize + len as usize;
        &self.children[range]
    }

    /// Evaluates a node. Depth is bounded when conditions are compiled.
    pub(super) fn eval(&self, at: u32, of: &mut impl Answers) -> bool {
        match self.node(at) {
            Node::Quick(predicate) => of.quick(predicate),
            Node::Late(predicate) => of.late(predicate),
            Node::Not(inner) => !self.holds(inner, of),
            Node::And(range) => self.children(range).iter().all(|child| self.holds(*child, of)),
            Node::Or(range) => self.children(range).iter().any(|child| self.holds(*child, of)),
            Node::AtLeast(count, range) => {
                let mut held = 0;
                count == 0
                    || self.children(range).iter().any(|child| {
                        held += u32::from(self.holds(*child, of));
                        held >= count
                    })
            }
            Node::Shared(inner, place) => of.shared(place).unwrap_or_else(|| {
                let holds = self.eval(inner, of);
                of.keep(place, holds);
                holds
            }),
        }
    }

    /// As [`Program::eval`]: most nodes are one bit, and need no call.
    #[inline]
    fn holds(&self, at: u32, of: &mut impl Answers) -> bool {
        match self.node(at) {
            Node::Quick(predicate) => of.quick(predicate),
            _ => self.eval(at, of),
        }
    }

    /// As [`Program::eval`], where a predicate that does not hold may be hidden: `None` is what hangs on those.
    pub(super) fn judge(&self, at: u32, of: &mut impl Answers, hides: &impl Fn(u32) -> bool) -> Option<bool> {
        let known = |holds: bool, predicate: u32| (holds || !hides(predicate)).then_some(holds);
        match self.node(at) {
            Node::Quick(predicate) => known(of.quick(predicate), predicate),
            Node::Late(predicate) => known(of.late(predicate), predicate),
            Node::Not(inner) => self.judge(inner, of, hides).map(|holds| !holds),
            Node::Shared(inner, _) => self.judge(inner, of, hides),
            Node::And(range) => self.count(range, of, hides, range.1),
            Node::Or(range) => self.count(range, of, hides, 1),
            Node::AtLeast(count, range) => self.count(range, of, hides, count),
        }
    }

    /// Whether so many of the children hold.
    fn count(&self, range: (u32, u32), of: &mut impl Answers, hides: &impl Fn(u32) -> bool, wanted: u32) -> Option<bool> {
        let (mut held, mut hidden, mut left) = (0, 0, range.1);
        for child in self.children(range) {
            match self.judge(*child, of, hides) {
                Some(true) => held += 1,
                Some(false) => {}
                None => hidden += 1,
            }
            left -= 1;
            if held >= wanted || held + hidden + left < wanted {
                break;
            }
        }
        if held >= wanted {
            return Some(true);
        }
        (held + hidden + left < wanted).then_some(false)
    }

    /// Predicates below a node, in the order of the tree.
    pub(super) fn predicates(&self, at: u32, out: &mut Vec<u32>) {
        match self.node(at) {
            Node::Quick(predicate) | Node::Late(predicate) => out.push(predicate),
            Node::Not(inner) | Node::Shared(inner, _) => self.predicates(inner, out),
            Node::And(range) | Node::Or(range) | Node::AtLeast(_, range) => {
                self.children(range).iter().for_each(|child| self.predicates(*child, out));
            }
        }
    }
}
