/// How much is remembered of each principal's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowSize {
    /// How many requests.
    pub requests: usize,
    /// How many bytes of outcomes, those of at most 256 bytes not counted. A request whose outcome had to go is still known,
    /// and not run again.
    pub bytes: usize,
}

impl Default for WindowSize {
    /// 50,000 requests and 32 MiB of outcomes for each principal: what a sealed binding remembers.
    fn default() -> Self {
        WindowSize { requests: 50_000, bytes: 32 << 20 }
    }
}

impl WindowSize {
    /// 4,000 requests and 4 MiB of outcomes: what an unsealed binding remembers. It knows no principals, and has no replays to
    /// tell, only what the bus delivers twice and what callers repeat.
    #[must_use]
    pub fn unsealed() -> Self {
        WindowSize { requests: 4_000, bytes: 4 << 20 }
    }

    /// Sets how many requests are remembered, at least one.
    #[must_use]
    pub fn requests(mut self, requests: usize) -> Self {
        self.requests = requests.max(1);
        self
    }

    /// Sets how many bytes of outcomes are kept.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}
