//! How many answers to the unverified may go out.

/// Ten a second, and ten at once.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    second: i64,
    used: u32,
}

impl Allowance {
    const A_SECOND: u32 = 10;

    pub(super) fn take(&mut self, millis: i64) -> bool {
        let second = millis.div_euclid(1000);
        if second != self.second {
            *self = Allowance { second, used: 0 };
        }
        self.used += 1;
        self.used <= Self::A_SECOND
    }
}
