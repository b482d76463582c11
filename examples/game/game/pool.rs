//! A list with a fixed capacity: nothing is allocated and nothing can fail.
//! What finds no room is dropped, which a game can afford.
//!
//! SPDX-License-Identifier: MIT

pub struct Pool<T: Copy, const CAPACITY: usize> {
    /// The first `len` hold an item.
    slots: [Option<T>; CAPACITY],
    len: usize,
}

impl<T: Copy, const CAPACITY: usize> Pool<T, CAPACITY> {
    pub const fn new() -> Self {
        Pool { slots: [None; CAPACITY], len: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }

    pub fn get(&self, index: usize) -> Option<T> {
        if index < self.len {
            self.slots.get(index).copied().flatten()
        } else {
            None
        }
    }

    pub fn push(&mut self, item: T) {
        if let Some(slot) = self.slots.get_mut(self.len) {
            *slot = Some(item);
            self.len += 1;
        }
    }

    /// Lets `keep` change each item, and drops those that it says no to; the
    /// others stay in order.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let len = self.len;
        self.len = 0;
        for index in 0..len {
            if let Some(Some(mut item)) = self.slots.get(index).copied() {
                if keep(&mut item) {
                    self.push(item);
                }
            }
        }
    }
}
