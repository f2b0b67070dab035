use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    const LEGS: u8;

    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
