use rmi_core::RemoteEvent;

#[derive(RemoteEvent)]
enum DogEvent {
    Barked { name: String },
    #[remote(key = "dog.slept")]
    Slept,
}

#[derive(RemoteEvent)]
struct Ran;

fn main() {}
