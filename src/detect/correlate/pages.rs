//! A list in pages: a long one grows without being copied, takes in an element anywhere at the cost of a page, and has little room that it does not fill.

use std::collections::VecDeque;
use std::ops::{Bound, Index, IndexMut, RangeBounds};

/// Elements of a page.
const PAGE: usize = 64;

#[derive(Debug)]
struct More<T>(VecDeque<VecDeque<T>>);

/// Elements in order. Most lists are short, and are no more than their first page.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    /// The first page. It may hold fewer than the others; nothing only if there are none.
    head: VecDeque<T>,
    /// Those after it, all full but the last, which is not empty.
    more: Option<Box<More<T>>>,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { head: VecDeque::new(), more: None }
    }
}

impl<T> FromIterator<T> for Pages<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut pages = Self::default();
        elements.into_iter().for_each(|element| pages.push_back(element));
        pages
    }
}

impl<T> Index<usize> for Pages<T> {
    type Output = T;
    fn index(&self, at: usize) -> &T {
        match at.checked_sub(self.head.len()) {
            None => &self.head[at],
            Some(at) => &self.more()[at / PAGE][at % PAGE],
        }
    }
}

impl<T> IndexMut<usize> for Pages<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        match at.checked_sub(self.head.len()) {
            None => &mut self.head[at],
            Some(at) => &mut self.more_mut()[at / PAGE][at % PAGE],
        }
    }
}

/// Room for one more, in small steps: most lists stay short, and there are many. Of what takes 64 bytes allocators waste nothing so.
fn grow<T>(page: &mut VecDeque<T>) {
    let len = page.len();
    if len == page.capacity() {
        page.reserve_exact(if len < 8 { len.max(2) } else { (len / 4).max(4) });
    }
}

impl<T> Pages<T> {
    fn more(&self) -> &VecDeque<VecDeque<T>> {
        match &self.more {
            Some(more) => &more.0,
            None => const { &VecDeque::new() },
        }
    }

    fn more_mut(&mut self) -> &mut VecDeque<VecDeque<T>> {
        &mut self.more.get_or_insert_with(|| Box::new(More(VecDeque::new()))).0
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match &self.more {
            None => self.head.len(),
            Some(more) => self.head.len() + more.0.len().saturating_sub(1) * PAGE + more.0.back().map_or(0, VecDeque::len),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Elements that it has room for, about.
    pub(crate) fn capacity(&self) -> usize {
        self.head.capacity() + self.more.as_ref().map_or(0, |more| more.0.len() * PAGE)
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        match at.checked_sub(self.head.len()) {
            None => self.head.get(at),
            Some(at) => self.more().get(at / PAGE)?.get(at % PAGE),
        }
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.head.front()
    }

    #[inline]
    pub(crate) fn back(&self) -> Option<&T> {
        match &self.more {
            None => self.head.back(),
            Some(more) => more.0.back().and_then(VecDeque::back).or(self.head.back()),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.head.iter().chain(self.more().iter().flatten())
    }

    /// Those at these places.
    pub(crate) fn range(&self, places: impl RangeBounds<usize>) -> impl Iterator<Item = &T> {
        let from = match places.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let to = match places.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(to) => *to,
            Bound::Unbounded => self.len(),
        };
        (from..to).filter_map(|at| self.get(at))
    }

    /// The first place where this does not hold, if it holds for all before and none after.
    pub(crate) fn partition_point(&self, mut holds: impl FnMut(&T) -> bool) -> usize {
        let more = self.more();
        match more.partition_point(|page| page.front().is_some_and(&mut holds)).checked_sub(1) {
            None => self.head.partition_point(holds),
            Some(page) => self.head.len() + page * PAGE + more[page].partition_point(holds),
        }
    }

    #[inline]
    pub(crate) fn push_back(&mut self, element: T) {
        if self.more.is_none() && self.head.len() < PAGE {
            grow(&mut self.head);
            self.head.push_back(element);
            return;
        }
        let more = self.more_mut();
        match more.back_mut().filter(|page| page.len() < PAGE) {
            Some(page) => {
                grow(page);
                page.push_back(element);
            }
            None => {
                more.push_back(VecDeque::with_capacity(PAGE));
                if let Some(page) = more.back_mut() {
                    page.push_back(element);
                }
            }
        }
    }

    /// Puts an element at this place, which is no farther than the end.
    pub(crate) fn insert(&mut self, at: usize, element: T) {
        if at >= self.len() {
            return self.push_back(element);
        }
        // What falls off the end of a page comes first in the next.
        let (mut carried, mut place, mut page) = match at.checked_sub(self.head.len()) {
            None => (Self::put(&mut self.head, at, element), 0, 0),
            Some(at) => (Some(element), at % PAGE, at / PAGE),
        };
        while let Some(element) = carried {
            let more = self.more_mut();
            let Some(next) = more.get_mut(page) else { return more.push_back(VecDeque::from([element])) };
            carried = Self::put(next, place, element);
            (place, page) = (0, page + 1);
        }
    }

    /// Puts an element in a page, and takes out the last if it was full.
    fn put(page: &mut VecDeque<T>, at: usize, element: T) -> Option<T> {
        let last = if page.len() >= PAGE { page.pop_back() } else { None };
        grow(page);
        page.insert(at, element);
        last
    }

    pub(crate) fn remove(&mut self, at: usize) -> Option<T> {
        if at >= self.len() {
            return None;
        }
        let Some(at) = at.checked_sub(self.head.len()) else {
            let removed = self.head.remove(at);
            self.tidy();
            return removed;
        };
        let more = self.more_mut();
        let page = at / PAGE;
        let removed = more.get_mut(page)?.remove(at % PAGE);
        for next in page + 1..more.len() {
            let first = more[next].pop_front();
            more[next - 1].extend(first);
        }
        if more.back().is_some_and(VecDeque::is_empty) {
            more.pop_back();
        }
        self.tidy();
        removed
    }

    /// Takes out the first so many, and calls for each.
    pub(crate) fn drop_front(&mut self, mut count: usize, mut each: impl FnMut(&T)) {
        while count > 0 && !self.head.is_empty() {
            let here = count.min(self.head.len());
            self.head.drain(..here).for_each(|element| each(&element));
            count -= here;
            self.tidy();
        }
    }

    /// The head is empty only if all is.
    fn tidy(&mut self) {
        if let Some(more) = &mut self.more {
            if self.head.is_empty()
                && let Some(first) = more.0.pop_front()
            {
                self.head = first;
            }
            if more.0.is_empty() {
                self.more = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_a_list_without_pages(steps in prop::collection::vec((0_u8..8, any::<u16>()), 0..600), first in 0_usize..400) {
            let mut list: Vec<u16> = (0..first).map(|at| at as u16).collect();
            let mut pages: Pages<u16> = list.iter().copied().collect();
            for (what, number) in steps {
                let at = usize::from(number) % (list.len() + 1);
                match what {
                    0..=2 => {
                        list.push(number);
                        pages.push_back(number);
                    }
                    3..=5 => {
                        list.insert(at, number);
                        pages.insert(at, number);
                    }
                    6 => prop_assert_eq!(pages.remove(at), (at < list.len()).then(|| list.remove(at))),
                    _ => {
                        let mut dropped = Vec::new();
                        pages.drop_front(at / 8, |number| dropped.push(*number));
                        prop_assert_eq!(dropped, list.drain(..at / 8).collect::<Vec<u16>>());
                    }
                }
                prop_assert_eq!((pages.len(), pages.is_empty()), (list.len(), list.is_empty()));
                prop_assert_eq!((pages.front(), pages.back(), pages.get(at)), (list.first(), list.last(), list.get(at)));
            }
            prop_assert!(pages.iter().eq(&list));
            prop_assert!(pages.range(list.len() / 3..).eq(&list[list.len() / 3..]));
            prop_assert!((0..list.len()).all(|at| pages[at] == list[at]));
            list.sort_unstable();
            let pages: Pages<u16> = list.iter().copied().collect();
            for bound in [0, 100, 30_000, u16::MAX] {
                prop_assert_eq!(pages.partition_point(|number| *number < bound), list.partition_point(|number| *number < bound));
            }
            prop_assert!(pages.capacity() <= list.len() + 2 * PAGE);
        }
    }
}
