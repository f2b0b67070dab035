use rmi_core::RemoteEvent;

#[derive(RemoteEvent)]
enum DogEvent {
    #[remote(key = "")]
    Empty,
    #[remote(key = "dog..barked.")]
    EmptyWords,
    #[remote(key = "dog.*")]
    Wildcard,
    #[remote(key = "dog.#")]
    Wildcards,
    #[remote(key = "dog.number-{number}")]
    PartOfAWord { number: u32 },
    #[remote(key = "dog.{number")]
    Unclosed { number: u32 },
    #[remote(key = "dog.{}")]
    Nameless { number: u32 },
    #[remote(key = "dog/barked")]
    Slash,
    #[remote(key = "dog.bark ed")]
    Space,
    #[remote(key = "dog.{number}.{number}")]
    Twice { number: u32 },
    #[remote(key = "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789.{n}")]
    TooLong { n: u32 },
}

fn main() {}
