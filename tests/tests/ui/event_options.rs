use rmi_core::RemoteEvent;

#[derive(RemoteEvent)]
#[remote(key = "dog")]
enum DogEvent {
    #[remote(key = "dog.barked", name = "Bark")]
    Barked,
    #[remote(key = 7)]
    Slept,
}

fn main() {}
