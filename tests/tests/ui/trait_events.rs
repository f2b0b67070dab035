use std::convert::Infallible;

use rmi_core::remote;

struct Opaque;

#[remote(events = "DogEvent")]
trait Dog {
    async fn bark(&self) -> Result<(), Infallible>;
}

#[remote(events = Opaque)]
trait Cat {
    async fn purr(&self) -> Result<(), Infallible>;
}

fn main() {}
