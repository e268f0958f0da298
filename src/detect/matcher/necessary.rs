//! What must hold of a whole record for anything to hold of an element of one of its lists: by it a rule is reached, and passed over.

use super::compile::Builder;
use crate::detect::rule::{Condition, Detection, Each, Elements, Item, Selection, Test};

impl Builder {
    /// The node, if anything is sure.
    pub(super) fn necessary(&mut self, elements: &Elements) -> Result<Option<u32>, String> {
        if elements.each == Each::AllOrEmpty {
            return Ok(None);
        }
        self.necessary_condition(&elements.detection.condition, &elements.detection)
    }

    fn necessary_condition(&mut self, condition: &Condition, detection: &Detection) -> Result<Option<u32>, String> {
        Ok(match condition {
            Condition::Selection(at) => match detection.selections.get(*at) {
                Some((_, selection)) => self.necessary_selection(selection)?,
                None => None,
            },
            Condition::And(of) => {
                let known: Vec<Option<u32>> = of.iter().map(|inner| self.necessary_condition(inner, detection)).collect::<Result<_, _>>()?;
                self.every(known.into_iter().flatten().collect())
            }
            Condition::Or(of) => {
                let known: Vec<Option<u32>> = of.iter().map(|inner| self.necessary_condition(inner, detection)).collect::<Result<_, _>>()?;
                known.into_iter().collect::<Option<Vec<u32>>>().map(|known| self.tables.program.or(known))
            }
            Condition::Not(_) | Condition::AtLeast(..) => None,
        })
    }

    fn necessary_selection(&mut self, selection: &Selection) -> Result<Option<u32>, String> {
        Ok(match selection {
            Selection::All(items) => {
                let mut known = Vec::new();
                for item in items.iter().filter(|item| is_necessary(item)) {
                    match item.tests.as_slice() {
                        [Test::Elements(inner)] => known.extend(self.necessary(inner)?),
                        _ => known.push(self.item(item, &mut Vec::new())?),
                    }
                }
                self.every(known)
            }
            Selection::Any(of) => {
                let known: Vec<Option<u32>> = of.iter().map(|inner| self.necessary_selection(inner)).collect::<Result<_, _>>()?;
                known.into_iter().collect::<Option<Vec<u32>>>().map(|known| self.tables.program.or(known))
            }
            Selection::Keywords { .. } => None,
        })
    }

    fn every(&mut self, of: Vec<u32>) -> Option<u32> {
        (!of.is_empty()).then(|| self.tables.program.and(of))
    }
}

/// What must hold of the whole record for an item to hold of any of its elements: the item itself, if it asks for something that is there.
fn is_necessary(item: &Item) -> bool {
    let asks = |test: &Test| match test {
        Test::Null | Test::Exists(false) => false,
        Test::Elements(elements) => elements.each != Each::AllOrEmpty,
        _ => true,
    };
    !item.negated && item.tests.iter().all(asks)
}
