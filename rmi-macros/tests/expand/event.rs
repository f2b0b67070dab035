#[derive(RemoteEvent)]
#[remote(name = "Dog", rename_all = "camelCase")]
/// What dogs do.
pub enum DogEvent {
    /// A dog has barked.
    #[remote(key = "dog.barked.{name}.loudly")]
    Barked { name: String, the_words: Vec<String> },
    #[remote(key = "{kennel}.{dog_name}", rename_all = "snake_case")]
    Moved {
        #[remote(name = "dog", body)]
        dog_name: Name,
        #[remote(default)]
        since: u64,
        kennel: u32,
        r#type: Option<Breed>,
    },
    #[remote(key = "dog.all.asleep")]
    AllAsleep,
}
