/// A dog that takes calls.
///
/// One per kennel.
#[remote(name = "dog", version = "1.2", rename_all = "camelCase")]
pub trait Dog: Animal {
    /// Says something.
    #[remote(idempotent, timeout = "1s", ttl = "500ms")]
    async fn bark(&self, words: &str) -> Result<String, DogError>;

    /// Learns tricks, and says how many it knows then.
    #[remote(name = "learn", alias = "teach", alias = "train", params = named)]
    async fn learn_tricks(&self, new_tricks: &[Trick], #[remote(name = "type")] kind: Kind) -> Learned;

    /// Rests, unless there is something better to do.
    #[cfg(feature = "rest")]
    #[deprecated = "dogs do that anyway"]
    #[remote(inline, since = "1.2")]
    async fn rest(&self, r#for: Option<u32>) -> Result<(), Infallible> {
        let _ = r#for;
        Ok(())
    }
}
