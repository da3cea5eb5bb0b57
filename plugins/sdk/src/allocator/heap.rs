//! Blocks of memory, one behind the other, and lists of those that were freed.

use std::alloc::Layout;

/// Where a heap has its memory from.
pub(super) trait Memory {
    /// Its first byte, and the one behind its last.
    fn begin(&mut self) -> (usize, usize);

    /// Adds `bytes` or more behind `end`. Returns the new end; none if there is no more.
    fn grow(&mut self, end: usize, bytes: usize) -> Option<usize>;
}

/// Blocks are as many of these, their head included.
const UNIT: usize = 16;

/// Stands before what is handed out and says which class the block is of.
const HEAD: usize = 8;

/// Blocks of up to so many units have a class of their own; beyond, there are four for each doubling.
const SMALL: usize = 32;

/// The class of 4 GiB is the last one.
const CLASSES: usize = 128;

/// A larger block can't exist.
const MOST_UNITS: usize = 1 << 28;

/// The memory of one instance.
#[derive(Debug)]
pub(super) struct Heap<M> {
    memory: M,
    /// Behind the last block.
    next: usize,
    /// Behind the memory.
    end: usize,
    /// For each class the block that was freed last, 0 for none. Each has the one before it inside.
    free: [usize; CLASSES],
}

/// The class of blocks of `units` or a few more, and how many those are.
const fn class_of(units: usize) -> (usize, usize) {
    if units <= SMALL {
        return (units, units);
    }
    let step = 1 << ((units - 1).ilog2() - 2);
    let units = (units + step - 1) & !(step - 1);
    let top = units.ilog2() as usize;
    let quarter = (units >> (top - 2)) & 3;
    (SMALL + (top - SMALL.ilog2() as usize) * 4 + quarter, units)
}

/// How many units the blocks of a class have.
const fn units_of(class: usize) -> usize {
    if class <= SMALL {
        return class;
    }
    let (doublings, quarter) = ((class - SMALL) / 4, (class - SMALL) % 4);
    (SMALL << doublings) + ((SMALL / 4) << doublings) * quarter
}

impl<M: Memory> Heap<M> {
    pub(super) const fn new(memory: M) -> Self {
        Self { memory, next: 0, end: 0, free: [0; CLASSES] }
    }

    /// A block for `layout`, null if there is no memory left.
    #[inline]
    pub(super) fn alloc(&mut self, layout: Layout) -> *mut u8 {
        if layout.align() > UNIT {
            return self.alloc_aligned(layout);
        }
        let Some((class, units)) = class_for(layout.size()) else { return std::ptr::null_mut() };
        match self.free.get_mut(class) {
            Some(free) if *free != 0 => {
                let block = std::ptr::with_exposed_provenance_mut::<u8>(*free);
                // SAFETY: the block was freed, and `dealloc` put the address of the next one inside.
                *free = unsafe { block.cast::<usize>().read() };
                block
            }
            _ => self.alloc_new(class, units),
        }
    }

    /// A block behind all others.
    #[inline]
    fn alloc_new(&mut self, class: usize, units: usize) -> *mut u8 {
        let size = units * UNIT;
        if self.end - self.next < size && !self.make_room(size) {
            return std::ptr::null_mut();
        }
        let head = self.next;
        self.next += size;
        let block = std::ptr::with_exposed_provenance_mut::<u8>(head + HEAD);
        // SAFETY: from `head` on, `size` bytes were nobody's and are inside the memory.
        unsafe { block.sub(HEAD).cast::<usize>().write(class) };
        block
    }

    /// Nobody asks for such blocks but for buffers of vectors and the like: the bytes before them are lost.
    #[cold]
    fn alloc_aligned(&mut self, layout: Layout) -> *mut u8 {
        let Some((class, units)) = class_for(layout.size()) else { return std::ptr::null_mut() };
        if self.end - self.next < units * UNIT + layout.align() && !self.make_room(units * UNIT + layout.align()) {
            return std::ptr::null_mut();
        }
        self.next = (self.next + HEAD).next_multiple_of(layout.align()) - HEAD;
        self.alloc_new(class, units)
    }

    /// Frees a block.
    ///
    /// # Safety
    /// It is one of this heap's, and nobody's any more.
    #[inline]
    pub(super) unsafe fn dealloc(&mut self, block: *mut u8) {
        // SAFETY: every block has its class before it.
        let class = unsafe { block.sub(HEAD).cast::<usize>().read() };
        let head = block.expose_provenance() - HEAD;
        if head + units_of(class) * UNIT == self.next {
            self.next = head;
        } else if let Some(free) = self.free.get_mut(class) {
            // SAFETY: the smallest block has room for an address.
            unsafe { block.cast::<usize>().write(*free) };
            *free = head + HEAD;
        }
    }

    /// A block of `size` bytes with what `block` holds; `block` itself if it can be. Null if there is no memory left.
    ///
    /// # Safety
    /// `block` is one of this heap's, for `layout`. Only what is returned may be used then, unless that is null.
    #[inline]
    pub(super) unsafe fn realloc(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: every block has its class before it.
        let own = units_of(unsafe { block.sub(HEAD).cast::<usize>().read() });
        let Some((class, units)) = class_for(size) else { return std::ptr::null_mut() };
        let head = block.expose_provenance() - HEAD;
        if head + own * UNIT == self.next {
            // The last one grows and shrinks where it is.
            if units <= own || self.end - self.next >= (units - own) * UNIT || self.make_room((units - own) * UNIT) {
                self.next = head + units * UNIT;
                // SAFETY: as above.
                unsafe { block.sub(HEAD).cast::<usize>().write(class) };
                return block;
            }
            return std::ptr::null_mut();
        }
        if units <= own {
            return block;
        }
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return std::ptr::null_mut() };
        let grown = self.alloc(wanted);
        if !grown.is_null() {
            // SAFETY: the new block is larger and another one; the old one is the caller's to give up.
            unsafe {
                std::ptr::copy_nonoverlapping(block, grown, layout.size());
                self.dealloc(block);
            }
        }
        grown
    }

    /// Gets memory for `bytes` behind the last block. False if there is none.
    #[cold]
    fn make_room(&mut self, bytes: usize) -> bool {
        if self.end == 0 {
            let (start, end) = self.memory.begin();
            // What is handed out lies behind a head, at a multiple of a unit.
            (self.next, self.end) = ((start + HEAD).next_multiple_of(UNIT) - HEAD, end);
            if end.saturating_sub(self.next) >= bytes {
                return true;
            }
            self.end = end.max(self.next);
        }
        let missing = bytes - (self.end - self.next);
        match self.memory.grow(self.end, missing) {
            Some(end) => {
                self.end = end;
                true
            }
            None => false,
        }
    }
}

/// The class of blocks that hold `size` bytes behind their head.
fn class_for(size: usize) -> Option<(usize, usize)> {
    let units = size.checked_add(HEAD)?.div_ceil(UNIT);
    (units <= MOST_UNITS).then(|| class_of(units))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory that grows up to its limit.
    struct Arena {
        bytes: Vec<u128>,
        begun: usize,
    }

    impl Arena {
        fn new(begun: usize, most: usize) -> Self {
            Self { bytes: vec![0; most / 16], begun }
        }
    }

    impl Memory for Arena {
        fn begin(&mut self) -> (usize, usize) {
            let start = self.bytes.as_mut_ptr().expose_provenance();
            (start + 3, start + self.begun)
        }

        fn grow(&mut self, end: usize, bytes: usize) -> Option<usize> {
            let limit = self.bytes.as_ptr().addr() + self.bytes.len() * 16;
            (end + bytes <= limit).then_some(end + bytes)
        }
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// Blocks in use, each filled with a byte of its own.
    #[derive(Default)]
    struct Blocks(Vec<(*mut u8, Layout, u8)>);

    impl Blocks {
        fn add(&mut self, heap: &mut Heap<Arena>, layout: Layout) {
            let block = heap.alloc(layout);
            assert!(!block.is_null());
            assert_eq!(block.addr() % layout.align().max(16), 0);
            self.0.push((block, layout, 0));
            self.fill(self.0.len() - 1);
        }

        fn fill(&mut self, index: usize) {
            let (block, layout, byte) = &mut self.0[index];
            *byte = index as u8 ^ layout.size() as u8;
            unsafe { block.write_bytes(*byte, layout.size()) };
        }

        fn check(&self, index: usize) {
            let (block, layout, byte) = self.0[index];
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            assert!(bytes.iter().all(|found| *found == byte), "a block was written to by another's owner");
        }

        fn remove(&mut self, heap: &mut Heap<Arena>, index: usize) {
            self.check(index);
            let (block, ..) = self.0.swap_remove(index);
            unsafe { heap.dealloc(block) };
        }

        fn resize(&mut self, heap: &mut Heap<Arena>, index: usize, size: usize) {
            let (block, layout, byte) = self.0[index];
            let resized = unsafe { heap.realloc(block, layout, size) };
            assert!(!resized.is_null());
            let kept = unsafe { std::slice::from_raw_parts(resized, size.min(layout.size())) };
            assert!(kept.iter().all(|found| *found == byte), "a block lost what it held");
            self.0[index] = (resized, Layout::from_size_align(size, layout.align()).unwrap(), byte);
            self.fill(index);
        }
    }

    #[test]
    fn classes_and_their_sizes_agree() {
        let mut last = 0;
        for units in (1..5000).chain([1 << 20, (1 << 20) + 1, MOST_UNITS]) {
            let (class, rounded) = class_of(units);
            assert_eq!(units_of(class), rounded, "{units}");
            assert!(rounded >= units && rounded * 4 <= units * 5 + 16, "{units} become {rounded}");
            assert!(class >= last && class < CLASSES, "{units}");
            last = class;
        }
    }

    #[test]
    fn no_block_overlaps_another_whatever_is_done_with_them() {
        let mut heap = Heap::new(Arena::new(4 << 10, 64 << 20));
        let mut blocks = Blocks::default();
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (what, number) = (state >> 60, (state >> 33) as usize);
            let size = if what & 1 == 0 { number % 200 } else { number % 5000 };
            match what >> 1 {
                0..3 => blocks.add(&mut heap, layout(size + 1)),
                3 => blocks.add(&mut heap, Layout::from_size_align(size + 1, 1 << (number % 8)).unwrap()),
                4 | 5 if !blocks.0.is_empty() => blocks.resize(&mut heap, number % blocks.0.len(), size + 1),
                _ if !blocks.0.is_empty() => blocks.remove(&mut heap, number % blocks.0.len()),
                _ => {}
            }
        }
        (0..blocks.0.len()).for_each(|index| blocks.check(index));
    }

    #[test]
    fn a_long_stream_needs_no_more_memory_than_a_short_one() {
        let mut heap = Heap::new(Arena::new(4 << 10, 16 << 20));
        let mut kept = Blocks::default();
        kept.add(&mut heap, layout(300));
        let mut ends = Vec::new();
        for round in 0..100_000_usize {
            let mut passing = Blocks::default();
            // An event comes, a chunk is built, grows, is cut to its size and given away.
            for size in [40, 150 + round % 90, 24, 12] {
                passing.add(&mut heap, layout(size));
            }
            passing.add(&mut heap, layout(128));
            passing.add(&mut heap, layout(16));
            passing.resize(&mut heap, 4, 400);
            passing.resize(&mut heap, 4, 180 + round % 70);
            for _ in 0..6 {
                passing.remove(&mut heap, round % passing.0.len());
            }
            if round % 1000 == 999 {
                ends.push(heap.end - heap.memory.bytes.as_ptr().addr());
            }
        }
        assert_eq!(ends.first(), ends.last());
        assert!(ends.last().is_some_and(|end| *end < 16 << 10), "{ends:?}");
    }

    #[test]
    fn the_last_block_grows_where_it_is() {
        let mut heap = Heap::new(Arena::new(1 << 10, 1 << 20));
        let first = heap.alloc(layout(10));
        let mut size = 10;
        while size < 500_000 {
            assert_eq!(unsafe { heap.realloc(first, layout(size), size * 2) }, first);
            size *= 2;
        }
        unsafe { heap.dealloc(first) };
        assert_eq!(heap.alloc(layout(10)), first);
    }

    #[test]
    fn no_memory_is_told_and_what_is_there_stays_usable() {
        let mut heap = Heap::new(Arena::new(1 << 10, 8 << 10));
        assert!(heap.alloc(layout(10_000)).is_null());
        assert!(heap.alloc(layout(isize::MAX as usize - 8)).is_null());
        let block = heap.alloc(layout(4000));
        assert!(!block.is_null());
        assert!(unsafe { heap.realloc(block, layout(4000), 10_000) }.is_null());
        unsafe { heap.dealloc(block) };
        assert_eq!(heap.alloc(layout(4000)), block);
    }
}
