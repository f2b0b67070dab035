use rmi_core::RemoteEvent;

#[derive(RemoteEvent)]
enum Nothing {}

#[derive(RemoteEvent)]
union Bits {
    one: u8,
}

#[derive(RemoteEvent)]
#[remote(key = "dog.ran")]
struct Ran<T> {
    with: T,
}

fn main() {}
