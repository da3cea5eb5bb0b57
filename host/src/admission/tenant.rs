//! Whose call it is, as far as fairness is concerned.

use std::fmt;

/// One caller: all calls with one key are one tenant's, whoever uses it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tenant(u64);

impl Tenant {
    /// Everybody, where there are no keys.
    pub const ANYONE: Self = Self(0);

    /// The one with the key of this digest. Eight bytes of it tell keys apart, and a clash would cost no more than a
    /// shared turn.
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *digest;
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    #[cfg(test)]
    pub(super) const fn numbered(number: u64) -> Self {
        Self(number)
    }

    #[cfg(test)]
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// Part of a key's digest is nobody's business.
impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tenant")
    }
}
