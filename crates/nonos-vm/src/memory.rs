//! The memory window: words, and which pages were touched in this segment and written since the last root.
//!
//! Addresses outside the window, misaligned addresses and stores into the text give a [`Trap`] and change nothing.

use alloc::{vec, vec::Vec};
use nonos_image::{Image, PAGE_BYTES, PAGE_WORDS, Page, Tree};
use nonos_isa::Trap;

/// A page that this segment has not touched.
pub(crate) const UNTOUCHED: u8 = 0;
/// A page that this segment has touched; a store must still come through [`Memory::store`].
pub(crate) const TOUCHED: u8 = 1;
/// A page that this segment has written and that holds no text: stores may go straight to the words.
pub(crate) const WRITTEN: u8 = 2;

/// The pages of a window, as the fast interpreter marks them.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    state: &'a mut [u8],
    touched: &'a mut Vec<u32>,
    /// Pages that hold text.
    text: core::ops::Range<u32>,
}

impl Pages<'_> {
    /// What this segment did to a page; a page outside the window counts as untouched and cannot be marked.
    #[inline(always)]
    pub(crate) fn state(&self, page: usize) -> u8 {
        self.state.get(page).copied().unwrap_or(UNTOUCHED)
    }

    /// Marks a page. `false` where it cannot be: outside the window, or a write where there is text.
    pub(crate) fn mark(&mut self, page: usize, to: u8) -> bool {
        if to == WRITTEN && self.text.contains(&(page as u32)) {
            return false;
        }
        let Some(state) = self.state.get_mut(page) else { return false };
        if *state == UNTOUCHED {
            self.touched.push(page as u32);
        }
        *state = to;
        true
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// First byte of the window, a multiple of the page size.
    pub(crate) start: u32,
    /// The window, word by word.
    pub(crate) words: Vec<u32>,
    /// For each page of the window: [`UNTOUCHED`], [`TOUCHED`] or [`WRITTEN`].
    pub(crate) state: Vec<u8>,
    /// Pages touched in this segment, in the order of the first touch.
    touched: Vec<u32>,
    /// Whether a page was written since the tree was brought up to date.
    dirty: Vec<bool>,
    dirty_pages: Vec<u32>,
    /// The text, as offsets in bytes from the start of the window.
    text: core::ops::Range<u32>,
    tree: Tree,
}

impl Memory {
    pub(crate) fn new(image: &Image, tree: Tree) -> Self {
        let layout = image.layout();
        let bytes = layout.memory_end - layout.memory_start;
        let pages = (bytes / PAGE_BYTES) as usize;
        let mut memory = Self {
            start: layout.memory_start,
            words: vec![0; bytes as usize / 4],
            state: vec![UNTOUCHED; pages],
            touched: Vec::new(),
            dirty: vec![false; pages],
            dirty_pages: Vec::new(),
            text: layout.text_start - layout.memory_start..layout.text_end - layout.memory_start,
            tree,
        };
        for (number, page) in image.program().pages() {
            memory.page_mut(number - layout.memory_start / PAGE_BYTES).copy_from_slice(page);
        }
        memory
    }

    /// The words of the text.
    pub(crate) fn text_words(&self) -> &[u32] {
        &self.words[self.text.start as usize / 4..self.text.end as usize / 4]
    }

    /// Offset in the window of an access, or the trap that it is.
    pub(crate) fn offset(&self, address: u32, size: u32, misaligned: Trap, outside: Trap) -> Result<u32, Trap> {
        if !address.is_multiple_of(size) {
            return Err(misaligned);
        }
        // The window is whole pages, so an aligned access that starts inside ends inside.
        let offset = address.wrapping_sub(self.start);
        if offset as usize / 4 >= self.words.len() {
            return Err(outside);
        }
        Ok(offset)
    }

    /// Whether a store to this offset is a store into the text.
    pub(crate) fn is_text(&self, offset: u32) -> bool {
        self.text.contains(&(offset & !3))
    }

    /// The pages from `first` to `last` (numbers in the window) that this segment has not touched.
    pub(crate) fn untouched(&self, first: u32, last: u32) -> u32 {
        let range = &self.state[first as usize..=last as usize];
        range.iter().filter(|state| **state == UNTOUCHED).count() as u32
    }

    /// The words and the marks of the window, apart.
    pub(crate) fn parts(&mut self) -> (&mut [u32], Pages<'_>) {
        let text = self.text.start / PAGE_BYTES..self.text.end.div_ceil(PAGE_BYTES);
        (&mut self.words, Pages { state: &mut self.state, touched: &mut self.touched, text })
    }

    /// Marks a page as read.
    fn touch(&mut self, page: u32) {
        if self.state[page as usize] == UNTOUCHED {
            self.parts().1.mark(page as usize, TOUCHED);
        }
    }

    /// Marks a page as written.
    fn touch_written(&mut self, page: u32) {
        if !self.parts().1.mark(page as usize, WRITTEN) {
            // A page with text is never WRITTEN, so that every store to it is checked against the text.
            self.touch(page);
            self.mark_dirty(page);
        }
    }

    fn mark_dirty(&mut self, page: u32) {
        if !self.dirty[page as usize] {
            self.dirty[page as usize] = true;
            self.dirty_pages.push(page);
        }
    }

    /// The word at an offset that was checked; touches its page.
    pub(crate) fn load(&mut self, offset: u32) -> u32 {
        self.touch(offset / PAGE_BYTES);
        self.words[offset as usize / 4]
    }

    /// Puts a word at an offset that was checked; touches its page. Returns the word before.
    pub(crate) fn store(&mut self, offset: u32, word: u32) -> u32 {
        self.touch_written(offset / PAGE_BYTES);
        core::mem::replace(&mut self.words[offset as usize / 4], word)
    }

    /// Forgets what this segment touched: the next segment starts with every page untouched. Returns how many pages it
    /// wrote, those with text left out.
    pub(crate) fn end_segment(&mut self) -> u64 {
        let mut written = 0;
        for page in core::mem::take(&mut self.touched) {
            if self.state[page as usize] == WRITTEN {
                self.mark_dirty(page);
                written += 1;
            }
            self.state[page as usize] = UNTOUCHED;
        }
        written
    }

    /// The tree over the memory as it is at a segment boundary.
    pub(crate) fn tree(&mut self) -> &Tree {
        debug_assert!(self.touched.is_empty(), "a root is taken at a segment boundary");
        let mut pages = core::mem::take(&mut self.dirty_pages);
        pages.sort_unstable();
        let first = self.start / PAGE_BYTES;
        let words = &self.words;
        self.tree.update(pages.iter().map(|page| {
            let at = *page as usize * PAGE_WORDS;
            let page_words: &Page = words[at..at + PAGE_WORDS].try_into().expect("a page has that many words");
            (first + page, page_words)
        }));
        for page in pages {
            self.dirty[page as usize] = false;
        }
        &self.tree
    }

    /// The tree as it was when it was last brought up to date.
    pub(crate) const fn tree_as_it_was(&self) -> &Tree {
        &self.tree
    }

    /// The words of a page of the window.
    pub(crate) fn page(&self, page: u32) -> &Page {
        let at = page as usize * PAGE_WORDS;
        self.words[at..at + PAGE_WORDS].try_into().expect("a page has that many words")
    }

    fn page_mut(&mut self, page: u32) -> &mut [u32] {
        let at = page as usize * PAGE_WORDS;
        &mut self.words[at..at + PAGE_WORDS]
    }

    /// Puts a whole page, as a snapshot does.
    pub(crate) fn put_page(&mut self, page: u32, words: &Page) {
        self.page_mut(page).copy_from_slice(words);
        self.mark_dirty(page);
    }

    /// How many pages the window has.
    pub(crate) fn pages(&self) -> u32 {
        self.state.len() as u32
    }
}
