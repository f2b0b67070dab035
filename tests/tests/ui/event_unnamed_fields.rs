use rmi_core::RemoteEvent;

#[derive(RemoteEvent)]
enum DogEvent {
    #[remote(key = "dog.barked")]
    Barked(String),
}

#[derive(RemoteEvent)]
#[remote(key = "dog.slept")]
struct Slept(u64);

fn main() {}
