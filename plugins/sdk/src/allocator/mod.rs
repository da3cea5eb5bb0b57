//! The memory of a plugin that lives for one call.
//!
//! Nearly everything is allocated, used and forgotten with its instance, so that the next free byte is nearly always the
//! right place: no search, no coalescing, and the pages that a call touches lie side by side. The memory that a module
//! begins with comes first; it is made large enough that a small call never asks for more (`--initial-heap`, which
//! `ai-api plugin build` sets).
//!
//! A long stream frees as much as it allocates, and so does an instance that serves many calls. What is freed is kept by
//! its size and used again for the next of that size: memory is bounded by how much of each size is in use at once.
//!
//! An author gets this allocator with the SDK; `default-features = false` keeps Rust's own.

#![allow(unsafe_code, reason = "an allocator hands out memory by address")]

mod heap;

// Elsewhere the memory isn't all ours: WASI brings an allocator of its own, and there may be threads.
#[cfg(all(target_arch = "wasm32", target_os = "unknown", not(target_feature = "atomics"), feature = "allocator"))]
mod global {
    use core::arch::wasm32::{memory_grow, memory_size};
    use std::alloc::{GlobalAlloc, Layout};
    use std::cell::UnsafeCell;

    use super::heap::{Heap, Memory};

    const PAGE_BYTES: usize = 1 << 16;

    /// So much is asked for at most beyond what is needed.
    const MOST_SPARE_BYTES: usize = 4 << 20;

    unsafe extern "C" {
        /// Where the linker's own data ends. Only its address means something.
        static __heap_base: u8;
    }

    /// The module's linear memory, behind the linker's data.
    struct Linear;

    impl Memory for Linear {
        fn begin(&mut self) -> (usize, usize) {
            ((&raw const __heap_base).addr(), memory_size(0) * PAGE_BYTES)
        }

        fn grow(&mut self, end: usize, bytes: usize) -> Option<usize> {
            // Half as much again, so that a large body isn't asked for page by page; no more than needed at a limit.
            let wanted = bytes.max((end / 2).min(MOST_SPARE_BYTES));
            [wanted, bytes].into_iter().find_map(|bytes| {
                let pages = bytes.div_ceil(PAGE_BYTES);
                let grown = end.checked_add(pages.checked_mul(PAGE_BYTES)?)?;
                // Somebody else who grew the memory would have what lies behind `end`.
                (memory_grow(0, pages).checked_mul(PAGE_BYTES) == Some(end)).then_some(grown)
            })
        }
    }

    struct Global(UnsafeCell<Heap<Linear>>);

    // SAFETY: the target has no threads.
    unsafe impl Sync for Global {}

    #[global_allocator]
    static GLOBAL: Global = Global(UnsafeCell::new(Heap::new(Linear)));

    // SAFETY: `Heap` keeps the contract; nothing that it calls allocates, so that no second reference to it exists.
    unsafe impl GlobalAlloc for Global {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            unsafe { &mut *self.0.get() }.alloc(layout)
        }

        unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
            unsafe { (*self.0.get()).dealloc(block) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            unsafe { (*self.0.get()).realloc(block, layout, size) }
        }
    }
}
