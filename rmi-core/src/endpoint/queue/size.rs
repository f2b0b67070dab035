/// How much may wait for a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueSize {
    /// How many requests.
    pub requests: usize,
    /// How many bytes their messages have. One that is alone may wait however long it is.
    pub bytes: usize,
}

impl Default for QueueSize {
    /// 1,024 requests and 64 MiB.
    fn default() -> Self {
        QueueSize { requests: 1024, bytes: 64 << 20 }
    }
}

impl QueueSize {
    /// Room for everything.
    pub(crate) const UNBOUNDED: QueueSize = QueueSize { requests: usize::MAX, bytes: usize::MAX };

    /// Sets how many requests may wait. With 0 none does: what finds no handler free is rejected.
    #[must_use]
    pub fn requests(mut self, requests: usize) -> Self {
        self.requests = requests;
        self
    }

    /// Sets how many bytes their messages may have.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}
