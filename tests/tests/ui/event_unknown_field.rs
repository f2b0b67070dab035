use rmi_core::RemoteEvent;

#[derive(RemoteEvent)]
enum DogEvent {
    #[remote(key = "dog.barked.{dog}.{words}")]
    Barked { name: String, words: String },
    #[remote(key = "dog.slept.{name}")]
    Slept,
}

fn main() {}
