//! Looks for bytes in the whole linear memory of this instance: heap, stack, statics and what was freed.

/// What the bytes that are looked for are veiled with, so that the search itself puts none of them into the memory.
const VEIL: u8 = 0x55;

/// Something to look for, veiled.
#[derive(Debug)]
pub struct Needle {
    veiled: Vec<u8>,
}

impl Needle {
    /// Of hexadecimal digits, two a veiled byte.
    pub fn of_hex(hex: &str) -> Option<Self> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = hex.trim().as_bytes().chunks(2);
        let veiled: Option<Vec<u8>> =
            pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect();
        veiled.filter(|veiled| veiled.len() >= 8).map(|veiled| Self { veiled })
    }

    /// Whether it is anywhere in the memory.
    pub fn is_in_memory(&self) -> bool {
        let end = memory_bytes().saturating_sub(self.veiled.len());
        (0..end).any(|at| self.veiled.iter().enumerate().all(|(index, veiled)| byte(at + index) ^ VEIL == *veiled))
    }
}

/// The size of the memory.
pub fn memory_bytes() -> usize {
    #[cfg(target_arch = "wasm32")]
    {
        core::arch::wasm32::memory_size(0) << 16
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        0
    }
}

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "memory that no reference leads to is what the search is for")]
fn byte(at: usize) -> u8 {
    // SAFETY: `at` is below the memory's size, all of which a wasm module may read, and no other thread writes.
    unsafe { core::ptr::read_volatile(at as *const u8) }
}

#[cfg(not(target_arch = "wasm32"))]
fn byte(_: usize) -> u8 {
    0
}
