//! Numbers that are drawn, from a seed that repeats them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Xorshift, from the seed that `RMI_TEST_SEED` says, or another each time, which is printed.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Begins with the seed.
    ///
    /// # Panics
    ///
    /// `RMI_TEST_SEED` is no number.
    #[must_use]
    pub fn seeded() -> Self {
        let seed: u64 = match std::env::var("RMI_TEST_SEED") {
            Ok(seed) => seed.parse().expect("`RMI_TEST_SEED` is a number"),
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into(),
        };
        println!("RMI_TEST_SEED={seed}");
        Random(seed | 1)
    }

    /// Draws the next.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
