//! Tables that every call looks into.

/// A map with a hasher that is fast for short keys and seeded anew in each process: what a peer cannot predict it cannot
/// steer into one place.
pub(crate) type Table<K, V> = std::collections::HashMap<K, V, Seeded>;

/// The hasher of a [`Table`].
pub(crate) type Seeded = foldhash::quality::RandomState;
