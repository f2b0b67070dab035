use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    async fn puppy(&self) -> Result<Self, Failure>;
}

fn main() {}
