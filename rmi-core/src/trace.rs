//! W3C trace context, carried across calls.
//!
//! The `traceparent` that a request came with is current while its handler runs, and every call that the handler makes
//! carries it on. A program that has a tracing system of its own makes its span current with [`scope`].

use std::future::Future;

use crate::text::Text;

tokio::task_local! {
    static CURRENT: TraceParent;
}

/// A `traceparent` of W3C Trace Context, version 00: 55 characters of ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent(Text);

impl TraceParent {
    /// Reads a `traceparent`; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &Text) -> Option<Self> {
        let fields = [(0, 2), (3, 32), (36, 16), (53, 2)];
        let bytes = text.as_bytes();
        let dashes = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        let lower_hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let shape = bytes.len() == 55
            && dashes
            && fields.iter().all(|(at, len)| bytes[*at..at + len].iter().all(lower_hex))
            && &bytes[..2] != b"ff";
        let zero = |at: usize, len: usize| bytes[at..at + len].iter().all(|b| *b == b'0');
        (shape && !zero(3, 32) && !zero(36, 16)).then(|| TraceParent(text.clone()))
    }

    /// The trace that the span belongs to: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// The header's text.
    #[must_use]
    pub fn text(&self) -> &Text {
        &self.0
    }

    /// A span below this one, in the same trace and with the same flags.
    #[must_use]
    pub fn child(&self, id: uuid::Uuid) -> TraceParent {
        let (_, random) = id.as_u64_pair();
        TraceParent(Text::from(format!("00-{}-{:016x}-{}", self.trace_id(), random.max(1), &self.0[53..])))
    }
}

/// The trace that this task works for, if any.
#[must_use]
pub fn current() -> Option<TraceParent> {
    CURRENT.try_with(TraceParent::clone).ok()
}

/// Runs a future for a trace: the calls that it makes carry it.
pub async fn scope<F: Future>(trace: TraceParent, future: F) -> F::Output {
    CURRENT.scope(trace, future).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shape_of_the_recommendation_is_read() {
        let good = Text::from_static("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let parent = TraceParent::parse(&good).unwrap();
        let child = parent.child(uuid::Uuid::from_u128(7));
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_ne!(child, parent);
        assert!(TraceParent::parse(child.text()).is_some());
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319ç-b7ad6b716920333-01",
        ] {
            assert!(TraceParent::parse(&Text::from_static(bad)).is_none(), "{bad}");
        }
    }
}
