use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

struct Kennel;

#[remote]
impl !Dog for Kennel {}

fn main() {}
