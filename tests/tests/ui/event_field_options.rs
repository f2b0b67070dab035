use rmi_core::RemoteEvent;

#[derive(RemoteEvent)]
#[remote(key = "dog.barked.{name}")]
struct Barked {
    #[remote(default)]
    name: String,
    #[remote(body)]
    words: String,
    #[remote(name = "words")]
    text: String,
    #[remote(skip)]
    volume: u8,
}

fn main() {}
