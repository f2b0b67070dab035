use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog: Sized {
    async fn puppy(&self) -> Result<Self, Failure>;
}

fn main() {}
