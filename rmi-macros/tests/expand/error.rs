#[derive(RemoteError)]
#[remote(name = "Dog", rename_all = "kebab-case")]
pub enum DogError {
    #[error("{name} is asleep")]
    Asleep { name: String, until: u64 },
    #[error("{0} is no trick")]
    #[remote(class = "ValueError")]
    NoTrick(String),
    #[remote(name = "Hungry")]
    #[error("hungry since {0}, wants {1}")]
    Starving(u64, Food),
    #[error("gone")]
    Gone,
    #[error(transparent)]
    Leash(#[from] std::io::Error),
    #[error("bit {who}")]
    Bit {
        who: String,
        #[remote(skip)]
        teeth: Teeth,
    },
    #[remote(skip)]
    #[error("unspeakable")]
    Unspeakable(Teeth),
}
