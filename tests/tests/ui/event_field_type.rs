use rmi_core::RemoteEvent;

struct Opaque;

#[derive(RemoteEvent)]
#[remote(key = "dog.barked.{name}")]
struct Barked {
    name: Option<String>,
    words: Opaque,
}

fn main() {}
